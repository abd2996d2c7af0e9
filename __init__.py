"""Book Pricer: a LangChain toolkit that prices books from their text.

Importing this package loads nothing heavy. Each public name is imported from its own module the first time it is used.

>>> from bookpricer import PricingChain
>>> chain = PricingChain.from_pretrained("embedded")
>>> estimate = chain.invoke({"title": "The Sea at Night", "description": "A novel."})
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chains.agent import pricing_agent
    from .chains.llm import PricingLLM
    from .chains.pricing import PriceParser, PricingChain
    from .chains.toolkit import pricing_tools
    from .training.book import Book
    from .training.distribution import PriceDistribution
    from .training.estimate import PriceEstimate

__version__ = "0.1.0"

__all__ = [
    "Book",
    "PriceDistribution",
    "PriceEstimate",
    "PriceParser",
    "PricingChain",
    "PricingLLM",
    "__version__",
    "pricing_agent",
    "pricing_tools",
]

_HOMES = {
    "Book": ".training.book",
    "PriceDistribution": ".training.distribution",
    "PriceEstimate": ".training.estimate",
    "PriceParser": ".chains.pricing",
    "PricingChain": ".chains.pricing",
    "PricingLLM": ".chains.llm",
    "pricing_agent": ".chains.agent",
    "pricing_tools": ".chains.toolkit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value  # the next look-up is a plain one
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

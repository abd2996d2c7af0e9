"""All tools of a pricing chain, wired. Knows where a chain's companions lie; knows no agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from ..tools.baselines import baseline_tools
from ..tools.catalog import Catalogue, look_up_tool
from ..tools.comparables import ComparablesRetriever, comparables_tool
from ..tools.pricing import cross_check_tool, pricing_tool
from ..training.estimate import PriceEstimate
from ..training.model_folder import ModelFolder, find_model
from .cross_check import Companions, CrossCheck
from .llm import PricingLLM
from .pricing import PricingChain


def pricing_tools(
    chain: Runnable[Any, PriceEstimate],
    *,
    model: str | Path | None = None,
    catalog: Catalogue | str | Path | None = None,
) -> list[BaseTool]:
    """The tools of a pricing chain, for any agent that calls tools.

    `price_book` always; `cross_check_price`, `find_comparables` and one `baseline_…` for each baseline where the
    model's folder holds what they need; `look_up_book` where a catalogue is given.

    Args:
        chain: a `PricingChain`, or any Runnable that takes a `Book` and gives a `PriceEstimate`.
        model: the model folder (or hub id, or `embedded`) whose baselines and comparables to use; the chain's own where
            None.
        catalog: the user's catalogue, or the file it is in.

    Raises:
        InputError: a folder or catalogue that cannot be read.

    Example:
        ```python
        create_agent("openai:gpt-…", tools=[*pricing_tools(chain), *my_tools])
        ```
    """
    path = find_model(model) if model is not None else _path_of(chain)
    companions = Companions.load(path) if path else Companions({}, None, None)
    config = ModelFolder(path).config if path and (path / "pricer.json").exists() else None
    currency, unit = (config.currency, config.unit) if config else ("USD", 1.0)
    plain: Runnable[Any, PriceEstimate] = chain
    checked: Runnable[Any, PriceEstimate] | None = None
    if isinstance(chain, PricingChain):
        plain = chain.model_copy(update={"cross_check": None})
        if chain.cross_check is not None:
            checked = chain
        elif companions.blend is not None:
            checked = chain.model_copy(update={"cross_check": CrossCheck(companions, str(model or path))})
    tools = [cross_check_tool(checked)] if checked is not None else []
    tools.append(pricing_tool(plain))
    if companions.comparables is not None:
        tools.append(
            comparables_tool(ComparablesRetriever(comparables=companions.comparables, currency=currency, unit=unit))
        )
    tools += baseline_tools(companions.baselines, currency=currency, unit=unit)
    if catalog is not None:
        tools.append(look_up_tool(catalog if isinstance(catalog, Catalogue) else Catalogue.read(catalog)))
    return tools


def _path_of(chain: Runnable[Any, Any]) -> Path | None:
    """The model folder of a chain around a `PricingLLM`."""
    llm = chain.llm if isinstance(chain, PricingChain) else None
    return llm.pricer.path if isinstance(llm, PricingLLM) else None

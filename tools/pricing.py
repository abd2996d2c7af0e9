"""Tools around Runnables that price a book: the pricing chain, and the cross-check. Knows no chain but by interface."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from ..training.estimate import PriceEstimate
from .arguments import BookArguments
from .results import Result, estimate_result, make_tool

Pricer = Runnable[Any, PriceEstimate]

PRICE, CROSS_CHECK = "price_book", "cross_check_price"
_PRICE = (
    "Price one book with the pricing model: price, calibrated interval, confidence and flags. Use it for a quick "
    "estimate, for the same book in another format or condition (change those arguments, keep the others), and where "
    "there is no cross-check."
)
_CROSS_CHECK = (
    "Price one book by all methods at once: the pricing model, the classic baselines and comparable books, blended "
    "into one price with an interval. It says what each method gives, whether they agree, and which comparable books "
    "cost what. Use it first when somebody asks what a book is worth, why, or whether a price is fair."
)


def pricing_tool(chain: Pricer, *, name: str = PRICE, description: str = _PRICE) -> BaseTool:
    """The tool of a Runnable that takes a `Book` and gives a `PriceEstimate`, such as a `PricingChain`."""

    def run(arguments: BookArguments) -> Result:
        book = arguments.book()
        return estimate_result(book, chain.invoke(book))

    async def arun(arguments: BookArguments) -> Result:
        book = arguments.book()
        return estimate_result(book, await chain.ainvoke(book))

    return make_tool(name, description, BookArguments, run, arun)


def cross_check_tool(cross_check: Pricer) -> BaseTool:
    """The tool of a Runnable that does the whole cross-check of a `Book`."""
    return pricing_tool(cross_check, name=CROSS_CHECK, description=_CROSS_CHECK)

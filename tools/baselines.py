"""A tool for each baseline, to hold the model's price against. Knows fitted baselines."""

from __future__ import annotations

from collections.abc import Mapping

from langchain_core.tools import BaseTool

from ..training.baselines import Baseline
from ..training.estimate import PriceEstimate
from .arguments import BookArguments
from .results import Result, estimate_result, make_tool

PREFIX = "baseline_"
# Name -> what a model should know before it believes one; a method not named here is described by its title.
_READS = {
    "random": "a random whole price, whatever the book: only a reference for how bad a method can be, never evidence",
    "mean": "the mean price of all books it learnt from, whatever the book: only a reference",
    "median": "the median price of all books it learnt from, whatever the book: only a reference",
    "linear_regression": "a linear regression on rating, pages, year, author, publisher, category and format",
    "word2vec": "a linear model on Word2Vec vectors of the text",
    "hist_gradient_boosting": "gradient boosted trees on rating, pages, year, author, publisher, category and format",
    "neighbours": "the mean price of the thirty most similar books",
    "tfidf_ridge": "ridge regression on words, author, category and format; usually among the best",
    "kernel_ridge": "kernel regression on sentence vectors, numbers and names; usually among the best",
    "vector_boosting": "gradient boosting on sentence vectors and neighbours' prices; usually the best baseline",
}


def baseline_tools(baselines: Mapping[str, Baseline], *, currency: str = "USD", unit: float = 1.0) -> list[BaseTool]:
    """One tool for each baseline: `baseline_<name>`, which gives a price without an interval.

    Args:
        baselines: fitted, by name; see `training.baselines.load_baselines`.
        currency, unit: what one of their units stands for.
    """
    return [_tool(name, baseline, currency, unit) for name, baseline in baselines.items()]


def _tool(name: str, baseline: Baseline, currency: str, unit: float) -> BaseTool:
    def run(arguments: BookArguments) -> Result:
        book = arguments.book()
        price = float(baseline.predict([book])[0]) * unit
        return estimate_result(
            book, PriceEstimate(price=round(price, 2), method=name, model=baseline.title, currency=currency, unit=unit)
        )

    description = (
        f"Price one book by {_READS.get(name, baseline.title)}. A second opinion beside the pricing model: a number "
        "without an interval. Call it when somebody asks for this method, or why methods disagree."
    )
    return make_tool(f"{PREFIX}{name}", description, BookArguments, run)

"""Measures all that a model folder holds on priced books: its language model and its baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .baselines import load_baselines
from .dataset import PricedBook
from .evaluation import interval_errors, price_errors
from .model_folder import ModelFolder

if TYPE_CHECKING:
    from .distribution import PriceDistribution
    from .loading import Pricer

Measures = dict[str, float | None]


def measure_folder(
    model: Path, books: Sequence[PricedBook], *, coverage: float = 0.8, device: str | None = None
) -> dict[str, Measures]:
    """Method -> `n, mae, median_ae, rmsle, r2, hit_rate, coverage, interval_width`, in units.

    The language model is called `llm`, and is left out of a folder that has none. `coverage` (the share of prices that
    the intervals hold) and `interval_width` are None where a method gives no calibrated interval.

    Raises:
        InputError: a model or baseline that cannot be read, or was changed.
    """
    folder = ModelFolder(model)
    rows = {"llm": measure_model(model, books, coverage=coverage, device=device)} if folder.config.base_model else {}
    return rows | measure_baselines(model, books)


def measure_model(
    model: Path, books: Sequence[PricedBook], *, coverage: float = 0.8, device: str | None = None
) -> Measures:
    """Errors of a folder's language model, and of its intervals at `coverage` where it is calibrated.

    Raises:
        InputError: a model that cannot be read.
    """
    from .loading import load_pricer

    pricer = load_pricer(model, device=device)
    distributions = book_distributions(pricer, books)
    actual = [priced.units for priced in books]
    row: Measures = {**price_errors([distribution.median for distribution in distributions], actual)}
    if pricer.calibration is None:
        return {**row, "coverage": None, "interval_width": None}
    return {**row, **interval_errors(distributions, actual, pricer.calibration, coverage)}


def book_distributions(pricer: Pricer, books: Sequence[PricedBook]) -> list[PriceDistribution]:
    """A loaded pricer's price distribution for each book, in the order of the books."""
    from .scoring import PriceScorer

    builder = pricer.prompt_builder()
    scorer = PriceScorer(pricer.model, pricer.tokenizer)
    return scorer.price_distributions(builder.prompts(priced.book for priced in books))


def measure_baselines(model: Path, books: Sequence[PricedBook]) -> dict[str, Measures]:
    """Errors of every baseline in a model folder.

    Raises:
        InputError: a baseline that cannot be read, or was changed.
    """
    actual = [priced.units for priced in books]
    rows: dict[str, Measures] = {}
    for name, baseline in load_baselines(ModelFolder(model).baselines).items():
        predicted = baseline.predict([priced.book for priced in books])
        rows[name] = {**price_errors(predicted, actual), "coverage": None, "interval_width": None}
    return rows

"""Asks all that a model folder prices books with about priced books: language model, baselines, cross-check.

A method is one entry in `load_methods`. Knows model folders; the figures are for `evaluation` and `evaluation_report`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .baselines import Baseline, load_baselines
from .baselines.features import named_categories
from .blend import NEIGHBOURS, Blend, Opinions
from .comparables import Comparables
from .dataset import PricedBook
from .errors import InputError
from .estimate import DEFAULT_COVERAGE
from .evaluation import LEVELS, Measures, interval_errors, price_errors
from .model_folder import ModelFolder
from .predictions import Answers, Predictions

if TYPE_CHECKING:
    from .distribution import PriceDistribution
    from .loading import Pricer

LLM, CROSS_CHECK = "llm", "cross_check"
Progress = Callable[[int], None]

# Books that all methods are asked about before the next ones, whose distributions are in memory together; and the
# characters of a title that a row keeps.
_PART, _TITLE_CHARACTERS = 2000, 200


@dataclass(frozen=True)
class Method:
    """Something loaded that prices books.

    Args:
        name, title: for programs, and for people.
        answer: gives its answers for books at intervals of the levels asked for, tells its progress in books, and sees
            what the methods before it answered.
    """

    name: str
    title: str
    answer: Callable[[Sequence[PricedBook], Sequence[float], Mapping[str, Answers], Progress], Answers]


def load_methods(model: Path, *, device: str | None = None) -> list[Method]:
    """Load all that a model folder can price books with, in the order of tables. What it has not is left out.

    Raises:
        InputError: a model or baseline that cannot be read, or was changed, or nothing that prices books at all.
    """
    folder = ModelFolder(model)
    methods = [
        Method(name, baseline.title, partial(_ask_baseline, baseline))
        for name, baseline in load_baselines(folder.baselines).items()
    ]
    if folder.config.base_model:
        from .loading import load_pricer

        methods.insert(0, Method(LLM, "Language model", partial(_ask_pricer, load_pricer(model, device=device))))
    if folder.blend.is_dir() and folder.comparables.is_dir():
        blend, comparables = Blend.load(folder.blend), Comparables.load(folder.comparables)
        methods.append(Method(CROSS_CHECK, "Cross-check", partial(_ask_blend, blend, comparables)))
    if not methods:
        raise InputError(
            f"{model} holds nothing to measure; fit something with `bookpricer baselines` or `bookpricer train`"
        )
    return methods


def ask_methods(
    methods: Sequence[Method],
    books: Sequence[PricedBook],
    *,
    coverage: float = DEFAULT_COVERAGE,
    progress: Progress = lambda books: None,
) -> Predictions:
    """What each method answers for each book.

    Args:
        coverage: the share of true prices that the calibrated intervals should hold; others are asked for beside it.
        progress: called with the number of books that a method has priced since the last call.

    Raises:
        InputError: no books, or a method that gives something else than a price.
    """
    rows = without_answers(books, coverage)
    levels = sorted({*LEVELS, coverage})
    parts: list[dict[str, Answers]] = []
    for start in range(0, len(books), _PART):
        part = books[start : start + _PART]
        answers: dict[str, Answers] = {}
        for method in methods:
            answers[method.name] = method.answer(part, levels, answers, progress)
            if wrong := int((~np.isfinite(answers[method.name].prices)).sum()):
                raise InputError(f"{method.title} gives no price for {wrong:,} of {len(part):,} books; fit it again")
        parts.append({name: replace(answer, distributions=None) for name, answer in answers.items()})
    joined = {method.name: Answers.join([part[method.name] for part in parts]) for method in methods}
    titles = {method.name: method.title for method in methods}
    return replace(rows, answers=joined, method_titles=titles)


def without_answers(books: Sequence[PricedBook], coverage: float = DEFAULT_COVERAGE) -> Predictions:
    """The rows of an evaluation before any method is asked.

    Raises:
        InputError: no books.
    """
    if not books:
        raise InputError("there are no books to measure with; name a catalogue with prices")
    return Predictions(
        ids=[priced.book.parent_asin for priced in books],
        titles=[priced.book.title[:_TITLE_CHARACTERS] for priced in books],
        categories=[next(iter(named_categories(priced.book)), None) for priced in books],
        actual=np.array([priced.units for priced in books], dtype=np.float64),
        coverage=coverage,
    )


def measures(answers: Answers, actual: ArrayLike, coverage: float) -> Measures:
    """`n, mae, median_ae, rmsle, r2, hit_rate, coverage, interval_width`, in units, of one method's answers.

    `coverage` (the share of prices that the intervals hold) and `interval_width` are None without calibrated intervals.
    """
    row = price_errors(answers.prices, actual)
    if coverage not in answers.intervals:
        return {**row, "coverage": None, "interval_width": None}
    return {**row, **interval_errors(answers.intervals[coverage], actual)}


def book_distributions(
    pricer: Pricer, books: Sequence[PricedBook], progress: Progress | None = None
) -> list[PriceDistribution]:
    """A loaded pricer's price distribution for each book, in the order of the books.

    Raises:
        InputError: a model whose answers are no probabilities, such as one with NaN among its weights.
    """
    prompts = pricer.prompt_builder().prompts(priced.book for priced in books)
    try:
        return pricer.scorer.price_distributions(prompts, progress)
    except ValueError as error:
        raise InputError(f"{pricer.name} gives no usable prices ({error}); train it again") from error


def _ask_pricer(
    pricer: Pricer,
    books: Sequence[PricedBook],
    levels: Sequence[float],
    others: Mapping[str, Answers],
    progress: Progress | None = None,
) -> Answers:
    distributions = book_distributions(pricer, books, progress)
    return Answers.of_distributions(distributions, [priced.units for priced in books], pricer.calibration, levels)


def _ask_baseline(
    baseline: Baseline,
    books: Sequence[PricedBook],
    levels: Sequence[float],
    others: Mapping[str, Answers],
    progress: Progress,
) -> Answers:
    prices = baseline.predict([priced.book for priced in books])
    progress(len(books))
    return Answers(prices)


def _ask_blend(
    blend: Blend,
    comparables: Comparables,
    books: Sequence[PricedBook],
    levels: Sequence[float],
    others: Mapping[str, Answers],
    progress: Progress,
) -> Answers:
    asked = [priced.book for priced in books]
    opinions = Opinions(
        asked,
        {name: others[name].prices for name in blend.baselines},
        comparables.index.query(asked, NEIGHBOURS),
        others[LLM].distributions if LLM in others else None,
    )
    progress(len(books))
    units = [priced.units for priced in books]
    return Answers.of_distributions(blend.distributions(opinions), units, blend.calibration, levels)

"""Evidence: what other methods know about a book, as the first line of its content (DESIGN §4).

A small price history is too little for a language model to learn prices by heart, but enough to learn whom to believe:
the prices of the most similar priced books, and the baselines' estimates, stand before the text (after arXiv
2510.09347 and 2604.20216). Knows baselines, neighbours and numbers; knows nothing about models.

For the books that are trained on, the estimates have to be out of fold and the neighbours other works: see
`training_lines`. No text of a book can form the line, since contents hold no colon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from .errors import InputError
from .prompt import nearest_unit

if TYPE_CHECKING:
    from pathlib import Path

    from .baselines import Baseline
    from .book import Book
    from .neighbours import NeighbourIndex

# The baseline whose index of priced books is asked for neighbours.
_INDEXED = "neighbours"


class EvidenceSettings(BaseModel):
    """What the evidence of a model's prompts holds.

    Args:
        neighbours: prices of that many most similar books.
        baselines: names of those whose estimates follow, in this order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    neighbours: int = Field(6, ge=0, le=30)
    baselines: tuple[str, ...] = (
        "linear_regression", "hist_gradient_boosting", "neighbours", "tfidf_ridge", "vector_boosting",
    )  # fmt: skip

    @field_validator("baselines")
    @classmethod
    def _check_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from .baselines import BASELINES

        if unknown := set(names) - set(BASELINES):
            raise ValueError(f"there is no baseline {sorted(unknown)[0]}; choose from {', '.join(BASELINES)}")
        return names

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the baselines that have to be fitted for it."""
        return tuple(dict.fromkeys([*self.baselines, *([_INDEXED] if self.neighbours else [])]))

    def example(self) -> str:
        """A line as long as most."""
        estimates = {name: np.array([25.0]) for name in self.baselines}
        [line] = evidence_lines(np.full((1, self.neighbours), 25.0), estimates)
        return line


class Evidence:
    """Writes the evidence of new books.

    Args:
        settings: what the lines hold.
        baselines: fitted ones by name; all that `settings.needed` names.

    Raises:
        InputError: one of them is missing.
    """

    def __init__(self, settings: EvidenceSettings, baselines: Mapping[str, Baseline]) -> None:
        if missing := set(settings.needed) - set(baselines):
            raise InputError(
                f"this model's prompts carry the estimates of the baseline {sorted(missing)[0]}, which its folder does "
                "not hold; train it again with its baselines"
            )
        self._settings = settings
        self.baselines = baselines

    @classmethod
    def load(cls, settings: EvidenceSettings, folder: Path) -> Evidence:
        """From the `baselines/` of a model folder.

        Raises:
            InputError: a baseline that is missing, cannot be read, or was changed.
        """
        from .baselines import BASELINES

        there = {name: BASELINES[name] for name in settings.needed if (folder / name).is_dir()}
        return cls(settings, {name: kind.load(folder / name) for name, kind in there.items()})

    def lines(self, books: Sequence[Book]) -> list[str]:
        """The evidence of each book, n lines."""
        estimates = {name: self.baselines[name].predict(books) for name in self._settings.baselines}
        prices = np.empty((len(books), 0))
        if self._settings.neighbours:
            prices = _index(self.baselines).query(books, self._settings.neighbours).prices
        return evidence_lines(prices, estimates)


def training_lines(
    settings: EvidenceSettings,
    baselines: Mapping[str, Baseline],
    estimates: Mapping[str, ArrayLike],
) -> list[str]:
    """The evidence of the very books that the baselines were fitted on, as if each were new.

    Args:
        settings: what the lines hold.
        baselines: fitted on n books; the index among them leaves out each book and its other editions.
        estimates: name -> out-of-fold estimates of these books, shape (n,); see `baselines.out_of_fold`.
    """
    chosen = {name: np.asarray(estimates[name], dtype=np.float64) for name in settings.baselines}
    if settings.neighbours:
        prices = _index(baselines).query_own(settings.neighbours).prices
    else:
        prices = np.empty((len(next(iter(chosen.values()))) if chosen else 0, 0))
    return evidence_lines(prices, chosen)


def evidence_lines(prices: NDArray[np.float64], estimates: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """Whole units in a fixed order, so that a model can learn from the place of a number whose it is.

    Args:
        prices: of each book's neighbours, the most similar first, shape (n, k); NaN where there is none.
        estimates: name -> prices in units, shape (n,).

    Example:
        >>> evidence_lines(np.array([[12.4, 8.0]]), {"neighbours": np.array([10.1])})
        ['Evidence: similar $12$8, estimates $10']
    """
    lines = []
    for row, neighbours in enumerate(prices):
        similar = _amounts(neighbours[np.isfinite(neighbours)])
        estimated = _amounts([values[row] for values in estimates.values()])
        parts = [f"{word} {amounts}" for word, amounts in (("similar", similar), ("estimates", estimated)) if amounts]
        lines.append(f"Evidence: {', '.join(parts) or 'none'}")
    return lines


def _amounts(values: ArrayLike) -> str:
    # No blanks between: two tokens an amount, as after "Answer: ".
    return "".join(f"${nearest_unit(value)}" for value in np.asarray(values, dtype=np.float64))


def _index(baselines: Mapping[str, Baseline]) -> NeighbourIndex:
    index: NeighbourIndex = baselines[_INDEXED].index  # type: ignore[attr-defined]
    return index

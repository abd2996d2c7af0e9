"""The cross-check's blend: what all methods say of a book, made into one price distribution. Knows numbers, no models.

A small gradient boosting reads the baselines' estimates, the nearest books' prices and similarities, and the ratings,
and corrects the methods' mean log price. It is fitted on out-of-fold estimates (stacking: Wolpert, Neural Networks
1992; Breiman, Machine Learning 1996), so that it learns whom to believe about new books, not about known ones. A second
one tells how far off the first is; with the errors' common shape that makes a distribution (a location-scale model).
A language model's distribution joins by a linear opinion pool, its weight fitted on books that it did not learn from:
out-of-fold estimates of a language model cost as many trainings.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .baselines.base import one_thread
from .book import Book
from .calibration import MIN_BOOKS, Calibration
from .dataset import MAX_UNITS, MIN_UNITS
from .distribution import PRICES, PriceDistribution
from .errors import InputError
from .estimate import Agreement
from .neighbours import Neighbours, groups_of
from .saving import check_manifest, load_estimator, read_array, save_estimator, write_manifest

KIND = "blend"
# Baselines that say the same, or anything, of every book: nothing to blend.
UNINFORMATIVE = frozenset({"random", "mean", "median"})
NEIGHBOURS = 6
# The share of calibration books whose methods "agree" on the price, and beyond which they "disagree".
_AGREE, _DISAGREE = 0.5, 0.9
_FOLDS = 5
# Fewer books teach less than the methods' plain mean.
MIN_FIT_BOOKS = 200
_EDGES = np.arange(PRICES + 1) - 0.5
_LEAST_SCALE = 0.05


@dataclass(frozen=True)
class Opinions:
    """What each method says of n books, in units.

    Args:
        books: the books.
        baselines: name -> prices, shape (n,).
        neighbours: at least `NEIGHBOURS` of each book, none of them another edition of it where anything is fitted.
        distributions: the language model's, one a book; None without one.
    """

    books: Sequence[Book]
    baselines: Mapping[str, NDArray[np.float64]]
    neighbours: Neighbours
    distributions: Sequence[PriceDistribution] | None = None

    def select(self, rows: NDArray[np.int64]) -> Opinions:
        """The opinions of some of the books."""
        found = self.neighbours
        return Opinions(
            [self.books[row] for row in rows],
            {name: prices[rows] for name, prices in self.baselines.items()},
            Neighbours(found.indices[rows], found.similarities[rows], found.prices[rows]),
            None if self.distributions is None else [self.distributions[row] for row in rows],
        )

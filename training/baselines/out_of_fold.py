"""Estimates for books that a baseline learns from, each made without that book. Knows baselines and numbers.

What learns from the baselines' estimates (evidence in a prompt, a blend) has to meet them as they are on new books: a
baseline's estimate of a book that it was fitted on is far too good, and whoever reads it learns to copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..book import Book
from ..errors import InputError
from ..neighbours import groups_of
from .base import Baseline

FOLDS = 5


def out_of_fold(
    kinds: Mapping[str, type[Baseline]],
    books: Sequence[Book],
    prices: ArrayLike,
    *,
    folds: int = FOLDS,
    seed: int = 0,
    progress: Callable[[str], None] = lambda title: None,
) -> dict[str, NDArray[np.float64]]:
    """Each baseline's estimate of each of n books, by one fitted on the other folds; all editions share a fold.

    Args:
        kinds: the baselines.
        books, prices: n books and their prices in units, shape (n,).
        folds: parts of about the same size; fewer where there are fewer works.
        progress: told a baseline's title before each of its `folds` fits.

    Returns:
        Name -> estimates in units, shape (n,).

    Raises:
        InputError: fewer than two works, of which none can be estimated from the other.
    """
    from sklearn.model_selection import GroupKFold

    groups = groups_of(books)
    works = len(np.unique(groups))
    if works < 2:
        raise InputError("out-of-fold estimates need at least two different books; give a catalogue with more of them")
    units = np.asarray(prices, dtype=np.float64)
    estimates = {name: np.empty(len(books)) for name in kinds}
    parts = GroupKFold(min(folds, works), shuffle=True, random_state=seed).split(units, groups=groups)
    for others, part in parts:
        for name, kind in kinds.items():
            progress(kind.title)
            baseline = kind().fit([books[i] for i in others], units[others])
            estimates[name][part] = baseline.predict([books[i] for i in part])
    return estimates

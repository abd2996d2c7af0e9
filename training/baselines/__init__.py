"""What prices books without a language model: the published baselines, and what an expert would try first.

All have one interface, `fit(books, prices)`, `predict(books)`, `save(folder)` and `load(folder)`; see `base`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError
from .base import Baseline
from .similar import KernelRidgeBaseline, NeighboursBaseline, VectorBoostingBaseline
from .simple import MeanBaseline, MedianBaseline, RandomBaseline
from .tabular import HistGradientBoostingBaseline, LinearRegressionBaseline
from .words import TfidfRidgeBaseline, Word2VecBaseline

# In the order of tables: the published ones, then the expert's.
BASELINES: Mapping[str, type[Baseline]] = {
    kind.name: kind
    for kind in (
        RandomBaseline,
        MeanBaseline,
        MedianBaseline,
        LinearRegressionBaseline,
        Word2VecBaseline,
        HistGradientBoostingBaseline,
        NeighboursBaseline,
        TfidfRidgeBaseline,
        KernelRidgeBaseline,
        VectorBoostingBaseline,
    )
}


def load_baselines(folder: Path) -> dict[str, Baseline]:
    """The baselines saved in a model folder's `baselines/`, by name; empty where there are none.

    Raises:
        InputError: one of them cannot be read, or was changed.
    """
    return {name: kind.load(folder / name) for name, kind in BASELINES.items() if (folder / name).is_dir()}


__all__ = ["BASELINES", "Baseline", "InputError", "load_baselines"]

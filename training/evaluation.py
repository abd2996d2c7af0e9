"""How far off prices are: the measures of this field. Knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .calibration import Calibration
from .distribution import PriceDistribution

# A hit, after the published method: within 20 % or $40 of the true price.
HIT_SHARE, HIT_UNITS = 0.2, 40.0


def price_errors(predicted: ArrayLike, actual: ArrayLike) -> dict[str, float]:
    """Errors of point prices, both shape (n,) in units.

    Returns:
        `n`, `mae` and `median_ae` in units; `rmsle` over log(1 + price); `r2`; `hit_rate`, the share within 20 % or 40
        units of the truth.
    """
    estimate, truth = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    error = np.abs(estimate - truth)
    spread = float(((truth - truth.mean()) ** 2).sum())
    return {
        "n": len(truth),
        "mae": float(error.mean()),
        "median_ae": float(np.median(error)),
        "rmsle": float(np.sqrt(np.mean((np.log1p(np.maximum(estimate, 0)) - np.log1p(truth)) ** 2))),
        "r2": 1 - float((error**2).sum()) / spread if spread else float("nan"),
        "hit_rate": float(((error <= HIT_SHARE * truth) | (error <= HIT_UNITS)).mean()),
    }


def interval_errors(
    distributions: Sequence[PriceDistribution], actual: Sequence[float], calibration: Calibration, coverage: float
) -> dict[str, float]:
    """How many true prices the calibrated intervals hold (`coverage`), and their mean width in units."""
    intervals = np.array([calibration.interval(distribution, coverage) for distribution in distributions])
    truth = np.asarray(actual)
    held = (intervals[:, 0] <= truth) & (truth <= intervals[:, 1])
    return {"coverage": float(held.mean()), "interval_width": float((intervals[:, 1] - intervals[:, 0]).mean())}

"""How far off prices are, and how sure that is: the measures of this field. Knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Measures = dict[str, float | None]

# A hit, after the published method: within 20 % or $40 of the true price.
HIT_SHARE, HIT_UNITS = 0.2, 40.0
# All bootstrap and binomial intervals of this project hold the true value in 95 of 100 samples of books.
CONFIDENCE = 0.95
RESAMPLES = 2000
# The shares of prices that intervals are asked to hold, for the calibration curve.
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
# Numbers drawn at once by the bootstrap: it bounds memory, and changes no result.
_DRAWN = 10_000_000
# Fewer books give a curve of confidence that is noise.
_BIN_BOOKS, _MAX_BINS = 40, 10


def price_errors(predicted: ArrayLike, actual: ArrayLike) -> Measures:
    """Errors of point prices, both shape (n,) in units.

    Returns:
        `n`, `mae` and `median_ae` in units; `rmsle` over log(1 + price); `r2`, None where all true prices are the same;
        `hit_rate`, the share within 20 % or 40 units of the truth.
    """
    estimate, truth = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    error = np.abs(estimate - truth)
    varied = truth.min() < truth.max()
    return {
        "n": len(truth),
        "mae": float(error.mean()),
        "median_ae": float(np.median(error)),
        "rmsle": float(np.sqrt(np.mean((np.log1p(np.maximum(estimate, 0)) - np.log1p(truth)) ** 2))),
        "r2": float(1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum()) if varied else None,
        "hit_rate": float(((error <= HIT_SHARE * truth) | (error <= HIT_UNITS)).mean()),
    }


def interval_errors(intervals: ArrayLike, actual: ArrayLike) -> Measures:
    """How many true prices, shape (n,), lie in their intervals, shape (n, 2): `coverage`; and the mean width in units.

    Returns:
        `coverage` and `interval_width`.
    """
    bounds = np.asarray(intervals, dtype=np.float64)
    return {
        "coverage": float(held(bounds, actual).mean()),
        "interval_width": float((bounds[:, 1] - bounds[:, 0]).mean()),
    }


def held(intervals: ArrayLike, actual: ArrayLike) -> NDArray[np.bool_]:
    """Whether each true price, shape (n,), lies in its interval, shape (n, 2), both ends included."""
    bounds, truth = np.asarray(intervals, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    return (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])


def mae_interval(predicted: ArrayLike, actual: ArrayLike, seed: int = 0) -> list[float] | None:
    """The 95 % interval of the mean absolute error over other books of the same kind; see `mean_interval`."""
    return mean_interval(np.abs(np.subtract(predicted, actual, dtype=np.float64)), seed)


def mae_difference(
    predicted: ArrayLike, reference: ArrayLike, actual: ArrayLike, seed: int = 0
) -> tuple[float, list[float] | None]:
    """How much more a method errs than a reference on the same books, and its 95 % interval by the paired bootstrap.

    A resample of books is the same for both methods, and with one seed for every pair of them.

    Returns:
        The difference of the mean absolute errors in units, above 0 where the reference is better, and its interval.
    """
    truth = np.asarray(actual, dtype=np.float64)
    more = np.abs(np.asarray(predicted) - truth) - np.abs(np.asarray(reference) - truth)
    return float(more.mean()), mean_interval(more, seed)


def mean_interval(values: ArrayLike, seed: int = 0) -> list[float] | None:
    """The 95 % interval of a mean by the percentile bootstrap (Efron, 1979); None of a single value."""
    from scipy.stats import bootstrap

    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2:
        return None
    result = bootstrap(
        (sample,), np.mean, vectorized=True, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile",
        batch=max(1, _DRAWN // len(sample)), rng=np.random.default_rng(seed),
    )  # fmt: skip
    return [float(result.confidence_interval.low), float(result.confidence_interval.high)]


def share_interval(share: float, n: int) -> list[float]:
    """The 95 % interval of a share of n books (Wilson, 1927)."""
    from scipy.stats import binomtest

    result = binomtest(round(share * n), n).proportion_ci(CONFIDENCE, method="wilson")
    return [float(result.low), float(result.high)]


def confidence_curve(confidence: ArrayLike, right: ArrayLike) -> list[tuple[float, float]]:
    """Whether a method is right as often as it says: mean confidence and share of right prices, in bins of equal size.

    Args:
        confidence: probability of being right that it gave each price, shape (n,).
        right: whether it was, shape (n,).
    """
    from sklearn.calibration import calibration_curve

    said = np.asarray(confidence, dtype=np.float64)
    bins = min(_MAX_BINS, len(said) // _BIN_BOOKS)
    if not bins:
        return []
    was, mean = calibration_curve(np.asarray(right, dtype=int), said, pos_label=1, n_bins=bins, strategy="quantile")
    return [(float(x), float(y)) for x, y in zip(mean, was, strict=True)]


def central_coverage(cdf: ArrayLike, level: float) -> float:
    """The share of true prices in the central interval that holds `level` of their distribution's own probability.

    Args:
        cdf: each distribution's probability of a price at or below the true one, shape (n,).
    """
    return float((np.abs(2 * np.asarray(cdf, dtype=np.float64) - 1) <= level).mean())


def bands(actual: Sequence[float], edges: Sequence[float]) -> list[tuple[float, float, NDArray[np.intp]]]:
    """Bands of prices, low to below high, and the positions of their books; those without a book are left out."""
    number = np.digitize(np.asarray(actual, dtype=np.float64), edges)
    found = [(edges[k - 1], edges[k], np.flatnonzero(number == k)) for k in range(1, len(edges))]
    return [(low, high, books) for low, high, books in found if len(books)]

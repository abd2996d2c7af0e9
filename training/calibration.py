"""Intervals that hold what they promise: split-conformal calibration of price distributions.

The method is distributional conformal prediction (Chernozhukov, Wüthrich, Zhu, PNAS 2021): a book's score is the
nominal coverage of the smallest central interval that holds its true price, |2 F(price) - 1|; the conformal quantile of
the calibration books' scores is the nominal coverage to ask for, so that the wanted share of new books is held.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from .distribution import PriceDistribution
from .errors import InputError

# Fewer books say too little about a tail of 20 %.
MIN_BOOKS = 20


class Calibration(BaseModel):
    """What turns a distribution's quantiles into intervals that hold their coverage.

    `scores` are the sorted scores of the calibration books, thinned to at most 1,000; `n` is how many books there were;
    `wide` the relative width (interval at the default coverage, over the median) that one book in ten exceeded.
    """

    model_config = ConfigDict(frozen=True)

    scores: tuple[float, ...] = Field(min_length=1)
    n: int = Field(ge=1)
    wide: float

    @classmethod
    def fit(
        cls, distributions: Sequence[PriceDistribution], prices: Sequence[float], coverage: float = 0.8
    ) -> Calibration:
        """From the distributions and true prices (units) of books that training did not see.

        Raises:
            InputError: fewer than 20 books.
        """
        if len(prices) < MIN_BOOKS:
            raise InputError(f"calibration needs at least {MIN_BOOKS} books, not {len(prices)}")
        scores = np.sort([abs(2 * float(d.cdf(price)) - 1) for d, price in zip(distributions, prices, strict=True)])
        n = len(scores)
        if n > 1000:
            scores = np.quantile(scores, np.linspace(0, 1, 1000), method="inverted_cdf")
        # Twelve decimals: the scores of an over-confident model crowd below 1, which would stand for the whole range.
        fitted = cls(scores=tuple(np.round(scores, 12).tolist()), n=n, wide=math.inf)
        widths = [
            (high - low) / max(d.median, 1) for d in distributions for low, high in [fitted.interval(d, coverage)]
        ]
        return fitted.model_copy(update={"wide": round(float(np.quantile(widths, 0.9)), 4)})

    def nominal(self, coverage: float) -> float:
        """The central probability to ask of a distribution, so that a share `coverage` of books is held.

        The finite-sample quantile at ceil((n + 1) * coverage) / n; 1 where there are too few books for that.
        """
        level = math.ceil((self.n + 1) * coverage - 1e-9) / self.n
        return float(np.quantile(self.scores, level, method="inverted_cdf")) if level <= 1 else 1.0

    def interval(self, distribution: PriceDistribution, coverage: float) -> tuple[float, float]:
        """Low and high, in units, that hold the true price of a share `coverage` of books."""
        return distribution.interval(max(self.nominal(coverage), 1e-6))

    def quantile(self, distribution: PriceDistribution, level: float) -> float:
        """The price, in units, that a share `level` of such books lie under: an end of the central interval there."""
        share = max(self.nominal(abs(2 * level - 1)), 1e-6)
        return float(distribution.quantile(0.5 + math.copysign(share / 2, level - 0.5)))

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read what `save` wrote.

        Raises:
            InputError: no such file, or not a calibration.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is not a readable calibration; calibrate the model again") from error

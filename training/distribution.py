"""Probabilities over whole prices, and what can be asked of them. Knows nothing about models or currencies.

Unit k stands for every price that rounds to it, [k - 1/2, k + 1/2), with its probability spread evenly over them, so
that quantiles and medians are continuous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Units 0…999: every number that a Llama 3 tokenizer writes as one token.
PRICES = 1000
_UNITS = np.arange(PRICES, dtype=np.float64)
_EDGES = np.arange(PRICES + 1, dtype=np.float64) - 0.5
# How far around a price, as a share of it, its density is measured.
_SMOOTH = 0.05
_BLOCKS = " ▁▂▃▄▅▆▇█"


@dataclass(frozen=True, eq=False)
class PriceDistribution:
    """Probabilities of the prices 0–999 in units.

    Args:
        probabilities: shape (1000,), not negative; scaled to sum to 1.
        untold: share of the probability that its source did not tell, and that is spread over prices by assumption.

    Raises:
        ValueError: another shape, a negative or non-finite number, or a sum of zero.
    """

    probabilities: NDArray[np.float64]
    untold: float = 0.0

    def __post_init__(self) -> None:
        values = np.array(self.probabilities, dtype=np.float64)
        if values.shape != (PRICES,):
            raise ValueError(f"a price distribution has shape ({PRICES},), not {values.shape}")
        total = values.sum()
        if not np.isfinite(total) or total <= 0 or (values < 0).any():
            raise ValueError("probabilities must be finite, not negative, and not all zero")
        values /= total
        values.flags.writeable = False
        object.__setattr__(self, "probabilities", values)

    @classmethod
    def from_log_probabilities(cls, log_probabilities: ArrayLike) -> PriceDistribution:
        """From logarithms, shape (1000,), up to a constant; -inf is a price that cannot be."""
        logs = np.asarray(log_probabilities, dtype=np.float64)
        return cls(np.exp(logs - logs.max()))

    @classmethod
    def blend(
        cls, distributions: Sequence[PriceDistribution], weights: Sequence[float] | None = None
    ) -> PriceDistribution:
        """The weighted mixture (linear opinion pool) of several distributions."""
        return cls(
            np.average([d.probabilities for d in distributions], axis=0, weights=weights),
            untold=float(np.average([d.untold for d in distributions], weights=weights)),
        )

    @cached_property
    def _cumulative(self) -> NDArray[np.float64]:
        """Probability below each edge, shape (1001,), from 0 to 1."""
        return np.concatenate([[0.0], np.minimum(np.cumsum(self.probabilities), 1.0)])

    def cdf(self, price: ArrayLike) -> NDArray[np.float64]:
        """Probability of a price at or below `price` (units, any shape)."""
        return np.interp(np.asarray(price, dtype=np.float64), _EDGES, self._cumulative)

    def quantile(self, level: ArrayLike) -> NDArray[np.float64]:
        """The prices, in units and not below 0, that the given shares of the probability lie under."""
        cumulative = self._cumulative / self._cumulative[-1]
        # Only edges of units that have probability: the two ends of a gap stay, so that no quantile falls into it.
        filled = np.diff(cumulative) > 0
        keep = np.append(filled, False) | np.insert(filled, 0, False)
        return np.maximum(np.interp(np.asarray(level, dtype=np.float64), cumulative[keep], _EDGES[keep]), 0.0)

    @property
    def median(self) -> float:
        """The price with the least expected absolute error, in units."""
        return float(self.quantile(0.5))

    @property
    def mean(self) -> float:
        """The price with the least expected squared error, in units."""
        return float(self.probabilities @ _UNITS)

    @property
    def mode(self) -> int:
        """The most probable whole price, in units."""
        return int(self.probabilities.argmax())

    def interval(self, coverage: float) -> tuple[float, float]:
        """The central interval, in units, that holds `coverage` of the probability.

        Raises:
            ValueError: a coverage outside of (0, 1].
        """
        if not 0 < coverage <= 1:
            raise ValueError(f"coverage must lie in (0, 1], not {coverage}")
        low, high = self.quantile([(1 - coverage) / 2, (1 + coverage) / 2])
        return float(low), float(high)

    @cached_property
    def _densest(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """All units, from that of the median outward where prices lie densest, and the probability before each.

        Density is smoothed, since round prices stick out, and falls outward on either side by its running minimum.
        """
        centre = self._unit(self.median)
        low = np.maximum(_UNITS * (1 - _SMOOTH) - 1, _EDGES[0])
        high = np.minimum(_UNITS * (1 + _SMOOTH) + 1, _EDGES[-1])
        density = (self.cdf(high) - self.cdf(low)) / (high - low)
        below, above = density[centre::-1], density[centre:]
        density = np.concatenate([np.minimum.accumulate(below)[:0:-1], np.minimum.accumulate(above)])
        density[centre] = np.inf
        order = np.lexsort((np.abs(_UNITS - centre), -density))
        return order, np.concatenate([[0.0], np.cumsum(self.probabilities[order])])

    def dense_interval(self, coverage: float) -> tuple[float, float]:
        """The interval, in units, that holds `coverage` where prices lie densest around the median.

        Prices have a long upper tail: it is narrower than the central one, and lies lower. One of less coverage lies
        within one of more.

        Raises:
            ValueError: a coverage outside of (0, 1].
        """
        if not 0 < coverage <= 1:
            raise ValueError(f"coverage must lie in (0, 1], not {coverage}")
        order, before = self._densest
        count = min(max(int(np.searchsorted(before, coverage)), 1), PRICES)
        last, held = int(order[count - 1]), order[:count]
        low, high = _EDGES[held.min()], _EDGES[held.max() + 1]
        # Of the last unit only as much as is wanted.
        share = min((coverage - before[count - 1]) / self.probabilities[last], 1.0) if self.probabilities[last] else 1.0
        if count == 1:
            low, high = self.median - share * (self.median - low), self.median + share * (high - self.median)
        elif last == held.min():
            low = _EDGES[last + 1] - share
        else:
            high = _EDGES[last] + share
        return max(float(low), 0.0), float(high)

    def dense_coverage(self, price: float) -> float:
        """The coverage at which `dense_interval` comes to hold `price` units."""
        if not _EDGES[0] <= price <= _EDGES[-1]:
            return 1.0
        order, before = self._densest
        unit = self._unit(price)
        place = int(np.flatnonzero(order == unit)[0])
        if place == 0:
            end = _EDGES[unit] if price < self.median else _EDGES[unit + 1]
            share = (price - self.median) / (end - self.median) if end != self.median else 0.0
        else:
            share = _EDGES[unit + 1] - price if price < self.median else price - _EDGES[unit]
        return min(float(before[place] + share * self.probabilities[unit]), 1.0)

    @staticmethod
    def _unit(price: float) -> int:
        """The unit that a price rounds to."""
        return min(max(int(np.floor(price + 0.5)), 0), PRICES - 1)

    def probability_above(self, price: float) -> float:
        """Probability that the true price is above `price` units."""
        return float(1 - self.cdf(price))

    def probability_within(self, price: float, share: float) -> float:
        """Probability that the true price lies within `share` (0.2: 20 %) of `price` units."""
        low, high = self.cdf([price * (1 - share), price * (1 + share)])
        return float(high - low)

    def expected_absolute_error(self, price: float) -> float:
        """Mean distance, in units, of the true price from `price`."""
        return float(self.probabilities @ np.abs(_UNITS - price))

    def to_text(self, width: int = 60) -> str:
        """A one-line drawing of the bulk of the distribution, with its ends in units."""
        low, high = self.quantile([0.01, 0.99])
        edges = np.linspace(low, max(high, low + 1), width + 1)
        mass = np.diff(self.cdf(edges))
        bars = np.round(mass / mass.max() * (len(_BLOCKS) - 1)).astype(int)
        return f"{low:.0f} {''.join(_BLOCKS[bar] for bar in bars)} {edges[-1]:.0f}"

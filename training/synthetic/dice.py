"""Chance that rolls the same everywhere: built on `Random.random` alone, whose sequence Python guarantees for a seed.

`Random.choice`, `gauss` and the like may change between versions; sets and `hash` differ between runs.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Mapping, Sequence
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")


class Wheel(Generic[T]):
    """Items with weights, to draw from in logarithmic time."""

    def __init__(self, weights: Mapping[T, float]) -> None:
        self.items: tuple[T, ...] = tuple(weights)
        self._edges = tuple(accumulate(weights.values()))

    def draw(self, dice: Dice) -> T:
        """One item, as often as its weight says."""
        index = bisect(self._edges, dice.random() * self._edges[-1])
        return self.items[min(index, len(self.items) - 1)]


class Dice:
    """The chance of one record: a function of the catalogue's seed and the record's number, of nothing else."""

    __slots__ = ("random",)

    def __init__(self, seed: int, number: int) -> None:
        self.random = Random((seed << 64) + number).random

    def chance(self, probability: float) -> bool:
        """True as often as `probability` says."""
        return self.random() < probability

    def pick(self, items: Sequence[T]) -> T:
        """One of the items, all equally likely."""
        return items[int(self.random() * len(items))]

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.random() * (high - low + 1))

    def normal(self, mean: float = 0.0, sd: float = 1.0) -> float:
        """A normally distributed number (Box and Muller)."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.random()))
        return mean + sd * radius * math.cos(2.0 * math.pi * self.random())

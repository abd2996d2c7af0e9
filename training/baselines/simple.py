"""Prices without a look at the book: what any method must beat."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ..book import Book
from .base import Baseline


class RandomBaseline(Baseline):
    """A whole price from 0 to 999, each as likely, as in the published method; drawn from the book's own text."""

    name = "random"
    title = "Random"

    def _fit(self, books: Sequence[Book], prices: NDArray[np.float64]) -> None:
        pass

    def _predict(self, books: Sequence[Book]) -> NDArray[np.float64]:
        digests = (hashlib.sha256(book.model_dump_json(exclude={"price"}).encode()).digest() for book in books)
        return np.array([int.from_bytes(digest[:8]) % 1000 for digest in digests], dtype=np.float64)

    @classmethod
    def _read(cls, folder: Path, settings: dict[str, Any]) -> Self:
        return cls()


class _Constant(Baseline):
    """One price for every book."""

    statistic: ClassVar[Any]

    def _fit(self, books: Sequence[Book], prices: NDArray[np.float64]) -> None:
        self._price = float(self.statistic(prices))

    def _predict(self, books: Sequence[Book]) -> NDArray[np.float64]:
        return np.full(len(books), self._price)

    def _write(self, folder: Path) -> dict[str, Any]:
        return {"price": self._price}

    @classmethod
    def _read(cls, folder: Path, settings: dict[str, Any]) -> Self:
        baseline = cls()
        baseline._price = float(settings["price"])
        return baseline


class MeanBaseline(_Constant):
    """The mean price of the training books."""

    name = "mean"
    title = "Constant (mean)"
    statistic = staticmethod(np.mean)


class MedianBaseline(_Constant):
    """The median price of the training books: of all constants the one with the least absolute error."""

    name = "median"
    title = "Constant (median)"
    statistic = staticmethod(np.median)

"""What all baselines share: the interface of scikit-learn's regressors over books, checks, and a folder on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..book import Book
from ..dataset import MAX_UNITS, MIN_UNITS
from ..errors import InputError
from ..saving import check_manifest, write_manifest

# Books looked at together in one prediction: it bounds the memory that their vectors take.
_BATCH = 5000
_ONE_THREAD = 20_000


@contextmanager
def one_thread(n: int) -> Iterator[None]:
    """Keep OpenMP to one thread for n books where more gain nothing, and cost much on cores that others use."""
    import sklearn.ensemble  # noqa: F401  (loads the OpenMP that is limited)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1 if n <= _ONE_THREAD else None, user_api="openmp"):
        yield


class Baseline(ABC):
    """Prices books from what it takes out of each: uncut text, fields, or nothing.

    Subclasses give `_fit`, `_predict`, `_write` and `_read`.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def fit(self, books: Sequence[Book], prices: ArrayLike) -> Self:
        """Learn from n books and their prices in units, shape (n,).

        Raises:
            InputError: no books, or prices that are not one positive number each.
        """
        units = np.array(prices, dtype=np.float64)
        if not len(books) or units.shape != (len(books),) or not (np.isfinite(units) & (units > 0)).all():
            raise InputError(f"{self.title} needs books with one positive price each, not {len(books)} books")
        self._fit(books, units)
        return self

    def predict(self, books: Sequence[Book]) -> NDArray[np.float64]:
        """Prices in units, shape (n,), each of its book alone and within what a model can answer."""
        parts = [self._predict(books[start : start + _BATCH]) for start in range(0, len(books), _BATCH)]
        prices = np.concatenate(parts) if parts else np.zeros(0)
        return np.clip(prices.astype(np.float64), MIN_UNITS, MAX_UNITS)

    def save(self, folder: Path) -> None:
        """Write into `folder`, made where it is not there; see `saving` for the formats."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = self._write(folder)
        write_manifest(folder, self.name, self._files(), settings)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: another kind of folder, or a file that was changed, or holds what no baseline is made of.
        """
        settings = check_manifest(folder, cls.name)
        try:
            return cls._read(folder, settings)
        except InputError:
            raise
        except Exception as error:  # hashes fit, but the contents are not what this class writes
            raise InputError(
                f"{folder} is not a readable {cls.title.lower()} ({type(error).__name__}); fit the baselines again"
            ) from error

    @abstractmethod
    def _fit(self, books: Sequence[Book], prices: NDArray[np.float64]) -> None: ...

    @abstractmethod
    def _predict(self, books: Sequence[Book]) -> NDArray[np.float64]: ...

    def _files(self) -> Iterable[str]:
        """Names of the files that `_write` writes."""
        return ()

    def _write(self, folder: Path) -> dict[str, Any]:
        """Write the files, and give what is small enough for the manifest."""
        return {}

    @classmethod
    @abstractmethod
    def _read(cls, folder: Path, settings: dict[str, Any]) -> Self: ...

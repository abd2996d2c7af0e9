"""The index of priced books: the most similar ones to a book, and what they cost. Knows vectors, prices and editions.

Similarity is the cosine of the books' sentence vectors (`vectors`), reduced by an uncentred principal component
analysis to at most 256 dimensions, which costs 0.1 of a mean absolute error of 25 (128 cost 0.4). Search is exact
(faiss, flat inner product): about 70 ms for a book among 250,000 on two shared cores, 12 ms for each of a batch.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .book import Book
from .dataset import work_of
from .errors import InputError
from .saving import check_manifest, read_array, write_manifest
from .vectors import DIMENSIONS, FIELDS, book_vectors, field_texts

KIND = "neighbours"
# Dimensions that are kept, and as many books as they are fitted on.
COMPONENTS, _SAMPLE = 256, 20_000
# Books embedded at a time: 5 * 256 float32 each.
_BATCH = 10_000


@dataclass(frozen=True)
class Neighbours:
    """The k most similar books of each of n, the most similar first; all shapes (n, k).

    Where there are fewer, the index is -1, the similarity -inf and the price NaN.
    """

    indices: NDArray[np.int64]
    similarities: NDArray[np.float32]
    prices: NDArray[np.float64]


class NeighbourIndex:
    """Priced books, found by similarity.

    Example:
        >>> index = NeighbourIndex().fit([Book(title="Emma"), Book(title="Algebra II")], [8.0, 90.0])
        >>> index.query([Book(title="Emma, a novel")], k=1).prices.tolist()
        [[8.0]]
    """

    prices: NDArray[np.float64]

    def fit(self, books: Sequence[Book], prices: ArrayLike) -> NeighbourIndex:
        """Index books, n of them, with their prices in units, shape (n,).

        Raises:
            InputError: no books, or another number of prices.
        """
        self.prices = np.array(prices, dtype=np.float64)
        if not len(books) or self.prices.shape != (len(books),):
            raise InputError(f"{len(books)} books and {self.prices.size} prices make no index; give one price a book")
        sample = book_vectors([books[i] for i in np.unique(np.linspace(0, len(books) - 1, _SAMPLE).astype(int))])
        # Principal axes without centring: projections keep inner products, exactly where there are few books.
        if len(sample) < sample.shape[1]:
            axes = np.linalg.svd(sample, full_matrices=False)[2].T
        else:
            axes = np.linalg.eigh((sample.T @ sample).astype(np.float64))[1][:, ::-1]
        self._axes = np.ascontiguousarray(axes[:, :COMPONENTS], dtype=np.float32)
        self._groups = groups_of(books)
        self._set_vectors(self._project(books))
        return self

    def query(self, books: Sequence[Book], k: int = 20, *, exclude_group: bool = False) -> Neighbours:
        """The `k` most similar priced books of each book.

        Args:
            books: n books.
            k: how many neighbours.
            exclude_group: leave out every edition of the book itself (same title and author). Always do so for books
                that the index holds when something is to be learnt from the answer: a book's own price gives it away.
        """
        return self._search(self._project(books), groups_of(books), k, exclude_group)

    def query_own(self, k: int = 20) -> Neighbours:
        """The neighbours of the index's own books, without themselves and their other editions."""
        return self._search(self._vectors, self._groups, k, exclude_group=True)

    def __len__(self) -> int:
        return len(self.prices)

    def save(self, folder: Path) -> None:
        """Write arrays (.npy, to be mapped into memory) and a manifest with their hashes."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, NDArray[Any]] = {
            "vectors": self._vectors,
            "axes": self._axes,
            "prices": self.prices,
            "groups": self._groups,
        }
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        write_manifest(folder, KIND, [f"{name}.npy" for name in arrays])

    @classmethod
    def load(cls, folder: Path) -> NeighbourIndex:
        """Read what `save` wrote.

        Raises:
            InputError: not an index, or a file of it was changed.
        """
        check_manifest(folder, KIND)
        index = cls()
        vectors, index._axes, index.prices, index._groups = (
            read_array(folder / f"{name}.npy", kind)
            for name, kind in (("vectors", np.float32), ("axes", np.float32), ("prices", float), ("groups", np.int64))
        )
        fits = vectors.ndim == 2 and index._axes.shape == (len(FIELDS) * DIMENSIONS, vectors.shape[1])
        if not fits or not index.prices.shape == index._groups.shape == vectors.shape[:1] or not len(vectors):
            raise InputError(f"{folder} does not fit this version's vectors; fit the baselines again")
        index._set_vectors(vectors)
        return index

    def _project(self, books: Sequence[Book]) -> NDArray[np.float32]:
        parts = [book_vectors(books[i : i + _BATCH]) @ self._axes for i in range(0, len(books), _BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self._axes.shape[1]), np.float32)

    def _set_vectors(self, vectors: NDArray[np.float32]) -> None:
        logging.getLogger("faiss").setLevel(logging.WARNING)  # it tells of each instruction set that it tries
        import faiss

        self._vectors = vectors
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(np.ascontiguousarray(vectors))
        self._largest_group = int(np.unique(self._groups, return_counts=True)[1].max())

    def _search(
        self, vectors: NDArray[np.float32], groups: NDArray[np.int64], k: int, exclude_group: bool
    ) -> Neighbours:
        wanted = min(k + (self._largest_group if exclude_group else 0), len(self))
        if len(vectors):
            similarities, indices = self._index.search(np.ascontiguousarray(vectors), wanted)
        else:
            similarities, indices = np.zeros((0, wanted), np.float32), np.zeros((0, wanted), np.int64)
        if exclude_group:
            excluded = self._groups[indices] == groups[:, None]
            # A stable sort of "is excluded" moves those to the end and keeps the order of the others.
            order = np.argsort(excluded, axis=1, kind="stable")
            excluded, similarities, indices = (
                np.take_along_axis(array, order, axis=1) for array in (excluded, similarities, indices)
            )
            indices = np.where(excluded, -1, indices)
        pad = ((0, 0), (0, max(0, k - indices.shape[1])))
        indices = np.pad(indices[:, :k], pad, constant_values=-1)
        missing = indices < 0
        similarities = np.where(missing, -np.inf, np.pad(similarities[:, :k], pad)).astype(np.float32)
        return Neighbours(indices, similarities, np.where(missing, np.nan, self.prices[indices]))


def groups_of(books: Sequence[Book]) -> NDArray[np.int64]:
    """A number for each book's title and author, the same for all its editions; shape (n,)."""
    works = map(work_of, books)
    # Books without title and author are no editions of one another.
    keys = (work if work.strip("| ") else "\n".join(field_texts(book)) for work, book in zip(works, books, strict=True))
    digests = (hashlib.sha256(key.encode(errors="replace")).digest()[:8] for key in keys)
    return np.array([int.from_bytes(digest, signed=True) for digest in digests], dtype=np.int64)

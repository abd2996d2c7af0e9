"""The index of priced books: the most similar ones to a book, and what they cost. Knows vectors, prices and editions.

Similarity is the cosine of the books' sentence vectors (`vectors`, or those of another embedding), reduced by an
uncentred principal component analysis to at most 256 dimensions, which costs 0.1 of a mean absolute error of 25 (128
cost 0.4). Up to 20,000 books are all compared. More are kept in clusters (an inverted file; Jégou, Douze, Schmid,
PAMI 2011), of which a search reads the nearest few off the mapped file: see `tests/bench/bench_comparables.py`.
"""

from __future__ import annotations

import hashlib
import logging
import math
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
from .vectors import Embed, book_vectors, field_texts

KIND = "neighbours"
# Dimensions that are kept, and as many books as they are fitted on.
COMPONENTS, _SAMPLE = 256, 20_000
# Books embedded at a time: 5 * 256 float32 each.
_BATCH = 10_000
# As many books are searched one and all; beyond, the share of the clusters that a search reads, and how many at least.
EXACT_BOOKS = 20_000
_PROBED_SHARE, _PROBED_LEAST = 0.04, 16
# Books a cluster that k-means is fitted on, and its rounds.
_FITTED, _ROUNDS = 40, 8
_INNER = 0  # faiss.METRIC_INNER_PRODUCT


@dataclass(frozen=True)
class Neighbours:
    """The k most similar books of each of n, the most similar first; all shapes (n, k).

    Where there are fewer, the index is -1, the similarity -inf and the price NaN.
    """

    indices: NDArray[np.int64]
    similarities: NDArray[np.float32]
    prices: NDArray[np.float64]

    def first(self, k: int) -> Neighbours:
        """The `k` most similar of them."""
        return Neighbours(self.indices[:, :k], self.similarities[:, :k], self.prices[:, :k])


class NeighbourIndex:
    """Priced books, found by similarity.

    Args:
        embed: texts to vectors; WordLlama's, which need no network, where None. An index answers only to the embedding
            that it was fitted with.
        components: the most dimensions to keep; fewer make a smaller index.

    Example:
        >>> index = NeighbourIndex().fit([Book(title="Emma"), Book(title="Algebra II")], [8.0, 90.0])
        >>> index.query([Book(title="Emma, a novel")], k=1).prices.tolist()
        [[8.0]]
    """

    prices: NDArray[np.float64]

    def __init__(self, embed: Embed | None = None, components: int = COMPONENTS) -> None:
        self._embed = embed
        self._components = components

    def fit(self, books: Sequence[Book], prices: ArrayLike) -> NeighbourIndex:
        """Index books, n of them, with their prices in units, shape (n,).

        Raises:
            InputError: no books, or another number of prices.
        """
        self.prices = np.array(prices, dtype=np.float64)
        if not len(books) or self.prices.shape != (len(books),):
            raise InputError(f"{len(books)} books and {self.prices.size} prices make no index; give one price a book")
        chosen = [books[i] for i in np.unique(np.linspace(0, len(books) - 1, _SAMPLE).astype(int))]
        sample = book_vectors(chosen, self._embed)
        # Principal axes without centring: projections keep inner products, exactly where there are few books.
        if len(sample) < sample.shape[1]:
            axes = np.linalg.svd(sample, full_matrices=False)[2].T
        else:
            axes = np.linalg.eigh((sample.T @ sample).astype(np.float64))[1][:, ::-1]
        self._axes = np.ascontiguousarray(axes[:, : self._components], dtype=np.float32)
        self._groups = groups_of(books)
        vectors = self._project(books)
        count = 1 if len(books) <= EXACT_BOOKS else round(2 * math.sqrt(len(books)))
        self._centroids = _cluster(vectors, count)
        cluster = (
            _faiss().knn(vectors, self._centroids, 1, metric=_INNER)[1][:, 0] if count > 1 else np.zeros(len(books))
        )
        self._order = np.argsort(cluster, kind="stable")
        self._starts = np.searchsorted(cluster[self._order], np.arange(count + 1)).astype(np.int64)
        self._set_vectors(vectors[self._order])
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
        return self._search(self._vectors[np.argsort(self._order)], self._groups, k, exclude_group=True)

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
        if len(self._centroids) > 1:
            arrays |= {"centroids": self._centroids, "starts": self._starts, "order": self._order}
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        write_manifest(folder, KIND, [f"{name}.npy" for name in arrays], {"clustered": len(self._centroids) > 1})

    @classmethod
    def load(cls, folder: Path, embed: Embed | None = None) -> NeighbourIndex:
        """Read what `save` wrote; `embed` as it was fitted with.

        Raises:
            InputError: not an index, a file of it was changed, or it was fitted with another embedding.
        """
        settings = check_manifest(folder, KIND)
        index = cls(embed)
        vectors, index._axes, index.prices, index._groups = (
            read_array(folder / f"{name}.npy", kind)
            for name, kind in (("vectors", np.float32), ("axes", np.float32), ("prices", float), ("groups", np.int64))
        )
        n = len(vectors)
        if settings.get("clustered"):
            index._centroids, index._starts, index._order = (
                read_array(folder / f"{name}.npy", kind)
                for name, kind in (("centroids", np.float32), ("starts", np.int64), ("order", np.int64))
            )
        else:
            index._centroids, index._starts = np.zeros((1, vectors.shape[-1]), np.float32), np.array([0, n])
            index._order = np.arange(n)
        fits = vectors.ndim == 2 and index._axes.ndim == 2 and index._axes.shape[1] == vectors.shape[1]
        fits = fits and index._centroids.ndim == 2 and index._centroids.shape[1] == vectors.shape[1]
        shapes = index.prices.shape == index._groups.shape == index._order.shape == vectors.shape[:1]
        if not fits or not shapes or not n or not _is_clustering(index._starts, index._order, len(index._centroids)):
            raise InputError(f"{folder} does not fit this version's vectors; fit the baselines again")
        if index._axes.shape[0] != book_vectors([Book(title="book")], embed).shape[1]:
            raise InputError(f"{folder} was fitted with another embedding; load it with that one, or fit it again")
        index._set_vectors(vectors)
        return index

    def _project(self, books: Sequence[Book]) -> NDArray[np.float32]:
        parts = [book_vectors(books[i : i + _BATCH], self._embed) @ self._axes for i in range(0, len(books), _BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, self._axes.shape[1]), np.float32)

    def _set_vectors(self, vectors: NDArray[np.float32]) -> None:
        """`vectors`, shape (n, d), in the order of `_order`: cluster by cluster."""
        self._vectors = vectors
        self._largest_group = int(np.unique(self._groups, return_counts=True)[1].max())

    def _search(
        self, vectors: NDArray[np.float32], groups: NDArray[np.int64], k: int, exclude_group: bool
    ) -> Neighbours:
        wanted = min(k + (self._largest_group if exclude_group else 0), len(self))
        if not len(vectors):
            similarities, indices = np.zeros((0, wanted), np.float32), np.zeros((0, wanted), np.int64)
        elif len(self._centroids) > 1:
            similarities, indices = self._search_clusters(np.ascontiguousarray(vectors), wanted)
        else:
            similarities, indices = _faiss().knn(np.ascontiguousarray(vectors), self._vectors, wanted, metric=_INNER)
        indices = np.where(indices >= 0, self._order[indices], -1)
        if exclude_group:
            excluded = (self._groups[indices] == groups[:, None]) | (indices < 0)
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

    def _search_clusters(
        self, vectors: NDArray[np.float32], wanted: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """As faiss' `knn`, over the books of each vector's nearest clusters; -1 where those hold fewer."""
        count = len(self._centroids)
        probed = min(count, max(_PROBED_LEAST, round(_PROBED_SHARE * count), math.ceil(4 * wanted * count / len(self))))
        nearest = _faiss().knn(vectors, self._centroids, probed, metric=_INNER)[1]
        similarities = np.full((len(vectors), wanted), -np.inf, np.float32)
        indices = np.full((len(vectors), wanted), -1, np.int64)
        for row, (vector, clusters) in enumerate(zip(vectors, nearest, strict=True)):
            ranges = [(self._starts[c], self._starts[c + 1]) for c in clusters]
            found = np.concatenate([self._vectors[start:end] @ vector for start, end in ranges])
            rows = np.concatenate([np.arange(start, end) for start, end in ranges])
            best = np.argpartition(-found, wanted - 1)[:wanted] if wanted < len(found) else np.arange(len(found))
            best = best[np.argsort(-found[best], kind="stable")]
            similarities[row, : len(best)], indices[row, : len(best)] = found[best], rows[best]
        return similarities, indices


def _cluster(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The centres of `count` clusters by spherical k-means, shape (count, d)."""
    if count == 1:
        return np.zeros((1, vectors.shape[1]), np.float32)
    kmeans = _faiss().Kmeans(
        vectors.shape[1], count, niter=_ROUNDS, spherical=True, seed=0, max_points_per_centroid=_FITTED
    )
    kmeans.train(vectors)
    return np.ascontiguousarray(kmeans.centroids, dtype=np.float32)


def _is_clustering(starts: NDArray[np.int64], order: NDArray[np.int64], count: int) -> bool:
    """Whether each of n books is in one cluster: what a search relies on."""
    n = len(order)
    ends_fit = len(starts) == count + 1 and starts[0] == 0 and starts[-1] == n
    return bool(ends_fit and (np.diff(starts) >= 0).all() and (np.bincount(order.clip(0, n), minlength=n) == 1).all())


def _faiss() -> Any:
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it tells of each instruction set that it tries
    import faiss

    return faiss


def groups_of(books: Sequence[Book]) -> NDArray[np.int64]:
    """A number for each book's title and author, the same for all its editions; shape (n,)."""
    works = map(work_of, books)
    # Books without title and author are no editions of one another.
    keys = (work if work.strip("| ") else "\n".join(field_texts(book)) for work, book in zip(works, books, strict=True))
    digests = (hashlib.sha256(key.encode(errors="replace")).digest()[:8] for key in keys)
    return np.array([int.from_bytes(digest, signed=True) for digest in digests], dtype=np.int64)

"""Baselines on sentence vectors: nearest neighbours, a kernel regression, and boosting that sees the neighbours too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..book import Book
from ..neighbours import NeighbourIndex, Neighbours
from ..saving import load_estimator, read_array, save_estimator
from ..vectors import DIMENSIONS, FIELDS, book_vectors, field_vectors
from .base import Baseline, one_thread
from .features import NAMES, NUMBERS, feature_table
from .tabular import ENCODER_FOLDS, TableRegression, target_encoder

# Neighbours asked, and how fast their weight falls with similarity; tuned by grouped cross-validation.
K, SHARPNESS = 30, 20.0
# Columns of `neighbour_features`.
NEIGHBOUR_FEATURES = 5
_INDEX = "index"
# Columns of a book's vector in a table.
_VECTOR = [f"vector{i}" for i in range(DIMENSIONS * len(FIELDS))]


def neighbour_weights(neighbours: Neighbours) -> NDArray[np.float64]:
    """Weights that sum to 1 for each book (0 where there is no neighbour at all), shape (n, k)."""
    found = neighbours.indices >= 0
    best = neighbours.similarities.max(axis=1, initial=-1.0, keepdims=True)
    weights = np.where(found, np.exp(SHARPNESS * (neighbours.similarities - best)), 0.0)
    total = weights.sum(axis=1, keepdims=True)
    return weights / np.where(total > 0, total, 1)


def neighbour_features(neighbours: Neighbours) -> NDArray[np.float64]:
    """What neighbours say, shape (n, 5): weighted mean and median log price, the nearest's, its similarity, spread.

    NaN where there is no neighbour.
    """
    weights, logs = neighbour_weights(neighbours), np.log(neighbours.prices)
    mean = np.nansum(weights * logs, axis=1)
    order = np.argsort(np.where(np.isnan(logs), np.inf, logs), axis=1)
    cumulative = np.take_along_axis(weights, order, axis=1).cumsum(axis=1)
    middle = (cumulative >= 0.5 - 1e-9).argmax(axis=1)[:, None]
    median = np.take_along_axis(np.take_along_axis(logs, order, axis=1), middle, axis=1)[:, 0]
    spread = np.sqrt(np.nansum(weights * (logs - mean[:, None]) ** 2, axis=1))
    features = np.column_stack([mean, median, logs[:, 0], neighbours.similarities[:, 0], spread])
    features[neighbours.indices[:, 0] < 0] = np.nan
    return features


class NeighboursBaseline(Baseline):
    """The mean of the log prices of the thirty most similar books, weighted by similarity."""

    name = "neighbours"
    title = "Nearest neighbours"

    def _fit(self, books: Sequence[Book], prices: NDArray[np.float64]) -> None:
        self.index = NeighbourIndex().fit(books, prices)

    def _predict(self, books: Sequence[Book]) -> NDArray[np.float64]:
        return np.exp(neighbour_features(self.index.query(books, K))[:, 0])

    def save(self, folder: Path) -> None:
        """Write the index, which has its own manifest."""
        self.index.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the index."""
        return cls._read(folder, {})

    @classmethod
    def _read(cls, folder: Path, settings: dict[str, Any]) -> Self:
        baseline = cls()
        baseline.index = NeighbourIndex.load(folder)
        return baseline


class KernelRidgeBaseline(TableRegression):
    """Kernel ridge regression (Saunders, Gammerman, Vovk, ICML 1998), the mean of a Gaussian process.

    One Gaussian kernel over a book's sentence vector, its numbers and its encoded names, each weighted: books are as
    alike as all of these are. The kernel is exact, so that time and memory grow with the square of the books; of more
    than `LIMIT` a sample is learnt from.
    """

    name = "kernel_ridge"
    title = "Kernel ridge"
    # Tuned by grouped cross-validation: weights of unit vectors and of standardized columns, kernel width, penalty.
    WEIGHTS: ClassVar = {"vectors": 1.5, "numbers": 0.25, "names": 0.15}
    GAMMA, ALPHA, COMPONENTS, LIMIT = 0.5, 0.06, 256, 6_000

    def _fit(self, books: Sequence[Book], prices: NDArray[np.float64]) -> None:
        chosen = np.sort(np.random.default_rng(0).permutation(len(books))[: self.LIMIT])
        super()._fit([books[i] for i in chosen], prices[chosen])

    def _table(self, books: Sequence[Book]) -> pd.DataFrame:
        vectors = pd.DataFrame(book_vectors(books), columns=_VECTOR)
        return pd.concat([feature_table(books), vectors], axis=1)

    def _pipeline(self, n: int) -> Any:
        from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
        from sklearn.decomposition import PCA
        from sklearn.impute import SimpleImputer
        from sklearn.kernel_ridge import KernelRidge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
        columns = [
            ("vectors", PCA(min(self.COMPONENTS, n), svd_solver="full"), _VECTOR),
            ("numbers", numbers, list(NUMBERS)),
        ]
        if n >= 2 * ENCODER_FOLDS:
            columns.append(("names", make_pipeline(target_encoder(), StandardScaler()), list(NAMES)))
        return TransformedTargetRegressor(
            make_pipeline(
                ColumnTransformer(columns, transformer_weights=self.WEIGHTS),
                KernelRidge(kernel="rbf", gamma=self.GAMMA, alpha=self.ALPHA),
            ),
            transformer=StandardScaler(with_std=False),
        )


class VectorBoostingBaseline(Baseline):
    """Gradient boosting on each field's sentence vector (16 principal components), the features, and the neighbours.

    Training books see the prices of neighbours that are other works only, as new books do.
    """

    name = "vector_boosting"
    title = "Boosting on sentence vectors"
    COMPONENTS = 16

    def _fit(self, books: Sequence[Book], prices: NDArray[np.float64]) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor

        logs = np.log(prices)
        vectors = field_vectors(books)
        self._centre = vectors.mean(axis=0)
        self._axes = np.stack([_axes(vectors[:, i] - self._centre[i], self.COMPONENTS) for i in range(len(FIELDS))])
        self.index = NeighbourIndex().fit(books, prices)
        table = feature_table(books)
        self._encoder = None
        names = np.zeros((len(books), len(NAMES)))
        if len(books) >= 10:
            self._encoder = target_encoder()
            names = self._encoder.fit_transform(table[list(NAMES)], logs)
        self._model = HistGradientBoostingRegressor(
            learning_rate=0.05, max_iter=300, max_leaf_nodes=15, max_features=0.3, l2_regularization=1.0,
            min_samples_leaf=10, early_stopping=False, random_state=0,
        )  # fmt: skip
        matrix = self._matrix(table, names, vectors, self.index.query_own(K))
        with one_thread(len(books)):
            self._model.fit(matrix, logs)

    def _predict(self, books: Sequence[Book]) -> NDArray[np.float64]:
        table = feature_table(books)
        names = np.zeros((len(books), len(NAMES)))
        if self._encoder is not None:
            names = self._encoder.transform(table[list(NAMES)])
        matrix = self._matrix(table, names, field_vectors(books), self.index.query(books, K))
        with one_thread(len(books)):
            return np.exp(np.clip(self._model.predict(matrix), -10, 10))

    def _matrix(self, table: Any, names: Any, vectors: NDArray[np.float32], neighbours: Neighbours) -> NDArray[Any]:
        reduced = np.einsum("nfd,fdc->nfc", vectors - self._centre, self._axes).reshape(len(vectors), -1)
        numbers = table[list(NUMBERS)].to_numpy(dtype=np.float64)
        # Single precision, rounded: the order of a sum in a batch must not tip a split.
        matrix = np.hstack([numbers, names, np.round(reduced, 4), np.round(neighbour_features(neighbours), 4)])
        return np.nan_to_num(matrix, nan=-1.0, posinf=-1.0, neginf=-1.0)

    def _files(self) -> Iterable[str]:
        return ("model.skops", "centre.npy", "axes.npy", *(["encoder.skops"] if self._encoder is not None else []))

    def _write(self, folder: Path) -> dict[str, Any]:
        save_estimator(self._model, folder / "model.skops")
        if self._encoder is not None:
            save_estimator(self._encoder, folder / "encoder.skops")
        np.save(folder / "centre.npy", self._centre, allow_pickle=False)
        np.save(folder / "axes.npy", self._axes, allow_pickle=False)
        self.index.save(folder / _INDEX)
        return {"encoder": self._encoder is not None}

    @classmethod
    def _read(cls, folder: Path, settings: dict[str, Any]) -> Self:
        baseline = cls()
        baseline._model = load_estimator(folder / "model.skops")
        baseline._encoder = load_estimator(folder / "encoder.skops") if settings["encoder"] else None
        baseline._centre = read_array(folder / "centre.npy", np.float32)
        baseline._axes = read_array(folder / "axes.npy", np.float32)
        baseline.index = NeighbourIndex.load(folder / _INDEX)
        return baseline


def _axes(vectors: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The first principal axes of centred vectors, shape (256, count)."""
    _, axes = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    return np.ascontiguousarray(axes[:, ::-1][:, :count], dtype=np.float32).reshape(DIMENSIONS, count)

"""Regressions on the features of `features`: linear, and gradient boosting; both on the logarithm of the price.

The exponential of a mean of logarithms is close to the median, which is what the absolute error asks for: no smearing.
Names are target-encoded (Micci-Barreca, SIGKDD Explorations 2001) out of fold by scikit-learn's `TargetEncoder`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..book import Book
from ..saving import load_estimator, save_estimator
from .base import Baseline, one_thread
from .features import NAMES, NUMBERS, feature_table

_FILE = "model.skops"
# Fewer rows than this cannot be encoded out of fold in five parts.
ENCODER_FOLDS = 5


class TableRegression(Baseline):
    """A scikit-learn pipeline over a table of features, for the log price."""

    _model: Any

    def _pipeline(self, n: int) -> Any:
        """What to fit on `n` books."""
        raise NotImplementedError

    def _table(self, books: Sequence[Book]) -> pd.DataFrame:
        """One row a book."""
        return feature_table(books)

    def _fit(self, books: Sequence[Book], prices: NDArray[np.float64]) -> None:
        self._model = self._pipeline(len(books))
        with warnings.catch_warnings(), one_thread(len(books)):
            warnings.simplefilter("ignore")  # features that no training book has
            self._model.fit(self._table(books), np.log(prices))

    def _predict(self, books: Sequence[Book]) -> NDArray[np.float64]:
        with warnings.catch_warnings(), one_thread(len(books)):
            warnings.simplefilter("ignore")
            return np.exp(np.clip(self._model.predict(self._table(books)), -10, 10))

    def _files(self) -> Iterable[str]:
        return (_FILE,)

    def _write(self, folder: Path) -> dict[str, Any]:
        save_estimator(self._model, folder / _FILE)
        return {}

    @classmethod
    def _read(cls, folder: Path, settings: dict[str, Any]) -> Self:
        baseline = cls()
        baseline._model = load_estimator(folder / _FILE)
        return baseline


class LinearRegressionBaseline(TableRegression):
    """Linear regression with a small penalty; numbers standardized, frequent names one column each, all encoded."""

    name = "linear_regression"
    title = "Linear regression"

    def _pipeline(self, n: int) -> Any:
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
        columns = [
            ("numbers", numbers, list(NUMBERS)),
            ("names", OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5), list(NAMES)),
        ]
        if n >= 2 * ENCODER_FOLDS:
            columns.append(("means", make_pipeline(target_encoder(), StandardScaler()), list(NAMES)))
        return make_pipeline(ColumnTransformer(columns, sparse_threshold=0), Ridge(alpha=3.0))


class HistGradientBoostingBaseline(TableRegression):
    """Histogram gradient boosting (Ke et al., NeurIPS 2017; scikit-learn)."""

    name = "hist_gradient_boosting"
    title = "Histogram gradient boosting"

    def _pipeline(self, n: int) -> Any:
        from sklearn.compose import ColumnTransformer
        from sklearn.ensemble import HistGradientBoostingRegressor
        from sklearn.impute import SimpleImputer
        from sklearn.pipeline import make_pipeline

        # A number of its own says "not known": the trees' binning fails on a column without any number.
        unknown = SimpleImputer(strategy="constant", fill_value=-1.0, keep_empty_features=True)
        columns: list[Any] = [("numbers", unknown, list(NUMBERS))]
        if n >= 2 * ENCODER_FOLDS:
            columns.append(("means", target_encoder(), list(NAMES)))
        model = HistGradientBoostingRegressor(
            learning_rate=0.03, max_iter=300, max_leaf_nodes=8, max_features=0.5, l2_regularization=1.0,
            min_samples_leaf=10, early_stopping=False, random_state=0,
        )  # fmt: skip
        return make_pipeline(ColumnTransformer(columns), model)


def target_encoder() -> Any:
    """Each name's mean log price, shrunk towards the overall one; for training rows from the other folds."""
    from sklearn.model_selection import KFold
    from sklearn.preprocessing import TargetEncoder

    return TargetEncoder(target_type="continuous", cv=KFold(ENCODER_FOLDS, shuffle=True, random_state=0))

"""The cross-check's blend: what all methods say of a book, made into one price distribution. Knows numbers, no models.

A small gradient boosting reads the baselines' estimates, the nearest books' prices and similarities, and the ratings,
and corrects the methods' mean log price. It is fitted on out-of-fold estimates (stacking: Wolpert, Neural Networks
1992; Breiman, Machine Learning 1996), so that it learns whom to believe about new books, not about known ones. A second
one tells how far off the first is; with the errors' common shape that makes a distribution (a location-scale model).
A language model's distribution joins by a linear opinion pool, its weight fitted on books that it did not learn from:
out-of-fold estimates of a language model cost as many trainings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .baselines.base import one_thread
from .book import Book
from .calibration import MIN_BOOKS, Calibration
from .dataset import MAX_UNITS, MIN_UNITS
from .distribution import PRICES, PriceDistribution
from .errors import InputError
from .estimate import Agreement
from .neighbours import Neighbours, groups_of
from .saving import check_manifest, load_estimator, read_array, save_estimator, write_manifest

KIND = "blend"
# Baselines that say the same, or anything, of every book: nothing to blend.
UNINFORMATIVE = frozenset({"random", "mean", "median"})
# What `bookpricer train` blends: all that read the book, but Word2Vec, the weakest and by far the slowest to fit.
BLENDED = ("linear_regression", "hist_gradient_boosting", "neighbours", "tfidf_ridge", "vector_boosting")
NEIGHBOURS = 6
# The share of calibration books whose methods "agree" on the price, and beyond which they "disagree".
_AGREE, _DISAGREE = 0.5, 0.9
_FOLDS = 5
# Fewer books teach less than the methods' plain mean.
MIN_FIT_BOOKS = 200
_EDGES = np.arange(PRICES + 1) - 0.5
_LEAST_SCALE = 0.05
_UNKNOWN = -9.0


@dataclass(frozen=True)
class Opinions:
    """What each method says of n books, in units.

    Args:
        books: the books.
        baselines: name -> prices, shape (n,).
        neighbours: at least `NEIGHBOURS` of each book, none of them another edition of it where anything is fitted.
        distributions: the language model's, one a book; None without one.
    """

    books: Sequence[Book]
    baselines: Mapping[str, NDArray[np.float64]]
    neighbours: Neighbours
    distributions: Sequence[PriceDistribution] | None = None

    def select(self, rows: NDArray[np.int64]) -> Opinions:
        """The opinions of some of the books."""
        found = self.neighbours
        return Opinions(
            [self.books[row] for row in rows],
            {name: prices[rows] for name, prices in self.baselines.items()},
            Neighbours(found.indices[rows], found.similarities[rows], found.prices[rows]),
            None if self.distributions is None else [self.distributions[row] for row in rows],
        )


class Blend:
    """Makes one price distribution of a book's opinions. See the module's docstring."""

    calibration: Calibration | None = None

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._centre: Any = None
        self._scale: Any = None
        self._shape = np.zeros(0)
        self.llm_weight = 0.0
        self.agree, self.disagree = np.inf, np.inf

    @property
    def baselines(self) -> tuple[str, ...]:
        """Names of the baselines whose estimates it reads."""
        return self._names

    def fit(self, opinions: Opinions, prices: ArrayLike) -> Blend:
        """Learn whom to believe from out-of-fold opinions of n books and their prices in units, shape (n,).

        A language model's distributions are not read here: see `weigh`.

        Raises:
            InputError: fewer than 200 books, or no informative baseline.
        """
        units = np.asarray(prices, dtype=np.float64)
        if len(units) < MIN_FIT_BOOKS:
            raise InputError(f"the blend needs at least {MIN_FIT_BOOKS} training books, not {len(units)}")
        self._names = tuple(name for name in opinions.baselines if name not in UNINFORMATIVE)
        if not self._names:
            raise InputError("the blend needs a baseline that reads the books; fit them with `bookpricer baselines`")
        mean, matrix = self._matrix(opinions)
        target = np.log(units) - mean
        # How far off the blend is shows on books that it was not fitted on.
        folds = _folds(opinions.books)
        # A step of the logarithm is worth as many dollars as the book is: so the error in dollars is what is least.
        weights = np.exp(mean)
        corrections = np.zeros(len(units))
        for fold in range(_FOLDS):
            held = folds == fold
            others = _boosting("absolute_error").fit(matrix[~held], target[~held], sample_weight=weights[~held])
            corrections[held] = others.predict(matrix[held])
        residuals = target - corrections
        with one_thread(len(units)):
            self._centre = _boosting("absolute_error").fit(matrix, target, sample_weight=weights)
            # Fewer rounds: a spread is rough anyway, and must not learn single books.
            self._scale = _boosting("squared_error", 60, 40).fit(matrix, np.log(np.abs(residuals) + 0.02))
        shape = residuals / self._spread_of(matrix)
        # The median of the distribution is the centre itself.
        self._shape = np.quantile(shape - np.median(shape), np.linspace(0.002, 0.998, 250))
        return self

    def weigh(self, opinions: Opinions, prices: ArrayLike) -> Blend:
        """Find the weight of the language model's distribution, on books that it did not learn from.

        One number is chosen, by the mean absolute error of the pooled median.
        """
        assert opinions.distributions is not None
        units = np.asarray(prices, dtype=np.float64)
        own = self._own_distributions(opinions)
        errors = {}
        for weight in np.round(np.arange(0, 1.01, 0.1), 1):
            pooled = [_pool(a, b, float(weight)) for a, b in zip(own, opinions.distributions, strict=True)]
            errors[float(weight)] = np.abs(np.array([d.median for d in pooled]) - units).mean()
        self.llm_weight = min(errors, key=lambda weight: (round(errors[weight], 3), weight))
        return self

    def calibrate(self, opinions: Opinions, prices: ArrayLike) -> Blend:
        """Fit the intervals and the thresholds of agreement on books that nothing here learnt from.

        Raises:
            InputError: fewer than 20 books.
        """
        units = np.asarray(prices, dtype=np.float64)
        if len(units) < MIN_BOOKS:
            raise InputError(f"the blend's calibration needs at least {MIN_BOOKS} books, not {len(units)}")
        self.calibration = Calibration.fit(self.distributions(opinions), units.tolist())
        self.agree, self.disagree = (float(q) for q in np.quantile(self.spread(opinions), [_AGREE, _DISAGREE]))
        return self

    def distributions(self, opinions: Opinions) -> list[PriceDistribution]:
        """The blended price distribution of each book."""
        own = self._own_distributions(opinions)
        if opinions.distributions is None or not self.llm_weight:
            return own
        return [_pool(a, b, self.llm_weight) for a, b in zip(own, opinions.distributions, strict=True)]

    def spread(self, opinions: Opinions) -> NDArray[np.float64]:
        """How far the methods are apart: the standard deviation of their log prices, shape (n,)."""
        logs = self._logs(opinions.baselines)
        if opinions.distributions is not None:
            medians = np.log(np.maximum([d.median for d in opinions.distributions], MIN_UNITS))
            logs = np.column_stack([logs, medians])
        return np.asarray(logs.std(axis=1))

    def agreement(self, spread: float) -> Agreement:
        """`spread` in a word, by the thresholds of the calibration books."""
        return "agree" if spread <= self.agree else "mixed" if spread <= self.disagree else "disagree"

    def save(self, folder: Path) -> None:
        """Write into `folder`, made where it is not there: skops, .npy, JSON, and a manifest with hashes."""
        folder.mkdir(parents=True, exist_ok=True)
        save_estimator(self._centre, folder / "centre.skops")
        save_estimator(self._scale, folder / "scale.skops")
        np.save(folder / "shape.npy", self._shape, allow_pickle=False)
        files = ["centre.skops", "scale.skops", "shape.npy"]
        if self.calibration:
            self.calibration.save(folder / "calibration.json")
            files.append("calibration.json")
        settings = {
            "baselines": list(self._names), "llm_weight": self.llm_weight,
            "agree": min(self.agree, 1e9), "disagree": min(self.disagree, 1e9),
        }  # fmt: skip
        write_manifest(folder, KIND, files, settings)

    @classmethod
    def load(cls, folder: Path) -> Blend:
        """Read what `save` wrote.

        Raises:
            InputError: not a blend, or a file of it was changed.
        """
        settings = check_manifest(folder, KIND)
        blend = cls()
        try:
            blend._names = tuple(map(str, settings["baselines"]))
            blend.llm_weight, blend.agree, blend.disagree = (
                float(settings[name]) for name in ("llm_weight", "agree", "disagree")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder} does not fit this version; train the model again") from error
        blend._centre, blend._scale = (load_estimator(folder / f"{name}.skops") for name in ("centre", "scale"))
        blend._shape = read_array(folder / "shape.npy", np.float64)
        columns = _width(len(blend._names))
        fits = all(getattr(model, "n_features_in_", 0) == columns for model in (blend._centre, blend._scale))
        if not fits or blend._shape.ndim != 1 or len(blend._shape) < 2 or not 0 <= blend.llm_weight <= 1:
            raise InputError(f"{folder} does not fit this version; train the model again")
        if (folder / "calibration.json").is_file():
            blend.calibration = Calibration.load(folder / "calibration.json")
        return blend

    def _own_distributions(self, opinions: Opinions) -> list[PriceDistribution]:
        """Without the language model's."""
        mean, matrix = self._matrix(opinions)
        with one_thread(len(mean)):
            centres = np.clip(mean + self._centre.predict(matrix), np.log(MIN_UNITS), np.log(MAX_UNITS))
            scales = self._spread_of(matrix)
        return [_distribution(centre, scale, self._shape) for centre, scale in zip(centres, scales, strict=True)]

    def _spread_of(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.maximum(np.exp(np.clip(self._scale.predict(matrix), -5, 3)), _LEAST_SCALE))

    def _logs(self, baselines: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.log(np.column_stack([np.clip(baselines[name], MIN_UNITS, MAX_UNITS) for name in self._names]))

    def _matrix(self, opinions: Opinions) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The methods' mean log price, shape (n,), and what corrects it, shape (n, `_width`)."""
        logs = self._logs(opinions.baselines)
        mean = logs.mean(axis=1)
        found = opinions.neighbours
        pad = max(0, NEIGHBOURS - found.prices.shape[1])
        prices = np.pad(found.prices[:, :NEIGHBOURS], ((0, 0), (0, pad)), constant_values=np.nan)
        similarities = np.pad(found.similarities[:, :NEIGHBOURS], ((0, 0), (0, pad)), constant_values=-np.inf)
        ratings = [
            (
                np.nan if book.average_rating is None else book.average_rating,
                np.log1p(min(max(book.rating_number or 0, 0), 10**9)),
            )
            for book in opinions.books
        ]
        matrix = np.column_stack(
            [
                logs - mean[:, None],
                mean,
                logs.std(axis=1),
                np.log(prices) - mean[:, None],
                np.where(np.isfinite(similarities), similarities, 0.0),
                np.array(ratings, dtype=np.float64).reshape(-1, 2),
            ]
        )
        # Rounded: the order of a sum in a batch must not tip a split.
        # A number of its own says "not known": the trees' binning fails on a column without any number.
        return mean, np.nan_to_num(np.round(matrix, 4), nan=_UNKNOWN)


def fit_blend(
    train: Opinions,
    train_prices: ArrayLike,
    calibration: Opinions,
    calibration_prices: ArrayLike,
    folder: Path | None = None,
) -> Blend:
    """The whole blend of a model folder, and saved into `folder` where one is named.

    Args:
        train: out-of-fold estimates of the training books (`baselines.out_of_fold`) and neighbours that are other works
            (`NeighbourIndex.query_own`); distributions are not needed.
        train_prices: in units.
        calibration: the fitted methods' opinions of the calibration books, with the language model's distributions
            where there is one; they give its weight, the intervals, and the thresholds of agreement.
        calibration_prices: in units.

    Raises:
        InputError: too few books, or no informative baseline.
    """
    blend = Blend().fit(train, train_prices)
    if calibration.distributions is not None:
        blend.weigh(calibration, calibration_prices)
    blend.calibrate(calibration, calibration_prices)
    if folder is not None:
        blend.save(folder)
    return blend


def _width(baselines: int) -> int:
    return baselines + 2 + 2 * NEIGHBOURS + 2


def _boosting(loss: str, rounds: int = 100, least: int = 20) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(
        loss=loss, learning_rate=0.06, max_iter=rounds, max_leaf_nodes=8, max_features=0.5,
        l2_regularization=1.0, min_samples_leaf=least, early_stopping=False, random_state=0,
    )  # fmt: skip


def _folds(books: Sequence[Book]) -> NDArray[np.int64]:
    """A fold for each book, the same for all its editions."""
    works, numbers = np.unique(groups_of(books), return_inverse=True)
    return np.asarray(np.random.default_rng(0).permutation(len(works))[numbers] % _FOLDS)


def _distribution(centre: float, scale: float, shape: NDArray[np.float64]) -> PriceDistribution:
    """The prices exp(centre + scale * z), z with the quantiles `shape`, and a little probability beyond both ends."""
    levels = np.linspace(0.002, 0.998, len(shape))
    step = 3.0
    z = np.concatenate([[shape[0] - step], shape, [shape[-1] + step]])
    levels = np.concatenate([[0.0], levels, [1.0]])
    with np.errstate(divide="ignore"):
        positions = (np.log(np.maximum(_EDGES, 1e-9)) - centre) / scale
    cumulative = np.interp(positions, z, levels)
    # What lies beyond the model's range stands at its ends.
    cumulative[0], cumulative[-1] = 0.0, 1.0
    return PriceDistribution(np.diff(cumulative))


def _pool(one: PriceDistribution, other: PriceDistribution, weight: float) -> PriceDistribution:
    """The linear opinion pool with `weight` on the second."""
    if weight in (0.0, 1.0):
        return other if weight else one
    return PriceDistribution.blend([one, other], [1 - weight, weight])

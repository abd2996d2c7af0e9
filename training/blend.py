"""The cross-check's blend: what all methods say of a book, made into one price distribution. Knows no models.

It is fitted on out-of-fold estimates (stacking: Wolpert, Neural Networks 1992), so that it learns whom to believe about
new books, not about known ones, and in two steps. A regression with no negative weight makes one estimate of the
baselines' (stacked regressions: Breiman, Machine Learning 1996). A forest of extremely randomized trees (Geurts, Ernst,
Wehenkel, Machine Learning 2006) then reads what they say, what the nearest books cost, and the book's numbers and
names, and gives the distribution of the true price around that estimate: the share of the training books in the same
leaves that lie below each of `LEVELS` (as in quantile regression forests: Meinshausen, JMLR 2006; the trees are grown
for those shares, which is to say for the continuous ranked probability score).
A language model's distribution joins by a linear opinion pool, its weight fitted on books that it did not learn from:
out-of-fold estimates of a language model cost as many trainings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .baselines.features import NAMES, NUMBERS, feature_table
from .baselines.similar import NEIGHBOUR_FEATURES, K, neighbour_features
from .baselines.tabular import target_encoder
from .book import Book
from .calibration import MIN_BOOKS, Calibration
from .dataset import MAX_UNITS, MIN_UNITS
from .distribution import PRICES, PriceDistribution
from .errors import InputError
from .estimate import Agreement
from .neighbours import Neighbours
from .saving import check_forest, check_manifest, load_estimator, read_array, save_estimator, write_manifest

KIND = "blend"
# Baselines that say the same, or anything, of every book: nothing to blend.
UNINFORMATIVE = frozenset({"random", "mean", "median"})
# What `bookpricer train` blends: all that read the book, but Word2Vec, the weakest and by far the slowest to fit.
BLENDED = (
    "linear_regression", "hist_gradient_boosting", "neighbours", "tfidf_ridge", "kernel_ridge", "vector_boosting",
)  # fmt: skip
# As many as the baselines on sentence vectors ask for.
NEIGHBOURS = K
# The share of calibration books whose methods "agree" on the price, and beyond which they "disagree". A person's time
# is short: few flags, on books that are often enough priced badly (docs/cross-check.md).
_AGREE, _DISAGREE = 0.5, 0.98
# How many of the baselines are asked whether they agree: the best. That a weak one is elsewhere says little.
_TRUSTED = 4
# Fewer books teach less than the methods' plain mean.
MIN_FIT_BOOKS = 200
# Where the distribution of the error is known: quantiles of the training books' errors. Dense in the middle, where the
# estimate is read off.
LEVELS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)
# Beyond the largest error that was seen, in the logarithm of the price.
_BEYOND = 0.5
_EDGES = np.arange(PRICES + 1) - 0.5
_UNKNOWN = -9.0


@dataclass(frozen=True)
class Opinions:
    """What each method says of n books, in units.

    Args:
        books: the books.
        baselines: name -> prices, shape (n,).
        neighbours: the nearest `NEIGHBOURS` of each book, none of them another edition of it where anything is fitted.
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
        self._encoder: Any = None
        self._forest: Any = None
        # Of the regression: a weight a baseline, and a constant.
        self._weights = np.zeros(0)
        # Errors, in the logarithm of the price, that the forest gives the probability below; and an end on either side.
        self._errors = np.zeros(0)
        self._trusted: tuple[str, ...] = ()
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
        from sklearn.ensemble import ExtraTreesRegressor
        from sklearn.linear_model import LinearRegression

        target, logs = np.log(units), _log_prices(opinions.baselines, self._names)
        misses = np.abs(np.exp(logs) - units[:, None]).mean(axis=0)
        self._trusted = tuple(self._names[i] for i in np.argsort(misses, kind="stable")[:_TRUSTED])
        stack = LinearRegression(positive=True).fit(logs, target)
        self._weights = np.append(stack.coef_, stack.intercept_)
        self._encoder = target_encoder()
        table = feature_table(opinions.books)
        names = self._encoder.fit_transform(table[list(NAMES)], target)
        estimate, matrix = self._matrix(opinions, table, names)
        errors = target - estimate
        inner = np.quantile(errors, LEVELS)
        self._errors = np.array([errors.min() - _BEYOND, *inner, errors.max() + _BEYOND])
        # Leaves of more books where there are more: the model stays small, and its curve smooth.
        self._forest = ExtraTreesRegressor(
            100, min_samples_leaf=max(5, len(units) // 800), max_features=0.3, random_state=0, n_jobs=-1
        ).fit(matrix, (errors[:, None] <= inner).astype(np.float64))
        self._forest.n_jobs = None  # one book is priced faster without threads
        return self

    def weigh(self, opinions: Opinions, prices: ArrayLike) -> Blend:
        """Find the weight of the language model's distribution, on n books that it did not learn from.

        The smallest weight whose mean absolute error cannot be told from the least one's (the one-standard-error rule
        of Breiman et al., Classification and Regression Trees, 1984): a few hundred books do not tell much, and a model
        that reads the other methods' estimates has little to add to them.

        Args:
            opinions: with distributions.
            prices: in units, shape (n,).
        """
        assert opinions.distributions is not None
        units = np.asarray(prices, dtype=np.float64)
        own = self._own_distributions(opinions)
        weights = np.linspace(0, 1, 11)
        medians = [
            [_pool(a, b, float(weight)).median for a, b in zip(own, opinions.distributions, strict=True)]
            for weight in weights
        ]
        errors = np.abs(np.array(medians) - units)
        worse = errors - errors[errors.mean(axis=1).argmin()]
        alike = worse.mean(axis=1) <= worse.std(axis=1) / np.sqrt(len(units))
        self.llm_weight = round(float(weights[alike.argmax()]), 1)
        return self

    def calibrate(self, opinions: Opinions, prices: ArrayLike) -> Blend:
        """Fit the intervals and the thresholds of agreement on books that nothing here learnt from.

        Raises:
            InputError: fewer than 20 books.
        """
        units = np.asarray(prices, dtype=np.float64)
        if len(units) < MIN_BOOKS:
            raise InputError(f"the blend's calibration needs at least {MIN_BOOKS} books, not {len(units)}")
        distributions = self.distributions(opinions)
        self.calibration = Calibration.fit(distributions, units.tolist())
        doubts = self.doubts(opinions, distributions)
        self.agree, self.disagree = (float(q) for q in np.quantile(doubts, [_AGREE, _DISAGREE]))
        return self

    def distributions(self, opinions: Opinions) -> list[PriceDistribution]:
        """The blended price distribution of each book."""
        own = self._own_distributions(opinions)
        if opinions.distributions is None or not self.llm_weight:
            return own
        return [_pool(a, b, self.llm_weight) for a, b in zip(own, opinions.distributions, strict=True)]

    def doubts(self, opinions: Opinions, distributions: Sequence[PriceDistribution]) -> NDArray[np.float64]:
        """How doubtful the price of each book is, shape (n,): how far the methods are apart, and how wide their blend.

        The standard deviation of the log prices of the four best baselines and the language model, times the root of
        the width of the central 80 % of `distributions`, relative to the median. Together they find books that are
        priced badly better than each alone: `tests/bench/bench_cross_check.py`.
        """
        logs = _log_prices(opinions.baselines, self._trusted)
        if opinions.distributions is not None:
            medians = np.log(np.maximum([d.median for d in opinions.distributions], MIN_UNITS))
            logs = np.column_stack([logs, medians])
        widths = [float(d.quantile(0.9) - d.quantile(0.1)) / max(d.median, 1) for d in distributions]
        return np.asarray(logs.std(axis=1) * np.sqrt(widths))

    def agreement(self, doubt: float) -> Agreement:
        """One of `doubts` in a word, by the thresholds of the calibration books."""
        return "agree" if doubt <= self.agree else "mixed" if doubt <= self.disagree else "disagree"

    def save(self, folder: Path) -> None:
        """Write into `folder`, made where it is not there: skops, .npy, JSON, and a manifest with hashes."""
        folder.mkdir(parents=True, exist_ok=True)
        save_estimator(self._encoder, folder / "encoder.skops")
        save_estimator(self._forest, folder / "forest.skops")
        np.save(folder / "weights.npy", self._weights, allow_pickle=False)
        np.save(folder / "errors.npy", self._errors, allow_pickle=False)
        files = ["encoder.skops", "forest.skops", "weights.npy", "errors.npy"]
        if self.calibration:
            self.calibration.save(folder / "calibration.json")
            files.append("calibration.json")
        settings = {
            "baselines": list(self._names), "trusted": list(self._trusted), "llm_weight": self.llm_weight,
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
            blend._names, blend._trusted = (tuple(map(str, settings[name])) for name in ("baselines", "trusted"))
            blend.llm_weight, blend.agree, blend.disagree = (
                float(settings[name]) for name in ("llm_weight", "agree", "disagree")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder} does not fit this version; train the model again") from error
        blend._encoder, blend._forest = (load_estimator(folder / f"{name}.skops") for name in ("encoder", "forest"))
        blend._weights = read_array(folder / "weights.npy", np.float64)
        blend._errors = read_array(folder / "errors.npy", np.float64)
        fits = (
            check_forest(blend._forest, _width(len(blend._names)), len(LEVELS))
            and getattr(blend._encoder, "n_features_in_", 0) == len(NAMES)
            and blend._weights.shape == (len(blend._names) + 1,)
            and blend._errors.shape == (len(LEVELS) + 2,)
            and set(blend._trusted) <= set(blend._names)
            and 0 <= blend.llm_weight <= 1
        )
        if not fits:
            raise InputError(f"{folder} does not fit this version; train the model again")
        if (folder / "calibration.json").is_file():
            blend.calibration = Calibration.load(folder / "calibration.json")
        return blend

    def _own_distributions(self, opinions: Opinions) -> list[PriceDistribution]:
        """Without the language model's."""
        table = feature_table(opinions.books)
        estimate, matrix = self._matrix(opinions, table, self._encoder.transform(table[list(NAMES)]))
        below = self._forest.predict(matrix)
        return [_distribution(centre + self._errors, row) for centre, row in zip(estimate, below, strict=True)]

    def _matrix(
        self, opinions: Opinions, table: pd.DataFrame, names: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The regression's estimate of the log price, shape (n,), and what the forest reads, shape (n, `_width`)."""
        logs = _log_prices(opinions.baselines, self._names)
        estimate = np.clip(logs @ self._weights[:-1] + self._weights[-1], np.log(MIN_UNITS), np.log(MAX_UNITS))
        matrix = np.column_stack(
            [
                logs - estimate[:, None],
                estimate,
                logs.std(axis=1),
                neighbour_features(opinions.neighbours),
                table[list(NUMBERS)].to_numpy(dtype=np.float64),
                names,
            ]
        )
        # Rounded: the order of a sum in a batch must not tip a split.
        return estimate, np.nan_to_num(np.round(matrix, 4), nan=_UNKNOWN, posinf=_UNKNOWN, neginf=_UNKNOWN)


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


def _log_prices(baselines: Mapping[str, NDArray[np.float64]], names: Sequence[str]) -> NDArray[np.float64]:
    """The log prices that the named baselines say, shape (n, names)."""
    return np.log(np.column_stack([np.clip(baselines[name], MIN_UNITS, MAX_UNITS) for name in names]))


def _width(baselines: int) -> int:
    return baselines + 2 + NEIGHBOUR_FEATURES + len(NUMBERS) + len(NAMES)


def _distribution(logs: NDArray[np.float64], below: NDArray[np.float64]) -> PriceDistribution:
    """From the probability below each but the first and last of these log prices; even in between."""
    with np.errstate(divide="ignore"):
        edges = np.log(np.maximum(_EDGES, 1e-9))
    cumulative = np.interp(edges, logs, [0.0, *below, 1.0])
    # What lies beyond the model's range stands at its ends.
    cumulative[0], cumulative[-1] = 0.0, 1.0
    return PriceDistribution(np.diff(cumulative))


def _pool(one: PriceDistribution, other: PriceDistribution, weight: float) -> PriceDistribution:
    """The linear opinion pool with `weight` on the second."""
    if weight in (0.0, 1.0):
        return other if weight else one
    return PriceDistribution.blend([one, other], [1 - weight, weight])

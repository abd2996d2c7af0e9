import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn import metrics

from bookpricer.training.calibration import Calibration
from bookpricer.training.distribution import PRICES, PriceDistribution
from bookpricer.training.evaluation import (
    LEVELS,
    RESAMPLES,
    bands,
    central_coverage,
    confidence_curve,
    interval_errors,
    mae_difference,
    mae_interval,
    mean_interval,
    price_errors,
    share_interval,
)

PRICES_OF_BOOKS = st.lists(st.floats(0.5, 999.49), min_size=1, max_size=30)


def test_errors_by_hand():
    errors = price_errors([12, 60, 100, 250], [10, 100, 150, 200])
    assert set(errors) == {"n", "mae", "median_ae", "rmsle", "r2", "hit_rate"}
    assert errors["n"] == 4
    assert errors["mae"] == (2 + 40 + 50 + 50) / 4
    assert errors["median_ae"] == 45
    logs = [math.log(13 / 11), math.log(61 / 101), math.log(101 / 151), math.log(251 / 201)]
    assert errors["rmsle"] == pytest.approx(math.sqrt(sum(x * x for x in logs) / 4))
    # The mean of the truth is 115; squares about it: 11025 + 225 + 1225 + 7225.
    assert errors["r2"] == pytest.approx(1 - (4 + 1600 + 2500 + 2500) / 19700)
    assert errors["hit_rate"] == 0.5  # 2 and 40 units; 50 of 150 and 50 of 200 are over both


@pytest.mark.parametrize(
    ("predicted", "actual", "hit"),
    [
        (50, 10, 1),
        (50.5, 10, 0),
        (400, 500, 1),
        (399, 500, 0),
        (600, 500, 1),
        (601, 500, 0),
        (160, 200, 1),
        (159, 200, 0),
    ],
)
def test_a_hit_is_within_a_fifth_or_forty_units_of_the_truth(predicted, actual, hit):
    assert price_errors([predicted], [actual])["hit_rate"] == hit


def test_a_perfect_model_has_no_error():
    errors = price_errors([1, 2, 3], [1, 2, 3])
    assert errors == {"n": 3, "mae": 0, "median_ae": 0, "rmsle": 0, "r2": 1, "hit_rate": 1}


def test_the_mean_explains_nothing():
    assert price_errors([20, 20], [10, 30])["r2"] == 0


@pytest.mark.parametrize("price", [7, 0.1 + 0.2, 37.2])
def test_r2_of_equal_prices_is_not_given(price):
    assert price_errors([5, 6, 8], [price] * 3)["r2"] is None
    assert price_errors([5], [price])["r2"] is None


@given(PRICES_OF_BOOKS, st.randoms(use_true_random=False))
def test_errors_are_scikit_learns(actual, random):
    predicted = [random.uniform(0.5, 999.49) for _ in actual]
    errors = price_errors(predicted, actual)
    assert errors["mae"] == pytest.approx(metrics.mean_absolute_error(actual, predicted))
    assert errors["median_ae"] == pytest.approx(metrics.median_absolute_error(actual, predicted))
    assert errors["rmsle"] == pytest.approx(metrics.root_mean_squared_log_error(actual, predicted))
    if errors["r2"] is not None:
        assert errors["r2"] == pytest.approx(metrics.r2_score(actual, predicted), rel=1e-6)
    assert "NaN" not in json.dumps(errors)


def test_a_negative_estimate_counts_as_zero_in_the_logarithm():
    assert price_errors([-50.0], [math.e - 1])["rmsle"] == pytest.approx(1)


def test_intervals_by_hand():
    distributions = [PriceDistribution(np.eye(PRICES)[price]) for price in (10, 20, 30, 40)]
    # All scores 0.5: each interval reaches a quarter of a unit to both sides.
    calibration = Calibration(scores=(0.5,) * 20, n=20, wide=1)
    intervals = [calibration.interval(distribution, 0.8) for distribution in distributions]
    errors = interval_errors(intervals, [10, 20.2, 30.3, 99])
    assert errors == {"coverage": 0.5, "interval_width": pytest.approx(0.5)}


def test_the_bootstrap_interval_is_that_of_the_central_limit():
    random = np.random.default_rng(0)
    errors = random.exponential(10, 2000)
    low, high = mae_interval(errors, np.zeros(2000))
    half = 1.96 * errors.std() / np.sqrt(2000)
    assert (low, high) == pytest.approx((errors.mean() - half, errors.mean() + half), abs=0.1 * half + 0.05)


def test_the_bootstrap_interval_does_not_depend_on_how_much_is_drawn_at_once(monkeypatch):
    values = np.random.default_rng(1).exponential(10, 50)
    whole = mean_interval(values)
    monkeypatch.setattr("bookpricer.training.evaluation._DRAWN", 1000)
    assert mean_interval(values) == pytest.approx(whole)


def test_a_single_book_has_no_bootstrap_interval():
    assert mae_interval([3], [5]) is None
    assert mae_difference([3], [4], [5]) == (1, None)


def test_the_difference_is_the_paired_bootstrap_of_both_mean_errors():
    random = np.random.default_rng(2)
    actual = random.exponential(50, 200)
    near, far = actual * random.uniform(0.8, 1.2, 200), actual * random.uniform(0.5, 1.5, 200)
    difference, interval = mae_difference(far, near, actual)
    assert difference == pytest.approx(
        metrics.mean_absolute_error(actual, far) - metrics.mean_absolute_error(actual, near)
    )
    expected = bootstrap(
        (far, near, actual), lambda f, n, a, axis: np.abs(f - a).mean(axis) - np.abs(n - a).mean(axis),
        paired=True, vectorized=True, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert interval == pytest.approx(list(expected))
    assert interval[0] > 0


@given(PRICES_OF_BOOKS, st.randoms(use_true_random=False))
def test_a_method_does_not_differ_from_itself(actual, random):
    predicted = [random.uniform(0.5, 999.49) for _ in actual]
    difference, interval = mae_difference(predicted, predicted, actual)
    assert difference == 0 and interval in (None, [0, 0])


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_share_holds_it(counts):
    hits, n = counts
    low, high = share_interval(hits / n, n)
    assert 0 <= low <= hits / n + 1e-12 and hits / n - 1e-12 <= high <= 1
    assert low < high


def test_the_interval_of_a_share_by_the_book():
    # 8 of 10: Wilson's interval is 0.4902–0.9433.
    assert share_interval(0.8, 10) == pytest.approx([0.4902, 0.9433], abs=1e-4)


def test_confidence_that_is_right_lies_on_the_diagonal():
    random = np.random.default_rng(3)
    said = random.uniform(0.1, 0.9, 20_000)
    curve = confidence_curve(said, random.uniform(size=20_000) < said)
    assert len(curve) == 10
    assert all(was == pytest.approx(mean, abs=0.04) for mean, was in curve)


@pytest.mark.parametrize(("n", "points"), [(1, 0), (39, 0), (40, 1), (100, 2)])
def test_few_books_make_few_points_of_confidence(n, points):
    assert len(confidence_curve(np.linspace(0.1, 0.9, n), [True] * n)) == points


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_coverage_grows_with_the_level(cdf):
    shares = [central_coverage(cdf, level) for level in LEVELS]
    assert shares == sorted(shares) and central_coverage(cdf, 1) == 1


@given(PRICES_OF_BOOKS)
def test_bands_take_every_book_once(actual):
    found = bands(actual, (0, 10, 100, 1000))
    assert sorted(k for _, _, books in found for k in books) == list(range(len(actual)))
    assert all(low <= actual[k] < high for low, high, books in found for k in books)

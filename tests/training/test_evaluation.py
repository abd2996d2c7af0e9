import math

import numpy as np
import pytest

from bookpricer.training.calibration import Calibration
from bookpricer.training.distribution import PRICES, PriceDistribution
from bookpricer.training.evaluation import interval_errors, price_errors


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


def test_r2_of_equal_prices_is_no_number():
    assert math.isnan(price_errors([5, 6], [7, 7])["r2"])


def test_a_negative_estimate_counts_as_zero_in_the_logarithm():
    assert price_errors([-50.0], [math.e - 1])["rmsle"] == pytest.approx(1)


def test_intervals_by_hand():
    distributions = [PriceDistribution(np.eye(PRICES)[price]) for price in (10, 20, 30, 40)]
    # All scores 0.5: each interval reaches a quarter of a unit to both sides.
    calibration = Calibration(scores=(0.5,) * 20, n=20, wide=1)
    errors = interval_errors(distributions, [10, 20.2, 30.3, 99], calibration, 0.8)
    assert errors == {"coverage": 0.5, "interval_width": pytest.approx(0.5)}

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bookpricer.training.distribution import PRICES, PriceDistribution


def masses(**probabilities: float) -> PriceDistribution:
    values = np.zeros(PRICES)
    for price, probability in probabilities.items():
        values[int(price[1:])] = probability
    return PriceDistribution(values)


SPARSE = st.dictionaries(st.integers(0, 999), st.floats(0.001, 1), min_size=1, max_size=6).map(
    lambda masses_: PriceDistribution(np.bincount(list(masses_), list(masses_.values()), minlength=PRICES))
)
DENSE = arrays(np.float64, PRICES, elements=st.floats(1e-6, 1)).map(PriceDistribution)
DISTRIBUTIONS = st.one_of(SPARSE, DENSE)
LEVELS = st.floats(0.001, 0.999)


@given(DISTRIBUTIONS, LEVELS)
def test_the_quantile_is_the_inverse_of_the_cdf(distribution, level):
    price = float(distribution.quantile(level))
    assert price >= 0
    # Below price 0, of which there is half a unit, all is taken for 0.
    assert distribution.cdf(price) == pytest.approx(level, abs=1e-9) or (price == 0 and distribution.cdf(0) >= level)


@given(DISTRIBUTIONS, LEVELS, LEVELS)
def test_quantiles_rise_and_fall_where_there_is_probability(distribution, one, other):
    low, high = distribution.quantile(sorted([one, other]))
    assert low <= high
    assert min(distribution.probabilities[[round(min(999, max(0, x - 1e-6))), round(min(999, x + 1e-6))]].max()
               for x in (low, high)) > 0  # fmt: skip


@given(DISTRIBUTIONS)
def test_the_cdf_rises_from_zero_to_one(distribution):
    values = distribution.cdf(np.linspace(-5, 1005, 333))
    assert values[0] == 0 and values[-1] == pytest.approx(1) and (np.diff(values) >= 0).all()


@given(DISTRIBUTIONS, st.floats(0.01, 0.99))
def test_an_interval_holds_its_coverage_and_the_median(distribution, coverage):
    low, high = distribution.interval(coverage)
    assert low <= distribution.median <= high
    held = float(distribution.cdf(high) - distribution.cdf(low))
    if low > 0:
        assert held == pytest.approx(coverage, abs=1e-9)
    else:
        assert float(distribution.cdf(high)) == pytest.approx((1 + coverage) / 2, abs=1e-9) or high == 0


def test_the_whole_interval_holds_all_and_no_more():
    assert masses(p10=0.5, p20=0.5).interval(1) == (9.5, 20.5)
    assert masses(p0=1).interval(1) == (0, 0.5)
    assert masses(p999=1).interval(1) == (998.5, 999.5)


def test_nothing_lies_in_a_gap():
    distribution = masses(p10=0.5, p20=0.5)
    assert distribution.quantile([0.25, 0.75]).tolist() == [10, 20]
    assert distribution.quantile([0.5 - 1e-9, 0.5 + 1e-9]) == pytest.approx([10.5, 19.5], abs=1e-6)
    assert 10.5 <= distribution.median <= 19.5


@pytest.mark.parametrize("price", [0, 1, 37, 999])
def test_a_point_mass_is_its_price(price):
    distribution = masses(**{f"p{price}": 1})
    assert (distribution.median, distribution.mean, distribution.mode) == (price, price, price)
    low, high = distribution.interval(0.8)
    assert (low, high) == (pytest.approx(max(price - 0.4, 0)), pytest.approx(price + 0.4))
    assert distribution.probability_above(price - 0.5) == 1
    assert distribution.probability_above(price + 0.5) == pytest.approx(0)
    assert distribution.probability_within(price, 0.2) == pytest.approx(min(1, 0.4 * price))
    assert distribution.expected_absolute_error(price + 3) == pytest.approx(3)


def test_mean_mode_and_median_by_hand():
    distribution = masses(p10=0.25, p20=0.5, p40=0.25)
    assert (distribution.mean, distribution.mode, distribution.median) == (22.5, 20, 20)
    assert distribution.expected_absolute_error(20) == pytest.approx(0.25 * 10 + 0.25 * 20)
    assert distribution.probability_above(20) == pytest.approx(0.5)
    assert distribution.probability_within(20, 0.5) == pytest.approx(0.125 + 0.5)


@given(DISTRIBUTIONS, st.floats(0, 999))
def test_the_median_has_the_least_absolute_error(distribution, other):
    # Over the continuous distribution; over whole units half a unit may be lost.
    error = distribution.expected_absolute_error
    assert error(distribution.median) <= error(other) + 0.5


@given(DISTRIBUTIONS)
def test_probabilities_sum_to_one_and_cannot_be_changed(distribution):
    assert distribution.probabilities.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="read-only"):
        distribution.probabilities[0] = 1


def test_the_callers_array_stays_as_it_was():
    values = np.ones(PRICES)
    PriceDistribution(values)
    values[0] = 2
    assert values.sum() == PRICES + 1


@given(st.lists(SPARSE, min_size=1, max_size=4), st.data())
def test_a_blend_is_the_weighted_mean(distributions, data):
    weights = data.draw(st.lists(st.floats(0.1, 5), min_size=len(distributions), max_size=len(distributions)))
    blend = PriceDistribution.blend(distributions, weights)
    expected = sum(w * d.probabilities for w, d in zip(weights, distributions, strict=True)) / sum(weights)
    assert blend.probabilities == pytest.approx(expected)
    assert PriceDistribution.blend(distributions[:1]).probabilities == pytest.approx(distributions[0].probabilities)


@given(arrays(np.float64, PRICES, elements=st.floats(-800, 800)), st.floats(-1e6, 1e6), st.integers(0, 998))
def test_log_probabilities_count_up_to_a_constant(logs, constant, impossible):
    logs[:impossible] = -np.inf
    distribution = PriceDistribution.from_log_probabilities(logs)
    assert (distribution.probabilities[:impossible] == 0).all()
    weights = np.exp(logs - logs.max())
    assert distribution.probabilities == pytest.approx(weights / weights.sum(), abs=1e-12)
    shifted = PriceDistribution.from_log_probabilities(logs + constant)
    assert shifted.probabilities == pytest.approx(distribution.probabilities, abs=1e-6)


ONES = np.ones(PRICES)


@pytest.mark.parametrize(
    "values",
    [
        np.ones(999),
        np.ones(1001),
        np.ones((1, 1000)),
        5.0,
        [],
        np.zeros(PRICES),
        -ONES,
        np.where(np.arange(PRICES) == 3, -1e-9, 1),
        np.where(np.arange(PRICES) == 3, np.nan, 1),
        np.where(np.arange(PRICES) == 3, np.inf, 1),
    ],
    ids=lambda values: str(np.asarray(values).shape),
)
def test_refuses_what_is_no_distribution(values):
    with pytest.raises(ValueError, match=r"shape \(1000,\)|must be finite"):
        PriceDistribution(values)


@pytest.mark.parametrize("logs", [np.full(PRICES, -np.inf), np.full(PRICES, np.nan), np.zeros(3)])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_refuses_log_probabilities_of_none(logs):
    with pytest.raises(ValueError, match=r"shape \(1000,\)|must be finite"):
        PriceDistribution.from_log_probabilities(logs)


@pytest.mark.parametrize("coverage", [0, -0.1, 1.01, float("nan")])
def test_refuses_a_coverage_that_is_none(coverage):
    with pytest.raises(ValueError, match="coverage"):
        masses(p5=1).interval(coverage)


@given(DISTRIBUTIONS, st.integers(1, 100))
def test_every_distribution_can_be_drawn(distribution, width):
    low, bars, high = distribution.to_text(width).split(" ", 1)[0], None, distribution.to_text(width).rsplit(" ", 1)[1]
    assert bars is None and 0 <= int(low) <= int(high) <= 1001
    assert "█" in distribution.to_text(width)


@given(arrays(np.float64, PRICES, elements=st.floats(0, 1)).filter(lambda values: values.sum() > 0.1), st.data())
@settings(max_examples=50)
def test_dense_intervals_hold_their_share_and_the_median_and_each_other(weights, data):
    distribution = PriceDistribution(weights)
    coverages = sorted(data.draw(st.lists(st.floats(0.001, 1), min_size=2, max_size=5)))
    intervals = [distribution.dense_interval(coverage) for coverage in coverages]
    for (low, high), coverage in zip(intervals, coverages, strict=True):
        assert 0 <= low <= distribution.median <= high
        held = distribution.cdf(high) - (distribution.cdf(low) if low > 0 else 0)
        assert held >= coverage - 1e-6
    for (low, high), (lower, higher) in pairwise(intervals):
        assert lower <= low + 1e-9 and high <= higher + 1e-9


@given(arrays(np.float64, PRICES, elements=st.floats(0.001, 1)), st.floats(0.6, 999))
@settings(max_examples=50)
def test_the_dense_coverage_of_a_price_is_where_the_interval_comes_to_hold_it(weights, price):
    distribution = PriceDistribution(weights)
    coverage = distribution.dense_coverage(price)
    low, high = distribution.dense_interval(min(coverage + 1e-9, 1))
    assert low - 1e-4 <= price <= high + 1e-4
    if coverage > 1e-4:
        low, high = distribution.dense_interval(coverage - 1e-5)
        assert not low < price < high
    assert distribution.dense_coverage(2000) == 1


def test_the_dense_interval_of_a_long_tail_lies_low():
    distribution = PriceDistribution(np.exp(-np.arange(1000) / 50))
    low, high = distribution.dense_interval(0.8)
    assert low == 0 and high == pytest.approx(50 * np.log(5), abs=1)
    assert high < distribution.interval(0.8)[1]

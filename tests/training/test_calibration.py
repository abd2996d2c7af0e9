import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookpricer.training.calibration import MIN_BOOKS, Calibration
from bookpricer.training.distribution import PRICES, PriceDistribution
from bookpricer.training.errors import InputError

UNITS = np.arange(PRICES)


def bell(centre: float, spread: float) -> PriceDistribution:
    return PriceDistribution.from_log_probabilities(-0.5 * ((UNITS - centre) / spread) ** 2)


def books(n: int, seed: int, confidence: float) -> tuple[list[PriceDistribution], list[float]]:
    """Books whose prices spread by 20 about what a model says, which believes in a spread of 20 / `confidence`."""
    generator = np.random.default_rng(seed)
    centres = generator.uniform(150, 850, n)
    prices = centres + generator.normal(0, 20, n)
    return [bell(centre, 20 / confidence) for centre in centres], prices.tolist()


@pytest.mark.parametrize("confidence", [0.5, 1, 2, 4])
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_intervals_of_fresh_books_hold_their_coverage(confidence, coverage):
    calibration = Calibration.fit(*books(600, 1, confidence))
    distributions, prices = books(1500, 2, confidence)
    intervals = [calibration.interval(distribution, coverage) for distribution in distributions]
    held = np.mean([low <= price <= high for (low, high), price in zip(intervals, prices, strict=True)])
    assert held == pytest.approx(coverage, abs=0.05)


def test_an_over_confident_models_own_intervals_would_not():
    distributions, prices = books(500, 2, confidence=2)
    held = [
        low <= price <= high for d, price in zip(distributions, prices, strict=True) for low, high in [d.interval(0.8)]
    ]
    assert np.mean(held) < 0.6
    calibration = Calibration.fit(distributions, prices)
    assert calibration.nominal(0.8) > 0.95
    assert Calibration.fit(*books(500, 2, confidence=0.5)).nominal(0.8) < 0.6


def test_thinned_scores_of_many_books_say_the_same():
    distributions, prices = books(1500, 3, confidence=1.5)
    few, many = Calibration.fit(distributions[:1000], prices[:1000]), Calibration.fit(distributions, prices)
    assert len(many.scores) == 1000 and many.n == 1500 and few.n == 1000
    exact = [d.dense_coverage(price) for d, price in zip(distributions, prices, strict=True)]
    for coverage in (0.1, 0.5, 0.8, 0.9):
        assert many.nominal(coverage) == pytest.approx(np.quantile(exact, coverage), abs=0.01)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.floats(0.01, 0.999), st.floats(0.01, 0.999))
def test_the_nominal_coverage_rises_with_the_coverage(scores, one, other):
    calibration = Calibration(scores=tuple(sorted(scores)), n=len(scores), wide=1)
    low, high = sorted([one, other])
    assert 0 <= calibration.nominal(low) <= calibration.nominal(high) <= 1


@given(st.integers(MIN_BOOKS, 60), st.floats(0.05, 0.95), st.integers(0, 1000))
def test_enough_of_the_scores_lie_within_the_nominal_coverage(n, coverage, seed):
    scores = np.sort(np.random.default_rng(seed).uniform(0, 1, n))
    nominal = Calibration(scores=tuple(scores), n=n, wide=1).nominal(coverage)
    assert (scores <= nominal).sum() >= min(n, np.ceil((n + 1) * coverage - 1e-9))


def test_too_few_books_for_a_coverage_give_the_whole_range():
    calibration = Calibration.fit(*books(MIN_BOOKS, 1, 1))
    assert calibration.nominal(0.99) == 1
    assert calibration.nominal(0.9) < 1


def test_prices_that_are_exactly_right_still_give_an_interval():
    distributions = [bell(price, 5) for price in range(100, 160)]
    calibration = Calibration.fit(distributions, list(range(100, 160)))
    low, high = calibration.interval(distributions[0], 0.8)
    assert low <= 100 <= high and high - low < 1


def test_wide_is_what_one_interval_in_ten_exceeds():
    generator = np.random.default_rng(5)
    spreads = generator.uniform(2, 30, 400)
    distributions = [bell(200, spread) for spread in spreads]
    calibration = Calibration.fit(distributions, (200 + generator.normal(0, spreads)).tolist())
    widths = [(high - low) / 200 for d in distributions for low, high in [calibration.interval(d, 0.8)]]
    assert np.mean(np.array(widths) > calibration.wide) == pytest.approx(0.1, abs=0.01)


def test_survives_saving(tmp_path):
    calibration = Calibration.fit(*books(100, 1, 2))
    path = tmp_path / "calibration.json"
    calibration.save(path)
    again = Calibration.load(path)
    assert again == calibration
    text = path.read_text()
    assert json.loads(text, parse_constant=pytest.fail)["n"] == 100  # no Infinity, no NaN
    assert "null" not in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"scores": [], "n": 20, "wide": 1}',
        '{"scores": [0.5], "n": 0, "wide": 1}',
        '{"scores": ["a"], "n": 20, "wide": 1}',
        '{"scores": [0.5], "n": 20, "wide": null}',
        '{"scores": [0.5], "n": 20}',
        b"\xff\xfe\x00",
    ],
)
def test_says_in_one_sentence_that_a_file_is_damaged(tmp_path, text):
    path = tmp_path / "calibration.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match="not a readable calibration") as error:
        Calibration.load(path)
    assert "\n" not in str(error.value)


def test_says_that_there_is_no_file(tmp_path):
    with pytest.raises(InputError, match="not a readable calibration"):
        Calibration.load(tmp_path / "none.json")


def test_quantiles_are_the_ends_of_central_intervals():
    distributions, prices = books(200, 1, 1)
    calibration = Calibration.fit(distributions, prices)
    central = calibration.model_copy(update={"dense": ()})
    for distribution in distributions[:5]:
        ends = [calibration.quantile(distribution, level) for level in (0.1, 0.9)]
        assert ends == pytest.approx(central.interval(distribution, 0.8), abs=1e-6)
        assert calibration.quantile(distribution, 0.5) == pytest.approx(distribution.median, abs=1)


def test_dense_intervals_hold_as_much_as_central_ones():
    distributions, prices = books(2000, 1, 1)
    calibration = Calibration.fit(distributions[:1000], prices[:1000])
    central = calibration.model_copy(update={"dense": ()})
    for which in (calibration, central):
        intervals = [which.interval(distribution, 0.8) for distribution in distributions[1000:]]
        held = np.mean([low <= price <= high for (low, high), price in zip(intervals, prices[1000:], strict=True)])
        assert held == pytest.approx(0.8, abs=0.04)


@pytest.mark.slow
def test_80_percent_intervals_hold_80_percent_of_real_books(shared):
    """Over 20 random halves, by a model that has read none of them."""
    from bookpricer.training.dataset import read_splits
    from bookpricer.training.loading import load_pricer
    from bookpricer.training.measuring import book_distributions

    splits = read_splits(shared / "data" / "books_in.jsonl").splits
    held_out = [*splits["calibration"], *splits["test"]]
    distributions = book_distributions(load_pricer("embedded"), held_out)
    prices, held = np.array([priced.units for priced in held_out]), []
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(held_out))
        fit, rest = order[: len(order) // 2], order[len(order) // 2 :]
        calibration = Calibration.fit([distributions[k] for k in fit], prices[fit].tolist())
        intervals = np.array([calibration.interval(distributions[k], 0.8) for k in rest])
        held.append(np.mean((intervals[:, 0] <= prices[rest]) & (prices[rest] <= intervals[:, 1])))
    assert np.mean(held) == pytest.approx(0.8, abs=0.015)


def test_needs_enough_books():
    distributions, prices = books(MIN_BOOKS - 1, 1, 1)
    with pytest.raises(InputError, match="at least 20 books, not 19"):
        Calibration.fit(distributions, prices)
    with pytest.raises(ValueError, match="zip"):
        Calibration.fit(distributions, [*prices, 5.0])

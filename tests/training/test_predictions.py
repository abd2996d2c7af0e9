import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookpricer.training.calibration import Calibration
from bookpricer.training.distribution import PRICES, PriceDistribution
from bookpricer.training.errors import InputError
from bookpricer.training.evaluation import LEVELS, interval_errors
from bookpricer.training.predictions import Answers, Predictions, read_predictions


def distributions(n, seed=0):
    random = np.random.default_rng(seed)
    centers, widths = random.uniform(5, 300, n), random.uniform(1, 60, n)
    units = np.arange(PRICES)
    made = [PriceDistribution(np.exp(-(((units - c) / w) ** 2)) + 1e-9) for c, w in zip(centers, widths, strict=True)]
    return made, np.maximum(centers + 1.5 * widths * random.normal(size=n), 0.5)


@pytest.fixture(scope="module")
def calibrated():
    made, actual = distributions(300)
    return made, actual, Calibration.fit(*distributions(300, seed=1))


def same(left, right):
    assert list(left.answers) == list(right.answers)
    for name, answers in left.answers.items():
        other = right.answers[name]
        assert np.array_equal(answers.prices, other.prices)
        assert {k: v.tolist() for k, v in answers.intervals.items()} == {
            k: v.tolist() for k, v in other.intervals.items()
        }
        for field in ("cdf", "confidence"):
            a, b = getattr(answers, field), getattr(other, field)
            assert (a is None and b is None) or np.array_equal(a, b)
    return all(list(getattr(left, f)) == list(getattr(right, f)) for f in ("ids", "titles", "categories", "actual"))


def test_a_file_gives_back_every_number_as_it_was(calibrated, tmp_path):
    made, actual, calibration = calibrated
    llm = Answers.of_distributions(made, actual, calibration, sorted({*LEVELS, 0.123456789}))
    n = len(actual)
    predictions = Predictions(
        ids=["" if k % 2 else f"B{k}" for k in range(n)],
        titles=[f'Title {k} "quoted"\u2028\n\x85 <b>' for k in range(n)],
        categories=[None if k % 3 else "Cookery" for k in range(n)],
        actual=actual,
        answers={"llm": llm, "median": Answers(np.full(n, 37.2))},
        coverage=0.123456789,
    )
    predictions.write(tmp_path / "p.jsonl")
    read = read_predictions(tmp_path / "p.jsonl", 0.123456789)
    assert same(predictions, read) and read.fingerprint == predictions.fingerprint
    row = json.loads((tmp_path / "p.jsonl").read_text().split("\n")[0])
    assert set(row) == {"row", "id", "title", "category", "actual", "methods"}
    assert set(row["methods"]["llm"]) == {"price", "low", "high", "cdf", "confidence", "intervals"}
    assert row["methods"]["median"] == {"price": 37.2}


@given(st.lists(st.tuples(st.text(), st.none() | st.text(), st.floats(0.5, 999.49)), min_size=1, max_size=5))
def test_any_title_is_written_and_read(tmp_path_factory, rows):
    titles, categories, actual = zip(*rows, strict=True)
    prices = np.array(actual)
    predictions = Predictions([""] * len(rows), titles, categories, prices, 0.8, {"mean": Answers(prices)})
    path = tmp_path_factory.mktemp("rows") / "p.jsonl"
    predictions.write(path)
    assert same(predictions, read_predictions(path, 0.8))


def test_a_character_that_no_file_holds_does_not_stop_the_writing(tmp_path):
    predictions = Predictions(["\ud800"], ["half \udc80 character"], [None], np.array([5.0]), 0.8, {})
    predictions.write(tmp_path / "p.jsonl")
    assert "half" in (tmp_path / "p.jsonl").read_text(encoding="utf-8")


@given(st.integers(0, 2**32 - 1))
def test_intervals_of_higher_levels_hold_more_and_hold_those_of_lower(seed):
    made, actual = distributions(25, seed)
    answers = Answers.of_distributions(made, actual, Calibration.fit(*distributions(40, seed + 1)), LEVELS)
    rows = [interval_errors(answers.intervals[level], actual) for level in LEVELS]
    assert [row["coverage"] for row in rows] == sorted(row["coverage"] for row in rows)
    for lower, higher in pairwise(LEVELS):
        inner, outer = answers.intervals[lower], answers.intervals[higher]
        assert (outer[:, 0] <= inner[:, 0]).all() and (inner[:, 1] <= outer[:, 1]).all()


def test_without_a_calibration_there_are_no_intervals(calibrated):
    made, actual, _ = calibrated
    answers = Answers.of_distributions(made, actual, None, LEVELS)
    assert not answers.intervals and answers.cdf is not None and answers.confidence is not None


def test_parts_are_joined_as_if_asked_at_once(calibrated):
    made, actual, calibration = calibrated
    whole = Answers.of_distributions(made, actual, calibration, LEVELS)
    parts = [Answers.of_distributions(made[a:b], actual[a:b], calibration, LEVELS) for a, b in ((0, 7), (7, 300))]
    empty = ([""] * 300, [""] * 300, [None] * 300, actual, 0.8)
    assert same(Predictions(*empty, {"llm": Answers.join(parts)}), Predictions(*empty, {"llm": whole}))
    joined = Answers.join([Answers(np.ones(2)), Answers(np.zeros(1))])
    assert joined.prices.tolist() == [1, 1, 0] and joined.cdf is None


def test_other_books_or_prices_have_another_fingerprint():
    one = Predictions(["a"], ["Rome"], [None], np.array([5.0]), 0.8)
    assert one.fingerprint == Predictions(["a"], ["Rome"], ["x"], np.array([5.0]), 0.5).fingerprint
    assert one.fingerprint != Predictions(["a"], ["Rome"], [None], np.array([5.5]), 0.8).fingerprint
    assert one.fingerprint != Predictions(["a"], ["Rom"], [None], np.array([5.0]), 0.8).fingerprint


@pytest.mark.parametrize("text", ["", "{}", "[]", "not json", '{"methods": {"a": {"price": 3}}}', "\x00"])
def test_another_file_is_refused(tmp_path, text):
    (tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(InputError, match="does not hold the predictions"):
        read_predictions(tmp_path / "p.jsonl", 0.8)
    with pytest.raises(InputError):
        read_predictions(tmp_path / "none.jsonl", 0.8)

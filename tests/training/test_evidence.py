import numpy as np
import pytest
from pydantic import ValidationError

from bookpricer.training.baselines import BASELINES
from bookpricer.training.baselines.out_of_fold import out_of_fold
from bookpricer.training.book import Book
from bookpricer.training.errors import InputError
from bookpricer.training.evidence import Evidence, EvidenceSettings, evidence_lines, training_lines
from bookpricer.training.prompt import PromptBuilder

NAMES = ("linear_regression", "neighbours")


@pytest.fixture(scope="module")
def settings():
    return EvidenceSettings(neighbours=3, baselines=NAMES)


@pytest.fixture(scope="module")
def fitted():
    books = [
        Book(title=f"Work {number}", author="A", description=f"A tale of {number % 7} towers") for number in range(40)
    ]
    prices = np.arange(10.0, 50.0)
    return books, prices, {name: BASELINES[name]().fit(books, prices) for name in NAMES}


def test_lines_name_neighbours_then_estimates_in_whole_units():
    lines = evidence_lines(np.array([[12.5, 8.2], [np.nan, np.nan]]), {"a": np.array([1200.0, 0.2]), "b": [3.4, 3.6]})
    assert lines == ["Evidence: similar $13$8, estimates $999$3", "Evidence: estimates $0$4"]
    assert evidence_lines(np.full((1, 2), np.nan), {}) == ["Evidence: none"]


def test_a_training_book_is_never_its_own_evidence(settings, fitted):
    books, prices, baselines = fitted
    estimates = out_of_fold({name: BASELINES[name] for name in NAMES}, books, prices)
    lines = training_lines(settings, baselines, estimates)
    for line, price in zip(lines, prices, strict=True):
        similar, _ = line.split(", estimates ")
        assert f"{price:.0f}" not in similar.split("$"), line
    new = Evidence(settings, baselines).lines(books)
    assert all(f"{price:.0f}" in line.split(",")[0].split("$") for line, price in zip(new, prices, strict=True))
    assert all(line.count("$") == 5 for line in [*lines, *new])


def test_it_stands_before_the_text_and_does_not_count_as_text(settings, fitted, small):
    writer = Evidence(settings, fitted[2])
    books = [
        Book(title="Work 3", author="A"),
        Book(),
        Book(title="Evidence: similar $1 $1", description="Evidence: none"),
    ]
    plain, told = (PromptBuilder(small, 160, evidence).contents(books) for evidence in (None, writer))
    assert told[1] == plain[1] and told[1].text == "", "no word, no price"
    for bare, content in ((plain[0], told[0]), (plain[2], told[2])):
        first, _, rest = content.text.partition("\n")
        assert first.startswith("Evidence: similar $") and rest == bare.text and content.tokens == bare.tokens
        assert "Evidence:" not in rest, "no book can write its own"


def test_saved_baselines_give_the_same_lines_and_a_missing_one_is_named(settings, fitted, tmp_path):
    books, _, baselines = fitted
    for name, baseline in baselines.items():
        baseline.save(tmp_path / name)
    assert Evidence.load(settings, tmp_path).lines(books[:5]) == Evidence(settings, baselines).lines(books[:5])
    with pytest.raises(InputError, match="tfidf_ridge"):
        Evidence.load(EvidenceSettings(baselines=("tfidf_ridge",)), tmp_path)
    with pytest.raises(ValidationError, match="no baseline astrology"):
        EvidenceSettings(baselines=("astrology",))


def test_lines_of_no_book_are_none(settings, fitted):
    assert Evidence(settings, fitted[2]).lines([]) == []

import numpy as np
import pytest

from bookpricer.training.baselines import BASELINES
from bookpricer.training.baselines.base import Baseline
from bookpricer.training.baselines.out_of_fold import out_of_fold
from bookpricer.training.book import Book
from bookpricer.training.errors import InputError


class _Memory(Baseline):
    """Knows by heart what each work it saw costs; 1 for all others."""

    name = "memory"
    title = "Memory"

    def _fit(self, books, prices):
        self._prices = {(book.title, book.author): price for book, price in zip(books, prices, strict=True)}

    def _predict(self, books):
        return np.array([self._prices.get((book.title, book.author), 1.0) for book in books])

    @classmethod
    def _read(cls, folder, settings):
        return cls()


@pytest.fixture
def editions():
    """Twenty works in two editions each."""
    return [
        Book(
            title=f"Work {number // 2}", author="A. Writer", details={"Format": ("Hardcover", "Paperback")[number % 2]}
        )
        for number in range(40)
    ]


def test_no_estimate_comes_from_a_fit_on_the_book_or_another_edition(editions):
    estimates = out_of_fold({"memory": _Memory}, editions, np.full(40, 50.0))
    assert estimates["memory"].tolist() == [1.0] * 40
    assert _Memory().fit(editions, np.full(40, 50.0)).predict(editions).tolist() == [50.0] * 40


def test_real_baselines_are_worse_out_of_fold_than_on_what_they_were_fitted_on(learnable):
    books, prices = learnable[0]
    kinds = {name: BASELINES[name] for name in ("linear_regression", "tfidf_ridge")}
    titles = []
    estimates = out_of_fold(kinds, books, prices, folds=3, progress=titles.append)
    assert titles == [kind.title for kind in kinds.values()] * 3
    for name, kind in kinds.items():
        fitted = np.abs(kind().fit(books, prices).predict(books) - prices).mean()
        assert fitted < np.abs(estimates[name] - prices).mean() < np.abs(np.median(prices) - prices).mean()


def test_is_the_same_each_time_and_takes_few_works(editions):
    kinds = {"linear_regression": BASELINES["linear_regression"]}
    prices = np.arange(1.0, 7.0)
    twice = [out_of_fold(kinds, editions[:6], prices)["linear_regression"] for _ in range(2)]
    assert np.array_equal(*twice) and len(twice[0]) == 6
    with pytest.raises(InputError, match="two different books"):
        out_of_fold(kinds, editions[:2], [1.0, 2.0])

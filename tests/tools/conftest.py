import os

import pytest

from bookpricer import PricingChain
from bookpricer.training.book import Book
from bookpricer.training.comparables import Comparables
from bookpricer.training.dataset import PricedBook

SHELF = [
    PricedBook(Book(title="Emma", author="Jane Austen", categories=("Fiction",)), 8.0),
    PricedBook(Book(title="Persuasion", author="Jane Austen", categories=("Fiction",)), 9.5),
    PricedBook(Book(title="Linear Algebra", author="Gilbert Strang", categories=("Mathematics",)), 90.0),
    PricedBook(Book(title="Abstract Algebra", author="David Dummit", categories=("Mathematics",)), 110.0),
    PricedBook(Book(title="A History of Rome", author="Ann Reed", categories=("History",)), 30.0),
]


@pytest.fixture(scope="session")
def chain() -> PricingChain:
    return PricingChain.from_pretrained(os.environ.get("BOOKPRICER_TEST_MODEL", "embedded"))


@pytest.fixture(scope="session")
def comparables() -> Comparables:
    return Comparables.fit(SHELF)


@pytest.fixture
def shelf() -> list[PricedBook]:
    return list(SHELF)

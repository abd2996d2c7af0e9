import os

import pytest

from bookpricer import PricingChain

BOOKS = [
    {"title": "A History of Rome", "author": "Ann Reed", "format": "Hardcover", "pages": 480, "year": 2012},
    {"title": "Gone by Midnight", "subtitle": "Mass Market Paperback – 1 Nov 2011", "description": "A thriller." * 5},
    "Linear algebra for engineers, second edition, textbook binding, 720 pages",
    {"Book Title": "Knitting for cats", "Binding": "Paperback", "Blurb": "Forty patterns, with photographs. " * 40},
    {"title": "Emma"},
]


@pytest.fixture(scope="session")
def model_name() -> str:
    return os.environ.get("BOOKPRICER_TEST_MODEL", "embedded")


@pytest.fixture(scope="session")
def chain(model_name: str) -> PricingChain:
    return PricingChain.from_pretrained(model_name)


@pytest.fixture
def books() -> list:
    return list(BOOKS)

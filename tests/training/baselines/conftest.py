import numpy as np
import pytest

from bookpricer.training.book import Book
from bookpricer.training.dataset import PricedBook

SUBJECTS = {"algebra textbook": 60.0, "romance": 9.0, "cookery with photographs": 30.0, "thriller": 14.0}
FORMATS = {"Paperback": 1.0, "Hardcover": 2.0}


def make_books(n: int, seed: int = 0) -> tuple[list[Book], np.ndarray]:
    """Made-up books whose price follows from their subject and format, with a little noise."""
    random = np.random.default_rng(seed)
    books, prices = [], []
    for number in range(n):
        subject = list(SUBJECTS)[random.integers(len(SUBJECTS))]
        binding = list(FORMATS)[random.integers(len(FORMATS))]
        books.append(
            Book(
                title=f"{subject.title()} number {seed}-{number}",
                author=f"Author {random.integers(40)}",
                description=f"A {subject} for everyone, with {random.integers(50, 900)} pages of it.",
                categories=("Books", subject),
                average_rating=round(float(random.uniform(2, 5)), 1),
                rating_number=int(random.integers(0, 500)),
                details={"Format": binding},
            )
        )
        prices.append(SUBJECTS[subject] * FORMATS[binding] * float(np.exp(random.normal(0, 0.1))))
    return books, np.round(prices, 2)


ODD_BOOKS = [
    Book(),
    Book(title="Untitled"),
    Book(title="كتاب", author="?", description="😀 مرحبا", categories=("Never seen", "Nowhere")),
    Book(title="Map", details={"Format": "Clay tablet", "Year": "1850", "Publisher": "Ur"}, average_rating=-3),
    Book(description="word " * 40_000, rating_number=10**12),
    Book(title="x" * 100_000),
]


@pytest.fixture(scope="session")
def learnable():
    """Training and test books with their prices."""
    return make_books(400, seed=1), make_books(120, seed=2)


@pytest.fixture(scope="session")
def splits(learnable):
    """The same as splits of priced books."""
    return {
        name: [PricedBook(book, float(price)) for book, price in zip(*part, strict=True)]
        for name, part in zip(("train", "test"), learnable, strict=True)
    }

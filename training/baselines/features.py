"""Features that a bookseller could name, as a table. Knows books; knows no model.

A name that training never saw (a category, a format, an author) is an ordinary value here: the encoders of the models
give it what they give an average one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..book import Book
from ..cleaning import clean_text

NAMES = ("author", "publisher", "category", "genre", "format", "edition", "language", "condition")
NUMBERS = (
    "rating", "log_ratings", "log_pages", "year", "log_description", "description_share_upper", "log_features",
    "title_length", "author_length", "brackets", "n_categories", "is_import", "is_illustrated", "is_set",
)  # fmt: skip
_NAME_LIMIT = 100
# A longer text says no more by its length, and its letters are not counted.
_TEXT_LIMIT = 20_000


def feature_table(books: Sequence[Book]) -> pd.DataFrame:
    """One row a book: the columns of `NUMBERS` (float64, NaN where a record does not say), then `NAMES` (str)."""
    table = pd.DataFrame([_numbers(book) for book in books], columns=list(NUMBERS), dtype=np.float64)
    names = pd.DataFrame([_names(book) for book in books], columns=list(NAMES), dtype=object)
    return pd.concat([table, names], axis=1)


def _numbers(book: Book) -> tuple[float, ...]:
    text = description_text(book)
    words = _title_words(book)
    rating = book.average_rating
    count = book.rating_number
    return (
        rating if rating is not None and 0 <= rating <= 100 else np.nan,
        np.log1p(min(count, 10**9)) if count is not None and count >= 0 else np.nan,
        np.log(book.pages) if book.pages else np.nan,
        book.year or np.nan,
        np.log1p(len(text)),
        sum(map(str.isupper, text)) / max(len(text), 1),
        np.log1p(min(sum(map(len, book.features)), _TEXT_LIMIT)),
        min(len(book.title), 300),
        min(len(book.author), 300),
        min(book.title.count("("), 5),
        min(len(book.categories), 10),
        is_import(book),
        "illustrated" in words,
        any(word in words for word in ("box set", "boxed set", "boxset", "set of ", "collection")),
    )


def description_text(book: Book) -> str:
    """The description as one text, as much of it as is read."""
    return " ".join(book.description)[:_TEXT_LIMIT]


def is_import(book: Book) -> bool:
    """Whether the title or the edition says that a book is imported."""
    return "import" in _title_words(book)


def _title_words(book: Book) -> str:
    return f"{book.title} {book.subtitle} {book.edition or ''}"[:1000].lower()


def named_categories(book: Book) -> list[str]:
    """The categories that say more than that it is a book, from the widest to the narrowest."""
    return [name for name in map(clean_text, book.categories) if name.lower() not in ("", "book", "books")]


def _names(book: Book) -> tuple[str, ...]:
    categories = named_categories(book)
    values = (
        book.author,
        book.publisher,
        categories[0] if categories else "",
        categories[-1] if categories else "",
        book.format,
        book.edition,
        book.language,
        book.condition,
    )
    return tuple(clean_text((value or "")[:_NAME_LIMIT]).lower() for value in values)

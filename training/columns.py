"""Other people's column names, and the record they make: what shops, distributors and libraries call a book's fields.

Knows names only; reads no file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .book import FACT_NAMES, Book

# Field or typed property -> names it goes by, compared without case, accents of punctuation and plural brackets.
_NAMES: dict[str, tuple[str, ...]] = {
    "title": ("title", "book title", "name", "book name", "product title", "product name", "titel", "titre", "título"),
    "subtitle": ("subtitle", "sub title", "edition line"),
    "author": ("author", "authors", "author name", "by", "writer", "contributor", "creator", "autor", "auteur"),
    "description": (
        "description", "synopsis", "blurb", "summary", "about", "annotation", "long description", "product description",
        "book description", "overview", "text", "content", "abstract",
    ),
    "features": ("features", "bullets", "bullet points", "highlights", "key features"),
    "categories": (
        "categories", "category", "genre", "genres", "subject", "subjects", "bisac", "bisac subject", "bisac code",
        "topic", "topics", "shelf", "section",
    ),
    "details": ("details", "product details"),
    "store": ("store", "brand"),
    "average_rating": ("average rating", "rating", "avg rating", "stars", "review score"),
    "rating_number": (
        "rating number", "ratings", "rating count", "ratings count", "number of ratings", "reviews", "review count",
    ),
    "price": (
        "price", "list price", "rrp", "msrp", "retail price", "sale price", "selling price", "amount", "cost", "preis",
        "prix", "precio", "mrp", "price usd", "price eur", "price gbp", "price inr", "unit price",
    ),
    "parent_asin": ("parent asin", "asin", "isbn", "isbn13", "isbn 13", "isbn10", "isbn 10", "ean", "sku"),
    "format": ("format", "binding", "cover", "book format", "product form", "cover type"),
    "pages": ("pages", "no of pages", "number of pages", "page count", "num pages", "print length", "extent"),
    "publisher": ("publisher", "imprint", "publisher name", "verlag", "publishing house"),
    "year": ("year", "pub date", "publication date", "publication year", "published", "publish date", "release date"),
    "language": ("language", "lang", "languages", "language code"),
    "condition": ("condition", "book condition", "grade"),
    "edition": ("edition", "edition statement"),
}  # fmt: skip
_BY_NAME = {name: field for field, names in _NAMES.items() for name in names}


def _normalise(column: str) -> str:
    """`No. of Pages`, `List Price (USD)`, `bookTitle` -> `no of pages`, `list price`, `book title`."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column)
    text = re.sub(r"\([^()]*\)", " ", text.lower())
    return re.sub(r"[\W_]+", " ", text).strip()


def recognise_columns(columns: Iterable[str]) -> dict[str, str]:
    """Which column is which field of a Book or typed property: `{column: field}`; the first of several names wins.

    Example:
        >>> recognise_columns(["Author(s)", "Blurb", "List Price (USD)", "Shoe size"])
        {'Author(s)': 'author', 'Blurb': 'description', 'List Price (USD)': 'price'}
    """
    columns = list(columns)
    found: dict[str, str] = {column: column for column in columns if column in Book.model_fields}
    for column in columns:
        field = _BY_NAME.get(_normalise(column))
        if field and column not in found and field not in found.values():
            found[column] = field
    return found


def to_record(row: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """A row under the field names of a Book, typed properties (format, pages…) put into its details."""
    record: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for column, field in mapping.items():
        value = row.get(column)
        if field in FACT_NAMES:
            facts[field.capitalize()] = value
        else:
            record[field] = value
    if facts:
        details, said = (Book.model_validate({"details": part}).details for part in (record.get("details"), facts))
        record["details"] = {**details, **said}
    return record


def to_book(row: Mapping[str, Any], mapping: Mapping[str, str] | None = None, *, priced: bool = False) -> Book:
    """The Book of a row of any catalogue. Its price is read only where `priced`: an estimate never needs it.

    Raises:
        pydantic.ValidationError: a value that is none of its field's, such as a price that cannot be read.
    """
    record = to_record(row, recognise_columns(map(str, row)) if mapping is None else mapping)
    if not priced:
        record.pop("price", None)
    return Book.model_validate(record)

"""From a priced source to the rows that training reads: priced books in four splits, their prompts and completions.

Knows records, prompts and tokenizers; knows nothing about models.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from .book import Book
from .cleaning import book_content
from .columns import to_book
from .errors import InputError
from .money import PriceError, parse_price
from .prompt import PromptBuilder, build_completion, build_prompt
from .sources import open_catalog, row_mapping

# Prices that a model can answer, in units.
MIN_UNITS, MAX_UNITS = 0.5, 999.49
# Split -> share of the title-and-author groups. Validation stops training early, calibration fits the intervals.
SPLITS = {"train": 0.75, "validation": 0.05, "calibration": 0.1, "test": 0.1}


@dataclass(frozen=True)
class PricedBook:
    """A book and its price in units."""

    book: Book
    units: float


@dataclass
class PricedBooks:
    """The usable books of a source, and how many records each rule took."""

    books: list[PricedBook] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    fingerprint: str = ""


def read_priced_books(path: str | Path, *, unit: float = 1.0) -> PricedBooks:
    """All books of a catalogue that have a text and a price within the model's range.

    Args:
        path: CSV or JSON lines.
        unit: what one model dollar stands for in the catalogue's currency.

    Raises:
        InputError: the file cannot be read, or no record of it is usable.
    """
    catalog = open_catalog(path)
    result = PricedBooks()
    digest = hashlib.sha256()
    for row in catalog.rows():
        if row.error:
            result.rejected[row.error] += 1
            continue
        mapping = row_mapping(catalog, row.values)
        price_column = next((column for column, name in mapping.items() if name == "price"), None)
        try:
            units = parse_price(row.values.get(price_column) if price_column else None) / unit
        except PriceError as error:
            result.rejected[error.reason] += 1
            continue
        if not MIN_UNITS <= units <= MAX_UNITS:
            result.rejected["price outside of the model's range"] += 1
            continue
        try:
            book = to_book(row.values, mapping)
        except ValidationError:
            result.rejected["unreadable field"] += 1
            continue
        if not book_content(book):
            result.rejected["no text"] += 1
            continue
        digest.update(f"{book.title}\t{units}\n".encode(errors="replace"))
        result.books.append(PricedBook(book, units))
    if not result.books:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in result.rejected.most_common(3))
        raise InputError(
            f"{path} holds no usable priced book ({reasons or 'no rows'}); check its columns and the --unit"
        )
    result.fingerprint = digest.hexdigest()
    return result


def work_of(book: Book) -> str:
    """A book's title and author without what tells its editions apart: the same for all of them."""
    title = re.sub(r"\(.*?\)|\[.*?\]|([:–—]|\s-\s).*", "", book.title.lower())
    return "|".join(re.sub(r"[\W_]+", " ", text).strip() for text in (title or book.title.lower(), book.author.lower()))


def split_of(book: Book, seed: int = 0) -> str:
    """The split of a book, by its title and author, so that all editions of a work fall into one.

    Taken from a hash: it needs no memory of other books and stays the same when a catalogue grows.
    """
    position = int.from_bytes(hashlib.sha256(f"{seed}|{work_of(book)}".encode(errors="replace")).digest()[:8]) / 2**64
    for split, share in SPLITS.items():
        if position < share:
            return split
        position -= share
    return "test"


def split_books(books: Iterable[PricedBook], seed: int = 0) -> dict[str, list[PricedBook]]:
    """The four splits, each in the order of the source."""
    splits: dict[str, list[PricedBook]] = {name: [] for name in SPLITS}
    for priced in books:
        splits[split_of(priced.book, seed)].append(priced)
    return splits


def prompt_rows(books: Sequence[PricedBook], builder: PromptBuilder, batch: int = 1000) -> Iterator[dict[str, str]]:
    """TRL's prompt-completion rows: `{"prompt": …, "completion": "37"}`."""
    for start in range(0, len(books), batch):
        part = books[start : start + batch]
        for priced, content in zip(part, builder.contents(p.book for p in part), strict=True):
            yield {"prompt": build_prompt(content.text), "completion": build_completion(priced.units)}

"""From a priced source to the rows that training reads: priced books in four splits, their prompts and completions.

Knows records, prompts and tokenizers; knows nothing about models.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .book import Book
from .cleaning import CleanBook, clean_book
from .columns import to_book
from .currencies import OtherCurrencyError, read_price
from .errors import InputError
from .money import PriceError, parse_price
from .prompt import PromptBuilder, build_completion, build_prompt, with_evidence
from .sources import open_catalog, row_mapping

# Prices that a model can answer, in units.
MIN_UNITS, MAX_UNITS = 0.5, 999.49
# In a prepared folder: what it is and how it was made, and the columns that hold the whole Book but its price.
REPORT = "report.json"
BOOK_COLUMNS = tuple(name for name in Book.model_fields if name != "price")
# Split -> share of the title-and-author groups. Validation stops training early, calibration fits the intervals.
SPLITS = {"train": 0.75, "validation": 0.05, "calibration": 0.1, "test": 0.1}


@dataclass(frozen=True)
class PricedBook:
    """A book and its price in units; `split` where a preparation has chosen it."""

    book: Book
    units: float
    split: str | None = None


@dataclass
class PricedBooks:
    """The usable books of a source, how many records each rule took, and what one unit of their prices stands for."""

    books: list[PricedBook] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    fingerprint: str = ""
    currency: str | None = None
    unit: float = 1.0


@dataclass(frozen=True)
class SplitBooks:
    """Priced books by split (`train`, `validation`, `calibration`, `test`), and what one unit of their prices is.

    `rejected` counts the records of the source that could not be used, by reason.
    """

    splits: Mapping[str, Sequence[PricedBook]]
    currency: str = "USD"
    unit: float = 1.0
    fingerprint: str | None = None
    rejected: Counter[str] = field(default_factory=Counter)


class RejectedError(Exception):
    """A record that cannot be used; `reason` is a short phrase to count such records by, `value` what was wrong."""

    def __init__(self, reason: str, value: object = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


def read_row(
    values: Mapping[str, Any], mapping: Mapping[str, str], *, unit: float = 1.0, currency: str | None = None
) -> tuple[CleanBook, float]:
    """A row's book, cleaned and without any price in its texts, and its price in units.

    Raises:
        RejectedError: no price within the model's range, one in another currency, an unreadable field, or no text.
    """
    column = next((column for column, name in mapping.items() if name == "price" and column in values), None)
    cell = values[column] if column else None
    try:
        units = (parse_price(cell) if currency is None else read_price(cell, currency)) / unit
    except PriceError as error:
        raise RejectedError(error.reason, cell) from None
    except OtherCurrencyError:
        raise RejectedError("a price in another currency", cell) from None
    if not MIN_UNITS <= units <= MAX_UNITS:
        raise RejectedError("price outside of the model's range", cell)
    try:
        cleaned = clean_book(to_book(values, mapping))
    except ValidationError as error:
        raise RejectedError("unreadable field", error.errors()[0]["loc"][0]) from None
    if not cleaned.content:
        raise RejectedError("no text")
    return cleaned, units


def read_priced_books(path: str | Path, *, unit: float = 1.0, currency: str | None = None) -> PricedBooks:
    """All books of a catalogue that have a text and a price within the model's range, or those of a prepared folder.

    Args:
        path: any local catalogue, or a folder that `bookpricer prepare` made, which says its currency and unit itself.
        unit: what one model dollar stands for in the catalogue's currency.
        currency: of the catalogue; a price with another one's sign is then rejected.

    Raises:
        InputError: the file cannot be read, or no record of it is usable.
    """
    if is_prepared(path):
        return _read_prepared(Path(path))
    catalog = open_catalog(path)
    result = PricedBooks(currency=currency, unit=unit)
    digest = hashlib.sha256()
    for row in catalog.rows():
        if row.error:
            result.rejected[row.error] += 1
            continue
        try:
            cleaned, units = read_row(row.values, row_mapping(catalog, row.values), unit=unit, currency=currency)
        except RejectedError as error:
            result.rejected[error.reason] += 1
            continue
        digest.update(f"{cleaned.book.title}\t{units}\n".encode(errors="replace"))
        result.books.append(PricedBook(cleaned.book, units))
    if not result.books:
        reasons = ", ".join(f"{count} with {reason}" for reason, count in result.rejected.most_common(3))
        raise InputError(
            f"{path} holds no usable priced book ({reasons or 'no rows'}); check its columns and the --unit"
        )
    result.fingerprint = digest.hexdigest()
    return result


def read_splits(path: str | Path, *, currency: str = "USD", unit: float = 1.0, seed: int = 0) -> SplitBooks:
    """The four splits of a prepared folder, as they are, or of any priced catalogue, made with `seed`.

    Args:
        currency, unit: of a catalogue's prices; a prepared folder says its own.

    Raises:
        InputError: no such source, or no usable book in it.
    """
    read = read_priced_books(path, unit=unit)
    splits = split_books(read.books, seed)
    return SplitBooks(splits, read.currency or currency, read.unit, read.fingerprint, read.rejected)


def read_test_books(path: str | Path, *, currency: str = "USD", unit: float = 1.0) -> PricedBooks:
    """The test split of a prepared folder, or all books of a priced catalogue and what was left out of it.

    Raises:
        InputError: no such source, no usable book in it, or prices in another currency or unit.
    """
    read = read_priced_books(path, unit=unit)
    if not is_prepared(path):
        return read
    if (read.currency, read.unit) != (currency, unit):
        raise InputError(f"{path} is priced in {read.unit:g} {read.currency}, the model in {unit:g} {currency}")
    books = [priced for priced in read.books if priced.split == "test"]
    if not books:
        raise InputError(f"{path} has no test split; name a priced catalogue instead")
    return replace(read, books=books)


def is_prepared(path: str | Path) -> bool:
    """Whether a folder is one that `bookpricer prepare` made."""
    return (Path(path) / REPORT).is_file() and (Path(path) / "data").is_dir()


def _read_prepared(folder: Path) -> PricedBooks:
    """The books of all four splits, with their splits.

    Raises:
        InputError: files that are missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        result = PricedBooks(fingerprint=report["fingerprint"], currency=report["currency"], unit=float(report["unit"]))
        for split in SPLITS:
            for file in sorted((folder / "data").glob(f"{split}-*.parquet")):
                for batch in pq.ParquetFile(file).iter_batches(columns=[*BOOK_COLUMNS, "units"]):
                    result.books += (
                        PricedBook(Book.model_validate({**row, "price": None}), row["units"], split)
                        for row in batch.to_pylist()
                    )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise InputError(f"{folder} cannot be read; prepare the data again") from error
    if len(result.books) != sum(report["splits"].values()):
        raise InputError(f"{folder} does not hold all of its books; prepare the data again")
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
    """The four splits, each in the order of the source; those of prepared books as they are."""
    splits: dict[str, list[PricedBook]] = {name: [] for name in SPLITS}
    for priced in books:
        splits[priced.split or split_of(priced.book, seed)].append(priced)
    return splits


def prompt_rows(
    books: Sequence[PricedBook], builder: PromptBuilder, *, lines: Sequence[str] | None = None, batch: int = 1000
) -> Iterator[dict[str, str]]:
    """TRL's prompt-completion rows: `{"prompt": …, "completion": "37"}`.

    Args:
        lines: evidence for each book, in place of the builder's own; see `evidence.training_lines`.
    """
    for start in range(0, len(books), batch):
        part = books[start : start + batch]
        for number, (priced, content) in enumerate(
            zip(part, builder.contents(p.book for p in part), strict=True), start
        ):
            if lines is not None:
                content = with_evidence(content, lines[number])
            yield {"prompt": build_prompt(content.text), "completion": build_completion(priced.units)}

"""Priced books by split, out of a prepared folder or any priced catalogue. Knows files; knows no models.

A prepared folder holds Parquet files, a split each (`train.parquet`, `train-….parquet`, `train/….parquet`), whose rows
keep the whole book and its price in units (`units`), and a JSON file that names `currency` and `unit`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..book import Book
from ..columns import to_book
from ..dataset import MAX_UNITS, MIN_UNITS, SPLITS, PricedBook, PricedBooks, read_priced_books, split_books
from ..errors import InputError


@dataclass(frozen=True)
class SplitBooks:
    """Priced books by split, and what one unit of their prices stands for."""

    splits: dict[str, list[PricedBook]]
    currency: str
    unit: float
    fingerprint: str


def read_data(path: Path, *, currency: str = "USD", unit: float = 1.0, seed: int = 0) -> SplitBooks:
    """The four splits of a prepared folder, as they are, or of a priced catalogue, made with `seed`.

    Raises:
        InputError: no such source, or no usable book in it.
    """
    if path.is_dir():
        return _read_prepared(path, currency, unit)
    priced = read_priced_books(path, unit=unit)
    return SplitBooks(split_books(priced.books, seed), currency, unit, priced.fingerprint)


def read_test_books(path: Path, *, currency: str = "USD", unit: float = 1.0) -> PricedBooks:
    """The test split of a prepared folder, or all books of a priced catalogue and what was left out of it.

    Raises:
        InputError: no such source, no usable book in it, or prices in another currency or unit.
    """
    if not path.is_dir():
        return read_priced_books(path, unit=unit)
    read = _read_prepared(path, currency, unit)
    if (read.currency, read.unit) != (currency, unit):
        raise InputError(f"{path} is priced in {read.unit:g} {read.currency}, the model in {unit:g} {currency}")
    if not read.splits["test"]:
        raise InputError(f"{path} has no test split; name a priced catalogue instead")
    return PricedBooks(read.splits["test"], currency=read.currency, unit=read.unit)


def _read_prepared(folder: Path, currency: str, unit: float) -> SplitBooks:
    import pandas as pd

    splits: dict[str, list[PricedBook]] = {}
    digest = hashlib.sha256()
    for split in SPLITS:
        files = sorted(
            file
            for file in folder.rglob("*.parquet")
            if file.stem == split or file.stem.startswith(f"{split}-") or file.parent.name == split
        )
        splits[split] = []
        for file in files:
            try:
                rows = pd.read_parquet(file).to_dict("records")
            except (OSError, ValueError) as error:
                raise InputError(f"{file} cannot be read; prepare the data again") from error
            splits[split] += [_priced(row, file) for row in rows]
        digest.update("".join(f"{p.book.title}\t{p.units}\n" for p in splits[split]).encode(errors="replace"))
    if not any(splits.values()):
        raise InputError(f"{folder} is not a prepared folder; name a priced catalogue, or run `bookpricer prepare`")
    card = _card(folder)
    return SplitBooks(splits, str(card.get("currency", currency)), float(card.get("unit", unit)), digest.hexdigest())


def _priced(row: Mapping[Any, Any], file: Path) -> PricedBook:
    units = row.get("units", row.get("price"))
    try:
        book = row.get("book")
        record = json.loads(book) if isinstance(book, str) else book
        read = Book.model_validate({**record, "price": None}) if record is not None else to_book(row)
        priced = PricedBook(read, float(units))
    except (ValidationError, ValueError, TypeError) as error:
        raise InputError(f"{file} has a row that is no priced book; prepare the data again") from error
    if not MIN_UNITS <= priced.units <= MAX_UNITS:
        raise InputError(f"{file} has a price of {priced.units:g} units; prepare the data again")
    return priced


def _card(folder: Path) -> dict[str, Any]:
    """The first JSON file of the folder that names a currency and a unit, or nothing."""
    for file in sorted(folder.glob("*.json")):
        try:
            card = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(card, dict) and {"currency", "unit"} <= set(card):
            return card
    return {}

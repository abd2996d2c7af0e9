"""Reads the rows of a catalogue, whatever its format, one at a time. Knows files; knows no prices and no models."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .columns import recognise_columns
from .errors import InputError

_SAMPLE_BYTES = 1 << 16
_TEXT_CONTROLS = frozenset(b"\t\n\x0b\x0c\r\x1b")
# The longest CSV cell that is read; the csv module refuses cells of over 128 KiB unless told.
_CELL_LIMIT = 1 << 27


@dataclass(frozen=True)
class Row:
    """One row of a catalogue: its number from 1 (a CSV's header not counted), and its values or why there are none."""

    number: int
    values: dict[str, Any]
    error: str | None = None


@dataclass(frozen=True)
class Catalog:
    """An opened catalogue: its columns (empty for JSON lines, whose keys may differ) and how they were recognised."""

    path: Path
    kind: str
    encoding: str
    columns: tuple[str, ...]
    mapping: dict[str, str] | None
    delimiter: str = ","

    def rows(self) -> Iterator[Row]:
        """Every row, read as it is asked for; a broken one comes with its error and the rest go on."""
        return self._csv_rows() if self.kind == "csv" else self._json_rows()

    def count(self) -> int:
        """Number of rows, found by reading all of them."""
        return sum(1 for _ in self.rows())

    def _csv_rows(self) -> Iterator[Row]:
        with self._open() as stream:
            reader = csv.reader(stream, delimiter=self.delimiter)
            next(reader)
            number = 0
            while True:
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    number += 1
                    yield Row(number, {}, f"broken CSV ({error})")
                    continue
                if not cells:
                    continue
                number += 1
                if len(cells) > len(self.columns):
                    values = dict(zip(self.columns, cells, strict=False))
                    yield Row(number, values, f"{len(cells)} cells where the header has {len(self.columns)}")
                else:
                    cells += [""] * (len(self.columns) - len(cells))
                    yield Row(number, dict(zip(self.columns, cells, strict=True)))

    def _json_rows(self) -> Iterator[Row]:
        with self._open() as stream:
            for number, line in enumerate(stream, start=1):
                if not line.strip():
                    continue
                try:
                    values = json.loads(line)
                except (ValueError, RecursionError):
                    yield Row(number, {}, "broken JSON")
                    continue
                if isinstance(values, dict):
                    yield Row(number, values)
                else:
                    yield Row(number, {}, "not a JSON object")

    def _open(self) -> io.TextIOWrapper:
        # A character that is none is shown as such in one row, not the end of the file.
        return self.path.open(encoding=self.encoding, errors="replace", newline="" if self.kind == "csv" else None)


def open_catalog(path: str | Path) -> Catalog:
    """Look at a CSV or JSON-lines file and say how it is to be read.

    Raises:
        InputError: no such file, a folder, an empty or binary file, another format, or a CSV without a column that
            could be a title or a text.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            sample = stream.read(_SAMPLE_BYTES)
            # Only a character beyond ASCII tells an encoding: read on to the first.
            beyond = sample
            while beyond.isascii() and (block := stream.read(_SAMPLE_BYTES)):
                beyond = block
    except FileNotFoundError:
        raise InputError(f"there is no file {path}; check the name") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; name a CSV or JSONL file in it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the name and its permissions") from error
    if not sample.strip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n\x0b\x0c"):
        raise InputError(f"{path} is empty; it should hold one book a line")
    encoding = _encoding(sample, beyond)
    if encoding is None:
        raise InputError(f"{path} is not a text file; save the catalogue as CSV or JSON lines")
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson", ".json"):
        if sample.lstrip()[:1] == b"[":
            raise InputError(f"{path} holds one JSON array; write one object a line (JSON lines) instead")
        return Catalog(path, "json", encoding, (), None)
    if suffix in (".csv", ".tsv", ".txt"):
        return _open_csv(path, sample.decode(encoding, errors="replace"), encoding)
    raise InputError(f"{path} has no known format; name it .csv, .tsv or .jsonl")


def _open_csv(path: Path, sample: str, encoding: str) -> Catalog:
    csv.field_size_limit(_CELL_LIMIT)
    headers = {delimiter: _header(sample, delimiter) for delimiter in ",;\t|"}
    # The delimiter that makes the most known names of the header wins, then that which makes the most names.
    delimiter = max(headers, key=lambda sign: (len(recognise_columns(headers[sign])), len(headers[sign])))
    columns = headers[delimiter]
    mapping = recognise_columns(columns)
    if not {"title", "description"} & set(mapping.values()):
        shown = " ".join(", ".join(columns[:8]).split())[:120]
        raise InputError(f"{path} has no column for a title or a description (it has: {shown}); name one 'title'")
    return Catalog(path, "csv", encoding, columns, mapping, delimiter)


def _header(sample: str, delimiter: str) -> tuple[str, ...]:
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    return tuple(name.strip() for name in next(reader, []))


def _encoding(sample: bytes, beyond: bytes) -> str | None:
    """The text encoding of a file's start and its first block beyond ASCII, or None where it is no text."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if sample.startswith(mark):
            return encoding
    controls = sum(1 for byte in sample if byte < 32 and byte not in _TEXT_CONTROLS)
    if controls > len(sample) * 0.01 + 2:
        return None
    try:
        # A block may end within a character, which is no error where the file goes on.
        codecs.getincrementaldecoder("utf-8")().decode(beyond, final=len(beyond) < _SAMPLE_BYTES)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def row_mapping(catalog: Catalog, values: Mapping[str, Any]) -> dict[str, str]:
    """How a row's names are to be read: a CSV's header once for all, a JSON object's keys each time."""
    return catalog.mapping if catalog.mapping is not None else recognise_columns(values)

"""Catalogues that are texts: CSV with any delimiter, and JSON lines, in whatever encoding."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..columns import recognise_columns
from ..errors import InputError
from .catalog import Catalog, Row, need_text_column

_SAMPLE_BYTES = 1 << 16
_TEXT_CONTROLS = frozenset(b"\t\n\x0b\x0c\r\x1b")
# The longest CSV cell that is read; the csv module refuses cells of over 128 KiB unless told.
_CELL_LIMIT = 1 << 27
# What Central European letters look like, read as Western ones: signs within words.
_CENTRAL = re.compile(r"[a-zA-Z][¹³¿¼¾]|[¹³¿¼¾][a-z]|[a-z]ñ[^aeiou]|\bœ[a-z]|[a-z]œ[^u]")
_LATIN2 = re.compile(r"[a-z][±¶¼]|[±¶¼][a-z]")

Open = Callable[[], IO[bytes]]


@dataclass(frozen=True, kw_only=True)
class TextCatalog(Catalog):
    """A text file and its encoding."""

    open: Open
    encoding: str

    def _text(self, newline: str | None) -> io.TextIOWrapper:
        # A character that is none is shown as such in one row, not the end of the file.
        return io.TextIOWrapper(self.open(), encoding=self.encoding, errors="replace", newline=newline)


@dataclass(frozen=True, kw_only=True)
class CsvCatalog(TextCatalog):
    """A table whose first line names the columns."""

    delimiter: str

    def rows(self) -> Iterator[Row]:
        """Every line that is not empty."""
        with self._text("") as stream:
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


@dataclass(frozen=True, kw_only=True)
class JsonLinesCatalog(TextCatalog):
    """One JSON object a line."""

    def rows(self) -> Iterator[Row]:
        """Every line that is not blank."""
        with self._text(None) as stream:
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


def sniff(stream: IO[bytes], path: Path, encoding: str | None) -> tuple[bytes, str]:
    """The start of a text file, and its encoding.

    Raises:
        InputError: an empty or binary file, or an encoding that there is not.
    """
    sample = stream.read(_SAMPLE_BYTES)
    if not sample.strip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n\x0b\x0c"):
        raise InputError(f"{path} is empty; it should hold one book a line")
    if encoding is not None:
        try:
            return sample, codecs.lookup(encoding).name
        except LookupError:
            raise InputError(f"there is no encoding {encoding!r}; try utf-8, utf-16, cp1250 or latin-1") from None
    # Only a character beyond ASCII tells an encoding: read on to the first.
    beyond = sample
    while beyond.isascii() and (block := stream.read(_SAMPLE_BYTES)):
        beyond = block
    found = _encoding(sample, beyond)
    if found is None:
        raise InputError(f"{path} is not a text file; save the catalogue as CSV or JSON lines")
    return sample, found


def open_json_lines(
    path: Path, open_: Open, sample: bytes, encoding: str, overrides: Mapping[str, str]
) -> JsonLinesCatalog:
    """JSON lines, whose keys may differ.

    Raises:
        InputError: a JSON array.
    """
    if sample.decode(encoding, errors="replace").lstrip()[:1] == "[":
        raise InputError(f"{path} holds one JSON array; write one object a line (JSON lines) instead")
    return JsonLinesCatalog(path=path, open=open_, encoding=encoding, overrides=overrides)


def open_csv(path: Path, open_: Open, sample: bytes, encoding: str, overrides: Mapping[str, str]) -> CsvCatalog:
    """A table with a header, its delimiter found by what it makes of the header.

    Raises:
        InputError: no column that could be a title or a text.
    """
    csv.field_size_limit(_CELL_LIMIT)
    text = sample.decode(encoding, errors="replace")
    headers = {delimiter: _header(text, delimiter) for delimiter in ",;\t|"}
    # The delimiter that makes the most known names of the header wins, then that which makes the most names.
    delimiter = max(headers, key=lambda sign: (len(recognise_columns(headers[sign], overrides)), len(headers[sign])))
    columns = headers[delimiter]
    mapping = recognise_columns(columns, overrides)
    need_text_column(path, columns, mapping)
    return CsvCatalog(
        path=path, columns=columns, mapping=mapping, overrides=overrides, open=open_, encoding=encoding,
        delimiter=delimiter,
    )  # fmt: skip


def _header(sample: str, delimiter: str) -> tuple[str, ...]:
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
    return tuple(name.strip() for name in next(reader, []))


def _encoding(sample: bytes, beyond: bytes) -> str | None:
    """The text encoding of a file's start and its first block beyond ASCII, or None where it is no text."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if sample.startswith(mark):
            return encoding
    # UTF-16 without a mark: every other byte of what is mostly ASCII is zero.
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(sample) > 8 and sample[first::2].count(0) > 0.4 * len(sample) and not sample[1 - first :: 2].count(0):
            return encoding
    controls = sum(1 for byte in sample if byte < 32 and byte not in _TEXT_CONTROLS)
    if controls > len(sample) * 0.01 + 2:
        return None
    try:
        # A block may end within a character, which is no error where the file goes on.
        codecs.getincrementaldecoder("utf-8")().decode(beyond, final=len(beyond) < _SAMPLE_BYTES)
    except UnicodeDecodeError:
        return _single_byte_encoding(beyond)
    return "utf-8"


def _single_byte_encoding(beyond: bytes) -> str:
    """Western European, unless the words make sense as Central European only."""
    western = beyond.decode("cp1252", errors="replace")
    if len(_LATIN2.findall(western)) > len(_CENTRAL.findall(western)):
        return "iso8859-2"
    return "cp1250" if _CENTRAL.search(western) else "cp1252"

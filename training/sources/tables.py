"""Catalogues that are tables with types: Parquet and Excel workbooks, read a few rows at a time."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from ..columns import recognise_columns
from ..errors import InputError
from .catalog import Catalog, Row, need_text_column

_BATCH = 512
# So many rows of a workbook may stand above the header.
_HEADER_ROWS = 20

Open = Callable[[], IO[bytes]]


@dataclass(frozen=True, kw_only=True)
class ParquetCatalog(Catalog):
    """A Parquet file."""

    open: Open
    length: int

    def rows(self) -> Iterator[Row]:
        """Every row."""
        import pyarrow.parquet as pq

        number = 0
        with self.open() as stream, pq.ParquetFile(stream) as file:
            for batch in file.iter_batches(batch_size=_BATCH, use_threads=False):
                for values in batch.to_pylist():
                    number += 1
                    yield Row(number, values)

    def known_count(self) -> int:
        """As the file's end says."""
        return self.length


@dataclass(frozen=True, kw_only=True)
class XlsxCatalog(Catalog):
    """The first sheet of an Excel workbook that has a header with known names."""

    open: Open
    sheet: str
    header: int

    def rows(self) -> Iterator[Row]:
        """Every row below the header that is not empty."""
        number = 0
        with self.open() as stream:
            workbook = _load(stream, self.path)
            for cells in islice(workbook[self.sheet].iter_rows(values_only=True), self.header + 1, None):
                if all(cell is None for cell in cells):
                    continue
                number += 1
                values = (_plain(cell) for cell in cells)
                yield Row(number, {name: value for name, value in zip(self.columns, values, strict=False) if name})
            workbook.close()


def open_parquet(path: Path, open_: Open, overrides: Mapping[str, str]) -> ParquetCatalog:
    """A Parquet file.

    Raises:
        InputError: a damaged file, or no column that could be a title or a text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_() as stream, pq.ParquetFile(stream) as file:
            columns, length = tuple(file.schema_arrow.names), file.metadata.num_rows
    except pa.ArrowException as error:
        raise InputError(f"{path} is no readable Parquet file; download or export it again") from error
    mapping = recognise_columns(columns, overrides)
    need_text_column(path, columns, mapping)
    return ParquetCatalog(
        path=path, columns=columns, mapping=mapping, overrides=overrides, open=open_, length=length
    )  # fmt: skip


def open_xlsx(path: Path, open_: Open, overrides: Mapping[str, str]) -> XlsxCatalog:
    """An Excel workbook; the header may stand below a heading, and on any sheet.

    Raises:
        InputError: a damaged file, no column that could be a title or a text, or openpyxl is missing.
    """
    best: tuple[int, str, int, tuple[str, ...]] = (-1, "", 0, ())
    with open_() as stream:
        workbook = _load(stream, path)
        for sheet in workbook.worksheets:
            for row, cells in enumerate(sheet.iter_rows(max_row=_HEADER_ROWS, values_only=True)):
                names = tuple("" if cell is None else str(cell).strip() for cell in cells)
                known = len(recognise_columns(names, overrides))
                if any(names) and known > best[0]:
                    best = (known, sheet.title, row, names)
        workbook.close()
    _, title, header, columns = best
    if not columns:
        raise InputError(f"{path} is empty; it should hold one book a line")
    mapping = recognise_columns(columns, overrides)
    need_text_column(path, tuple(filter(None, columns)), mapping)
    return XlsxCatalog(
        path=path, columns=columns, mapping=mapping, overrides=overrides, open=open_, sheet=title, header=header
    )  # fmt: skip


def _load(stream: IO[bytes], path: Path) -> Any:
    try:
        import openpyxl
    except ImportError as error:
        raise InputError("reading XLSX needs the extra 'train': pip install 'bookpricer[train]'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles, which are not read
            return openpyxl.load_workbook(stream, read_only=True, data_only=True)
    except Exception as error:  # openpyxl raises whatever its zip and XML readers raise
        raise InputError(f"{path} is no readable XLSX workbook; save it again, or as CSV") from error


def _plain(cell: Any) -> Any:
    """A cell without its type where a Book reads words: dates as people write them."""
    if isinstance(cell, datetime.datetime):
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, (datetime.date, datetime.time)) else cell

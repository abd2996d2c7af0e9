"""Prices a whole catalogue, file to file, a chunk at a time. Knows rows, columns and the chain; knows no screen."""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from langchain_core.runnables import Runnable
from pydantic import ValidationError

from ..training.book import Book
from ..training.calibration import Calibration
from ..training.columns import to_book
from ..training.errors import InputError
from ..training.estimate import PriceEstimate
from ..training.server import ServerError
from ..training.sources import Catalog, Row, open_catalog, row_mapping

PRICED, REJECTED = "priced", "rejected"
OUTPUT_COLUMNS = ("price_estimate", "price_low", "price_high", "confidence", "flags", "status", "reason")
# Rows scored together: enough to sort by length, few enough to keep memory flat.
_CHUNK = 1024


@dataclass
class CatalogReport:
    """How a catalogue job went; `rejections` are the row numbers (from 1) that have no price, and why."""

    rows: int = 0
    priced: int = 0
    rejections: list[tuple[int, str]] = field(default_factory=list)


def price_catalog(
    chain: Runnable[Any, PriceEstimate],
    source: str | Path,
    out: str | Path,
    *,
    overwrite: bool = False,
    quantiles: Sequence[float] = (),
    calibration: Calibration | None = None,
    progress: Callable[[int], None] | None = None,
) -> CatalogReport:
    """Price every row of `source` into `out`, keeping its columns and adding `OUTPUT_COLUMNS`.

    The catalogue's own prices are kept and never shown to the model. `out` appears only when it is whole.

    Args:
        chain: prices books, such as a `PricingChain`.
        source: CSV or JSON lines.
        out: CSV (`.csv`, `.tsv`) or JSON lines (`.jsonl`).
        overwrite: replace an `out` that exists.
        quantiles: levels between 0 and 1, each a column more: `price_q10` for 0.1; empty without a distribution.
        calibration: corrects the quantiles, so that the level is the share of books under them.
        progress: called with the number of rows done since the last call.

    Raises:
        InputError: a source that cannot be read, or an `out` that exists, cannot be written or has no known format.
        ServerError: the server that runs the model is away.
    """
    catalog = open_catalog(source)
    report = CatalogReport()
    levels = {quantile_column(level): level for level in quantiles}
    with _writer(Path(out), catalog, overwrite, (*OUTPUT_COLUMNS, *levels)) as write:
        rows = catalog.rows()
        while chunk := list(islice(rows, _CHUNK)):
            for row, result in zip(chunk, _price_rows(chain, catalog, chunk), strict=True):
                report.rows += 1
                if isinstance(result, PriceEstimate):
                    report.priced += 1
                else:
                    report.rejections.append((row.number, result))
                write({**row.values, **_output(result), **_quantiles(result, levels, calibration)})
            if progress:
                progress(len(chunk))
    return report


def quantile_column(level: float) -> str:
    """The name of a quantile's column: `price_q10`, `price_q97.5`.

    Raises:
        InputError: a level that is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InputError(f"a quantile lies between 0 and 1, not at {level:g}")
    return f"price_q{100 * level:g}"


def _quantiles(
    result: PriceEstimate | str, levels: Mapping[str, float], calibration: Calibration | None
) -> dict[str, float | None]:
    if isinstance(result, str) or result.distribution is None:
        return dict.fromkeys(levels)
    distribution = result.distribution
    units = {
        name: calibration.quantile(distribution, level) if calibration else float(distribution.quantile(level))
        for name, level in levels.items()
    }
    return {name: round(value * result.unit, 2) for name, value in units.items()}


def _price_rows(
    chain: Runnable[Any, PriceEstimate], catalog: Catalog, rows: list[Row]
) -> Iterator[PriceEstimate | str]:
    """The estimate of each row, or the reason why there is none."""
    books = [_book(catalog, row) for row in rows]
    results = iter(chain.batch([book for book in books if isinstance(book, Book)], return_exceptions=True))
    for book in books:
        result = next(results) if isinstance(book, Book) else book
        if isinstance(result, BaseException) and not isinstance(result, Exception):
            raise result  # LangChain's batch hands an interruption on as a result
        if isinstance(result, ServerError):
            raise result  # not this row's fault: the next would wait in vain as well
        yield str(result) if isinstance(result, Exception) else result


def _book(catalog: Catalog, row: Row) -> Book | str:
    if row.error:
        return row.error
    try:
        return to_book(row.values, row_mapping(catalog, row.values))
    except ValidationError as error:
        return f"the field {error.errors()[0]['loc'][0]!r} cannot be read"


def _output(result: PriceEstimate | str) -> dict[str, Any]:
    if isinstance(result, str):
        return {**dict.fromkeys(OUTPUT_COLUMNS), "status": REJECTED, "reason": result}
    values = (
        result.price,
        result.low,
        result.high,
        result.confidence,
        ";".join(result.flags),
        PRICED,
        None,
    )
    return dict(zip(OUTPUT_COLUMNS, values, strict=True))


@contextmanager
def _writer(
    out: Path, catalog: Catalog, overwrite: bool, added: Sequence[str]
) -> Iterator[Callable[[dict[str, Any]], object]]:
    """Writes rows, with the columns `added`, to a file beside `out`, which takes its name when all of them are there.

    Raises:
        InputError: as `price_catalog`.
    """
    suffix = out.suffix.lower()
    if suffix not in (".csv", ".tsv", ".jsonl"):
        raise InputError(f"{out} has no known format; name it .csv, .tsv or .jsonl")
    if out.is_dir():
        raise InputError(f"{out} is a folder; name a file")
    if out.exists() and out.samefile(catalog.path):
        raise InputError(f"{out} is the catalogue itself; choose another name for the priced one")
    if out.exists() and not overwrite:
        raise InputError(f"{out} exists already; choose another name, or pass --overwrite to replace it")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); choose another place") from error
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            if suffix == ".jsonl":
                yield lambda values: stream.write(json.dumps(values, ensure_ascii=False) + "\n")
            else:
                columns = [name for name in _input_columns(catalog) if name not in added]
                writer = csv.DictWriter(
                    stream, [*columns, *added], delimiter="\t" if suffix == ".tsv" else ",",
                    extrasaction="ignore",
                )  # fmt: skip
                writer.writeheader()
                yield lambda values: writer.writerow({key: _cell(value) for key, value in values.items()})
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(0o666 & ~_umask())
        part.replace(out)
    except OSError as error:
        raise InputError(
            f"{out} cannot be written ({error.strerror}); free some room or choose another place"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _input_columns(catalog: Catalog) -> Iterable[str]:
    """The catalogue's columns; those of JSON lines are all keys of all rows, in the order of their first use."""
    if catalog.mapping is not None:
        return catalog.columns
    return dict.fromkeys(key for row in catalog.rows() for key in row.values)


def _cell(value: Any) -> Any:
    """A CSV cell: containers as JSON, everything else as it is."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value

"""Finds out what a file or folder is: its compression, its format, its encoding, and the files of a folder."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any

from ..errors import InputError
from .catalog import Catalog, CatalogParts
from .tables import open_parquet, open_xlsx
from .text import open_csv, open_json_lines, sniff

_TEXTS, _LINES = (".csv", ".tsv", ".txt", ".tab"), (".jsonl", ".ndjson", ".json")
_TABLES = (".parquet", ".pq", ".xlsx", ".xlsm")
_FORMATS = (*_TEXTS, *_LINES, *_TABLES)
_COMPRESSIONS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".lzma": lzma.open,
}  # fmt: skip
DAMAGED = (EOFError, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile)
# What data set repositories and tools keep beside the data.
_NO_CATALOGUES = {"dataset_info.json", "dataset_infos.json", "state.json", "license.txt", "readme.txt", "report.json"}


@dataclass(frozen=True)
class File:
    """A file, or what is within a compressed one: where it is, its name without the compression, how to open it."""

    path: Path
    name: str
    open: Callable[[], IO[bytes]]

    @property
    def suffix(self) -> str:
        """What names the format, in lower case."""
        return PurePath(self.name).suffix.lower()


def open_catalog(
    path: str | Path, overrides: Mapping[str, str] | None = None, *, encoding: str | None = None
) -> Catalog:
    """Look at a file or a folder and say how it is to be read.

    Args:
        path: CSV, TSV, JSON lines, Parquet or XLSX, compressed by gzip, bzip2, xz or zip or not; or a folder of them.
        overrides: what the user says a column is, `{column: field}`.
        encoding: of a text file; found by itself if not given.

    Raises:
        InputError: no such file, one that is empty, damaged or of another format, or a table without a column that
            could be a title or a text.
    """
    path = Path(path)
    overrides = overrides or {}
    try:
        if path.is_dir():
            return _open_folder(path, overrides, encoding)
        files = _open_compressed(path)
        parts = [_open_file(file, overrides, encoding) for file in files]
    except FileNotFoundError:
        raise InputError(f"there is no file {path}; check the name") from None
    except DAMAGED as error:
        raise InputError(f"{path} is damaged ({error}); compress or download it again") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the name and its permissions") from error
    return parts[0] if len(parts) == 1 else CatalogParts.of(path, parts, overrides)


def _open_folder(path: Path, overrides: Mapping[str, str], encoding: str | None) -> Catalog:
    if (path / "report.json").is_file() and (path / "data").is_dir():
        raise InputError(f"{path} is a folder that `bookpricer prepare` made; name what it was made from")
    files = sorted(
        file
        for file in path.rglob("*")
        if file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and file.name.lower() not in _NO_CATALOGUES
        and (_format(file.name) in _FORMATS or file.suffix.lower() == ".zip")
    )
    if not files:
        raise InputError(f"{path} is a folder without a catalogue; put CSV, JSONL, Parquet or XLSX files into it")
    return CatalogParts.of(path, [open_catalog(file, overrides, encoding=encoding) for file in files], overrides)


def _format(name: str) -> str:
    pure = PurePath(name)
    return PurePath(pure.stem if pure.suffix.lower() in _COMPRESSIONS else name).suffix.lower()


def _open_compressed(path: Path) -> list[File]:
    suffix = path.suffix.lower()
    if suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            names = [
                name
                for name in sorted(archive.namelist())
                if PurePath(name).suffix.lower() in _FORMATS and not name.startswith(("__MACOSX", "."))
            ]
        if not names:
            raise InputError(f"{path} holds no catalogue; put CSV, JSONL, Parquet or XLSX files into it")
        return [File(path, name, _member_opener(path, name)) for name in names]
    if decompress := _COMPRESSIONS.get(suffix):
        return [File(path, path.stem, lambda: decompress(path))]
    return [File(path, path.name, lambda: path.open("rb"))]


def _member_opener(path: Path, name: str) -> Callable[[], IO[bytes]]:
    # The archive is closed with its last reader.
    return lambda: zipfile.ZipFile(path).open(name)


def _open_file(file: File, overrides: Mapping[str, str], encoding: str | None) -> Catalog:
    if file.suffix in _TABLES:
        open_table = open_parquet if file.suffix in (".parquet", ".pq") else open_xlsx
        with file.open() as stream:
            if not stream.read(1):
                raise InputError(f"{file.path} is empty; it should hold one book a line")
        return open_table(file.path, file.open, overrides)
    with file.open() as stream:
        sample, found = sniff(stream, file.path, encoding)
    if file.suffix in _LINES:
        return open_json_lines(file.path, file.open, sample, found, overrides)
    if file.suffix in _TEXTS:
        return open_csv(file.path, file.open, sample, found, overrides)
    raise InputError(f"{file.path} has no known format; name it .csv, .tsv, .jsonl, .parquet or .xlsx")

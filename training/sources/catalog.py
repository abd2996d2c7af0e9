"""What every catalogue is, whatever its format: rows with values, and columns that were recognised or not."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from ..columns import names_of, recognise_columns
from ..errors import InputError


@dataclass(frozen=True)
class Row:
    """One row of a catalogue: its number from 1 (a header not counted), and its values or why there are none."""

    number: int
    values: dict[str, Any]
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Catalog(ABC):
    """An opened catalogue.

    Args:
        path: the file or folder; for a data set of the hub, its id.
        columns: empty where rows may differ, as the keys of JSON lines do.
        mapping: which column is which field of a Book; None where `columns` is empty.
        overrides: what the user says a column is, `{column: field}`.
    """

    path: Path
    columns: tuple[str, ...] = ()
    mapping: dict[str, str] | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Every row, read as it is asked for; a broken one comes with its error and the rest go on."""

    def count(self) -> int:
        """Number of rows, found by reading all of them where the format does not say."""
        return sum(1 for _ in self.rows())

    def known_count(self) -> int | None:
        """Number of rows where it can be told without reading them."""
        return None

    def fingerprint(self) -> str:
        """Tells this state of the catalogue from another: names, sizes and times."""
        state = self.path.stat()
        return json.dumps([str(self.path.resolve()), state.st_size, state.st_mtime_ns])


@dataclass(frozen=True, kw_only=True)
class CatalogParts(Catalog):
    """Several catalogues, one after the other: a folder, or an archive of several files."""

    parts: tuple[Catalog, ...]

    @classmethod
    def of(cls, path: Path, parts: list[Catalog], overrides: Mapping[str, str]) -> CatalogParts:
        """The parts as one catalogue, whose columns are those of all if all have the same."""
        first = parts[0]
        same = all(part.columns == first.columns for part in parts)
        return cls(
            path=path, columns=first.columns if same else (), mapping=first.mapping if same else None,
            overrides=overrides, parts=tuple(parts),
        )  # fmt: skip

    def rows(self) -> Iterator[Row]:
        """Rows of all parts, numbered through."""
        rows = chain.from_iterable(part.rows() for part in self.parts)
        return (Row(number, row.values, row.error) for number, row in enumerate(rows, start=1))

    def known_count(self) -> int | None:
        """The sum, where all parts know theirs."""
        counts = [part.known_count() for part in self.parts]
        return sum(count for count in counts if count is not None) if None not in counts else None

    def fingerprint(self) -> str:
        """Of all parts."""
        return "\n".join(part.fingerprint() for part in self.parts)


def row_mapping(catalog: Catalog, values: Mapping[str, Any]) -> dict[str, str]:
    """How a row's names are to be read: a table's header once for all, a JSON object's keys each time."""
    return catalog.mapping if catalog.mapping is not None else recognise_columns(values, catalog.overrides)


def need_text_column(path: Path, columns: tuple[str, ...], mapping: Mapping[str, str]) -> None:
    """Refuse a table in which nothing could be a title or a text.

    Raises:
        InputError: as said.
    """
    if not {"title", "description"} & set(mapping.values()):
        shown = " ".join(", ".join(columns[:8]).split())[:120]
        raise InputError(
            f"{path} has no column for a title or a description (it has: {shown}); call one {names_of('title')}"
        )

"""Comparable books: an index of priced books with their titles. Knows files and similarity; knows no prices but theirs.

On disk: `index/` (see `neighbours`), the titles as one array of UTF-8 bytes, and where each ends. All are mapped into
memory, so that a large collection opens at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .book import Book
from .dataset import PricedBook
from .errors import InputError
from .estimate import Comparable
from .neighbours import COMPONENTS, NeighbourIndex, Neighbours
from .saving import check_manifest, read_array, write_manifest
from .vectors import Embed

KIND = "comparables"
_INDEX, _TITLES, _ENDS = "index", "titles.npy", "ends.npy"
# No longer title helps a reader.
_TITLE_BYTES = 300


class Comparables:
    """Priced books with titles, found by similarity.

    Example:
        >>> books = [PricedBook(Book(title="Emma"), 8.0), PricedBook(Book(title="Algebra II"), 90.0)]
        >>> Comparables.fit(books).find([Book(title="Emma, a novel")], k=1)[0][0].title
        'Emma'
    """

    def __init__(self, index: NeighbourIndex, titles: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self.index = index
        self._titles, self._ends = titles, ends

    @classmethod
    def fit(cls, books: Sequence[PricedBook], embed: Embed | None = None, components: int = COMPONENTS) -> Comparables:
        """Index priced books; `embed` and `components` as in `NeighbourIndex`.

        Raises:
            InputError: no books.
        """
        index = NeighbourIndex(embed, components).fit(
            [priced.book for priced in books], [priced.units for priced in books]
        )
        titles = [_short(priced.book.title) for priced in books]
        ends = np.cumsum([len(title) for title in titles], dtype=np.int64)
        return cls(index, np.frombuffer(b"".join(titles), dtype=np.uint8), ends)

    def find(
        self, books: Sequence[Book], k: int = 6, *, exclude_group: bool = False, unit: float = 1.0
    ) -> list[list[Comparable]]:
        """The `k` most similar priced books of each book, the most similar first, prices times `unit`.

        Args:
            exclude_group: leave out editions of the book itself; see `NeighbourIndex.query`.
        """
        return self.named(self.index.query(books, k, exclude_group=exclude_group), unit)

    def named(self, neighbours: Neighbours, unit: float = 1.0) -> list[list[Comparable]]:
        """What `index` found, with titles."""
        return [
            [
                Comparable(title=self.title(i), price=round(float(price) * unit, 2), similarity=_similarity(similarity))
                for i, similarity, price in zip(*row, strict=True)
                if i >= 0
            ]
            for row in zip(neighbours.indices, neighbours.similarities, neighbours.prices, strict=True)
        ]

    def title(self, number: int) -> str:
        """The title of the book with this number."""
        start = self._ends[number - 1] if number else 0
        return bytes(self._titles[start : self._ends[number]]).decode(errors="replace")

    def __len__(self) -> int:
        return len(self.index)

    def save(self, folder: Path) -> None:
        """Write the index, the titles, and a manifest with their hashes."""
        self.index.save(folder / _INDEX)
        np.save(folder / _TITLES, self._titles, allow_pickle=False)
        np.save(folder / _ENDS, self._ends, allow_pickle=False)
        write_manifest(folder, KIND, [_TITLES, _ENDS])

    @classmethod
    def load(cls, folder: Path, embed: Embed | None = None) -> Comparables:
        """Read what `save` wrote; `embed` as it was fitted with.

        Raises:
            InputError: not such a folder, or a file of it was changed.
        """
        check_manifest(folder, KIND)
        index = NeighbourIndex.load(folder / _INDEX, embed)
        titles, ends = read_array(folder / _TITLES, np.uint8), read_array(folder / _ENDS, np.int64)
        if ends.shape != (len(index),) or (np.diff(ends, prepend=0) < 0).any() or ends[-1] != len(titles):
            raise InputError(f"{folder} has titles that do not fit its books; make the comparables again")
        return cls(index, titles, ends)


def _similarity(value: float) -> float:
    return round(min(max(float(value), 0.0), 1.0), 4)


def _short(title: str) -> bytes:
    """A title on one line, cut between characters where it is too long."""
    return " ".join(title.split()).encode(errors="replace")[:_TITLE_BYTES].decode(errors="ignore").encode()

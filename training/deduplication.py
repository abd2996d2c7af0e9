"""Finds books that a catalogue holds twice: by identifier, by normalised text, and nearly, by MinHash.

Near duplicates: MinHash over runs of three words (datasketch), banded into 64-bit keys, candidates confirmed by the
share of equal values. A book costs 152 bytes on disk and, in memory, the 64-bit keys of one band at a time, so millions
of books can be compared; datasketch's own index keeps several kilobytes a book. Two formats, conditions, editions or
volumes of a work have nearly the same text and different prices: they are no duplicates. Nor are two titles under one
publisher's boilerplate.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from .book import Book
from .errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERMUTATIONS, BANDS = 64, 8
# From this estimated Jaccard similarity on, two texts are nearly the same.
SIMILAR = 0.8
SIMILAR_TITLES = 0.6
# Words of a content that are compared, and the fewest: two short texts are alike by chance.
_MOST_WORDS, _FEWEST_WORDS = 256, 20
_WORD = re.compile(r"\w+")
REASONS = ("same identifier", "same text", "nearly the same text")


@dataclass(frozen=True)
class Keys:
    """What tells a book from others: 64-bit hashes, 0 where it has none, and the MinHash values."""

    identifier: int
    text: int
    edition: int
    signature: bytes


class KeyMaker:
    """Makes the keys of books. Needs datasketch, of the extra `train`."""

    @cached_property
    def _empty(self) -> Any:
        try:
            from datasketch import MinHash
        except ImportError as error:
            raise InputError("finding duplicates needs the extra 'train': pip install 'bookpricer[train]'") from error
        return MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=zlib.crc32, scheme="affine32")

    def keys(self, book: Book, content: str) -> Keys:
        """The keys of a book and its uncut content."""
        words = _WORD.findall(content.casefold())
        encoded = [word.encode(errors="replace") for word in words[:_MOST_WORDS]]
        minhash = self._empty.copy()
        if len(words) >= _FEWEST_WORDS:
            triples = zip(encoded, encoded[1:], encoded[2:], strict=False)
            minhash.update_batch({b" ".join(triple) for triple in triples})
        numbers = re.findall(r"\d+", f"{book.title} {book.subtitle}")
        edition = (
            "\t".join(map(str, (book.format, book.condition, book.edition, *numbers)))
            if len(words) >= _FEWEST_WORDS
            else ""
        )
        identifier = re.sub(r"[\W_]", "", book.parent_asin).lower()
        return Keys(
            identifier=_hash64(identifier) if identifier else 0,
            text=_hash64(" ".join(words)),
            edition=_hash64(edition) if edition else 0,
            signature=minhash.hashvalues.astype(np.uint16).tobytes(),
        )


def _hash64(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="replace"), digest_size=8).digest()) | 1


def signatures_array(signatures: Sequence[bytes]) -> NDArray[np.uint16]:
    """The MinHash values of books, shape (books, PERMUTATIONS)."""
    return np.frombuffer(b"".join(signatures), dtype=np.uint16).reshape(-1, PERMUTATIONS)


def band_keys(signatures: NDArray[np.uint16], editions: NDArray[np.uint64], band: int) -> NDArray[np.uint64]:
    """The 64-bit key of one band of each book, shape (books,); 0 where a book is not compared."""
    rows = PERMUTATIONS // BANDS
    part = np.ascontiguousarray(signatures[:, band * rows : (band + 1) * rows]).view(np.uint64)
    keys = editions.copy()
    for column in part.T:
        keys = (keys ^ column) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    keys[editions == 0] = 0
    return keys


def repeats(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which books have the key of an earlier one; 0 is no key."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    result = np.zeros(len(keys), dtype=bool)
    result[order[1:]] = (ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)
    return result


def candidate_pairs(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs (earlier, later) of books with the same key: each with the first and the one before, shape (pairs, 2)."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    same = np.zeros(len(keys), dtype=bool)
    same[1:] = (ordered[1:] == ordered[:-1]) & (ordered[1:] != 0)
    starts = np.maximum.accumulate(np.where(same, 0, np.arange(len(keys))))
    later = np.flatnonzero(same)
    if not len(later):
        return np.empty((0, 2), dtype=np.int64)
    pairs = np.concatenate(
        [np.stack([order[starts[later]], order[later]], axis=1), np.stack([order[later - 1], order[later]], axis=1)]
    )
    return np.unique(pairs, axis=0)


def similar(pairs: NDArray[np.int64], signatures: NDArray[np.uint16], step: int = 100_000) -> NDArray[np.bool_]:
    """Which pairs of rows of `signatures` are similar enough."""
    result = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), step):
        part = pairs[start : start + step]
        equal = (signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1)
        result[start : start + step] = equal >= SIMILAR
    return result


def similar_titles(one: str, other: str) -> bool:
    """Whether two titles share most of their words.

    Example:
        >>> similar_titles("The Iron King", "Iron King (The)"), similar_titles("The Iron King", "The Sea")
        (True, False)
    """
    words, others = (set(_WORD.findall(title.casefold())) for title in (one, other))
    return len(words & others) >= SIMILAR_TITLES * len(words | others)

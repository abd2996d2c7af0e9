"""Sentence vectors of a book's fields, offline. Knows texts; knows nothing about prices.

The vectors are WordLlama's: token embeddings of Llama models, trained down to 256 dimensions and shipped in its wheel
(MIT). A text's vector is the mean over its tokens, taken for each text alone, so that a batch changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .book import Book
from .cleaning import clean_text

DIMENSIONS = 256
# Texts to one vector each, any number of dimensions; ours is `text_vectors`.
Embed = Callable[[list[str]], ArrayLike]
# Fields that have a vector each -> their weight in the similarity of two books (tuned by grouped cross-validation).
FIELDS = {"title": 1.0, "author": 1.0, "description": 2.0, "categories": 1.0, "facts": 1.0}
# What follows says little more about a text's meaning, and it bounds the work on a field of many megabytes.
_TEXT_LIMIT = 8000
_BATCH = 1000


def field_texts(book: Book) -> tuple[str, ...]:
    """The cleaned text of each of `FIELDS`; empty where a book has none."""
    facts = (book.format, book.edition, book.publisher, book.language, book.condition)
    texts = (
        f"{book.title} {book.plain_subtitle}",
        book.author,
        " ".join((*book.features, *book.description)),
        " > ".join(dict.fromkeys(name for name in book.categories if name.lower() != "books")),
        ", ".join(fact for fact in facts if fact),
    )
    return tuple(clean_text(text[:_TEXT_LIMIT]) for text in texts)


def text_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors of texts, shape (n, 256); zero for a text without a token."""
    model = _model()
    vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
    for start in range(0, len(texts), _BATCH):
        encodings = model.tokenizer.encode_batch(list(texts[start : start + _BATCH]), add_special_tokens=False)
        for row, encoding in enumerate(encodings, start=start):
            if encoding.ids:
                vectors[row] = model.embedding[encoding.ids].mean(axis=0)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(lengths > 0, lengths, 1)
    return vectors


def field_vectors(books: Sequence[Book], embed: Embed | None = None) -> NDArray[np.float32]:
    """Unit vectors of each of `FIELDS`, shape (n, 5, 256) or what `embed` gives; zero for a field without a word."""
    texts = [text for book in books for text in field_texts(book)]
    vectors = text_vectors(texts) if embed is None else _foreign_vectors(texts, embed)
    return vectors.reshape(len(books), len(FIELDS), vectors.shape[1])


def book_vectors(books: Sequence[Book], embed: Embed | None = None) -> NDArray[np.float32]:
    """One unit vector a book, shape (n, 5 * 256): the inner product of two is the weighted mean of their fields'."""
    return join_fields(field_vectors(books, embed))


def join_fields(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors of `field_vectors`, shape (n, 5, 256), as `book_vectors` has them, shape (n, 5 * 256)."""
    weights = np.sqrt(np.array(list(FIELDS.values()), dtype=np.float32))
    joined = (vectors * weights[None, :, None]).reshape(len(vectors), -1)
    lengths = np.linalg.norm(joined, axis=1, keepdims=True)
    joined /= np.where(lengths > 0, lengths, 1)
    return joined


def _foreign_vectors(texts: Sequence[str], embed: Embed) -> NDArray[np.float32]:
    """Unit vectors by another embedding, which never sees an empty text."""
    filled = [number for number, text in enumerate(texts) if text]
    # One text at least, since only a vector tells how many dimensions there are.
    found = np.asarray(embed([texts[number] for number in filled] or ["book"]), dtype=np.float32)
    vectors = np.zeros((len(texts), found.shape[1]), dtype=np.float32)
    vectors[filled] = found[: len(filled)]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(lengths > 0, lengths, 1)
    return vectors


@lru_cache(maxsize=1)
def _model() -> Any:
    logging.getLogger("wordllama").setLevel(logging.ERROR)
    import wordllama

    # The bare `load()` looks in another folder and tries to download what the wheel holds.
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    model.tokenizer.no_padding()
    model.tokenizer.no_truncation()
    return model

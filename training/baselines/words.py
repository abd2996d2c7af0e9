"""Baselines on words: TF-IDF with ridge regression, and Word2Vec (Mikolov et al., 2013) with a linear model.

Both keep a vocabulary (JSON) and arrays (safetensors), so that pricing with them needs no gensim.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..book import Book
from ..cleaning import book_content, clean_text
from ..errors import InputError
from ..saving import read_json
from .base import Baseline
from .features import NUMBERS, description_text, feature_table, is_import, named_categories

_VOCABULARY, _ARRAYS = "vocabulary.json", "arrays.safetensors"
_WORD = re.compile(r"\w+")
# Words read of one book: it bounds the work on a field of many megabytes.
_WORD_LIMIT = 3000
# Letters read of a title, likewise.
_TITLE_LIMIT = 1000
# A name is a word of its own, whatever letters it has.
_ONE_WORD = {"token_pattern": r".+", "min_df": 2}


def _head(book: Book) -> str:
    """All of a book's content but its ratings, features and description."""
    return book_content(book.model_copy(update={"description": (), "features": (), "rating_number": None}))


def _title(book: Book) -> str:
    return clean_text(book.title[:_TITLE_LIMIT])


def _description(book: Book) -> str:
    return clean_text(description_text(book))


def _author(book: Book) -> str:
    return _one_name(book.author)


def _category(book: Book) -> str:
    return _one_name(next(iter(named_categories(book)), ""))


def _genre(book: Book) -> str:
    return _one_name(next(reversed(named_categories(book)), ""))


def _binding(book: Book) -> str:
    """An imported paperback costs what a hardcover does: the two only mean something together."""
    return _one_name(f"{book.format or 'unknown'}{' import' if is_import(book) else ''}")


def _one_name(text: str) -> str:
    return clean_text(text[:200]).lower()


class TfidfRidgeBaseline(Baseline):
    """Ridge regression of the log price on TF-IDF of a book's texts, each weighted, and on its names and numbers.

    Words and pairs of the whole text, of its head and of the title; words of the description; author, category, genre
    and binding as one word each; the standardized numbers of `features`. The weights are those of a Gaussian process
    whose kernel is the sum of the blocks' linear kernels, tuned by cross-validation grouped by title and author.
    """

    name = "tfidf_ridge"
    title = "TF-IDF and ridge"
    # Penalty of the ridge; weight of a standardized number beside words, whose rows have length 1.
    ALPHA, NUMBER_WEIGHT = 0.15, 0.2

    # What a block reads, the share of its kernel (rows are scaled by the root of it), and how.
    _BLOCKS: tuple[tuple[Callable[[Book], str], float, dict[str, Any]], ...] = (
        (book_content, 0.6, {"ngram_range": (1, 2), "min_df": 2}),
        (_head, 0.5, {"ngram_range": (1, 2), "min_df": 1}),
        (_title, 0.15, {"ngram_range": (1, 2), "min_df": 1}),
        (_description, 0.125, {"min_df": 2}),
        (_author, 0.12, _ONE_WORD),
        (_category, 0.4, _ONE_WORD),
        (_genre, 0.1, _ONE_WORD),
        (_binding, 0.2, _ONE_WORD),
    )

    def _fit(self, books: Sequence[Book], prices: NDArray[np.float64]) -> None:
        from scipy.sparse import hstack
        from sklearn.linear_model import Ridge

        numbers = feature_table(books)[list(NUMBERS)].to_numpy(dtype=np.float64)
        known = np.isfinite(numbers)
        filled = np.where(known, numbers, 0)
        self._centre = filled.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        spread = np.sqrt(np.where(known, (numbers - self._centre) ** 2, 0).sum(axis=0) / np.maximum(known.sum(0), 1))
        self._scale = np.where(spread > 1e-9, spread, np.inf)
        self._vectorizers, matrices = [], [self._numbers(books)]
        scales = [np.ones(len(NUMBERS))]
        for text, weight, options in self._BLOCKS:
            texts = [text(book) for book in books]
            vectorizer = self._vectorizer(**options)
            try:
                matrices.append(vectorizer.fit_transform(texts) * np.sqrt(weight))
                scales.append(np.full(matrices[-1].shape[1], np.sqrt(weight)))
                self._vectorizers.append(vectorizer)
            except ValueError:  # not one word that is frequent enough
                self._vectorizers.append(None)
        matrix = hstack(matrices).tocsr()
        ridge = Ridge(alpha=self.ALPHA, solver="sparse_cg", tol=1e-4).fit(matrix, np.log(prices))
        # The blocks' weights go into the words': what predicts, and what is saved, knows no blocks' weights.
        self._weights = (ridge.coef_ * np.concatenate(scales)).astype(np.float32)
        self._bias = float(ridge.intercept_)

    def _predict(self, books: Sequence[Book]) -> NDArray[np.float64]:
        from scipy.sparse import hstack

        matrices = [self._numbers(books)]
        for (text, _, _), vectorizer in zip(self._BLOCKS, self._vectorizers, strict=True):
            if vectorizer is not None:
                matrices.append(vectorizer.transform([text(book) for book in books]))
        logs = hstack(matrices).tocsr() @ self._weights.astype(np.float64) + self._bias
        return np.exp(np.clip(logs, -10, 10))

    def _numbers(self, books: Sequence[Book]) -> Any:
        from scipy.sparse import csr_matrix

        numbers = feature_table(books)[list(NUMBERS)].to_numpy(dtype=np.float64)
        scaled = np.nan_to_num((numbers - self._centre) / self._scale, nan=0.0)
        return csr_matrix(np.clip(scaled, -3, 3) * self.NUMBER_WEIGHT)

    @staticmethod
    def _vectorizer(**options: Any) -> Any:
        from sklearn.feature_extraction.text import TfidfVectorizer

        fixed = {"sublinear_tf": True, "strip_accents": "unicode", "token_pattern": r"\b\w+\b", "dtype": np.float64}
        return TfidfVectorizer(**{**fixed, **options})

    def _files(self) -> Iterable[str]:
        return _VOCABULARY, _ARRAYS

    def _write(self, folder: Path) -> dict[str, Any]:
        from safetensors.numpy import save_file

        words, arrays = [], {"weights": self._weights, "centre": self._centre, "scale": self._scale}
        for number, vectorizer in enumerate(self._vectorizers):
            words.append([] if vectorizer is None else vectorizer.get_feature_names_out().tolist())
            if vectorizer is not None:
                arrays[f"idf{number}"] = np.ascontiguousarray(vectorizer.idf_, dtype=np.float64)
        (folder / _VOCABULARY).write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
        save_file(arrays, folder / _ARRAYS)
        return {"bias": self._bias}

    @classmethod
    def _read(cls, folder: Path, settings: dict[str, Any]) -> Self:
        from safetensors.numpy import load_file

        baseline, arrays, vocabularies = cls(), load_file(folder / _ARRAYS), read_json(folder / _VOCABULARY)
        baseline._bias = float(settings["bias"])
        baseline._weights, baseline._centre, baseline._scale = (arrays[name] for name in ("weights", "centre", "scale"))
        baseline._vectorizers = []
        for number, ((_, _, options), words) in enumerate(zip(cls._BLOCKS, vocabularies, strict=True)):
            vectorizer = None
            if words:
                vectorizer = cls._vectorizer(**options, vocabulary=words)
                vectorizer.idf_ = arrays[f"idf{number}"]
            baseline._vectorizers.append(vectorizer)
        if len(baseline._weights) != len(NUMBERS) + sum(map(len, vocabularies)):
            raise InputError(f"{folder} does not fit this version's features; fit the baselines again")
        return baseline


class Word2VecBaseline(Baseline):
    """Linear regression of the log price on the mean word vectors of a book's head and of its whole text.

    Means are weighted by rarity. The vectors are trained on the training texts with gensim (extra `train`): skip-gram.
    """

    name = "word2vec"
    title = "Word2Vec"
    DIMENSIONS, EPOCHS, ALPHA = 100, 8, 3.0

    def _fit(self, books: Sequence[Book], prices: NDArray[np.float64]) -> None:
        try:
            from gensim.models import Word2Vec
        except ImportError as error:
            raise InputError(f"Word2Vec needs the extra 'train' ({error}): pip install 'bookpricer[train]'") from error
        from sklearn.linear_model import Ridge

        texts = [_words(book_content(book)) for book in books]
        # One worker and a seed: the same vectors each time.
        model = Word2Vec(vector_size=self.DIMENSIONS, window=5, min_count=2, sg=1, workers=1, seed=0, sample=1e-4)
        model.build_vocab(texts)
        if model.wv.index_to_key:
            model.train(texts, total_examples=len(texts), epochs=self.EPOCHS)
        self._vocabulary = {word: number for number, word in enumerate(model.wv.index_to_key)}
        counts = np.zeros(len(self._vocabulary))
        for text in texts:
            counts[list({self._vocabulary[word] for word in text if word in self._vocabulary})] += 1
        self._rarity = np.log((1 + len(texts)) / (1 + counts)).astype(np.float32)
        self._vectors = np.array(model.wv.vectors, dtype=np.float32).reshape(-1, self.DIMENSIONS)
        matrix = self._matrix(books)
        self._centre, spread = matrix.mean(axis=0), matrix.std(axis=0)
        self._scale = np.where(spread > 1e-9, spread, np.inf)
        ridge = Ridge(alpha=self.ALPHA).fit((matrix - self._centre) / self._scale, np.log(prices))
        self._weights, self._bias = ridge.coef_, float(ridge.intercept_)

    def _predict(self, books: Sequence[Book]) -> NDArray[np.float64]:
        logs = ((self._matrix(books) - self._centre) / self._scale) @ self._weights + self._bias
        return np.exp(np.clip(logs, -10, 10))

    def _matrix(self, books: Sequence[Book]) -> NDArray[np.float64]:
        matrix = np.zeros((len(books), 2, self.DIMENSIONS))
        for row, book in enumerate(books):
            for part, text in enumerate((_head(book), book_content(book))):
                numbers = [self._vocabulary[word] for word in _words(text) if word in self._vocabulary]
                if numbers and (total := self._rarity[numbers].sum()) > 0:
                    matrix[row, part] = self._rarity[numbers] @ self._vectors[numbers] / total
        return matrix.reshape(len(books), -1)

    def _files(self) -> Iterable[str]:
        return _VOCABULARY, _ARRAYS

    def _write(self, folder: Path) -> dict[str, Any]:
        from safetensors.numpy import save_file

        (folder / _VOCABULARY).write_text(json.dumps(list(self._vocabulary), ensure_ascii=False), encoding="utf-8")
        arrays = {
            "vectors": self._vectors, "rarity": self._rarity, "centre": self._centre, "scale": self._scale,
            "weights": self._weights,
        }  # fmt: skip
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / _ARRAYS)
        return {"bias": self._bias}

    @classmethod
    def _read(cls, folder: Path, settings: dict[str, Any]) -> Self:
        from safetensors.numpy import load_file

        baseline, arrays, words = cls(), load_file(folder / _ARRAYS), read_json(folder / _VOCABULARY)
        baseline._bias = float(settings["bias"])
        baseline._vocabulary = {word: number for number, word in enumerate(words)}
        for name in ("vectors", "rarity", "centre", "scale", "weights"):
            setattr(baseline, f"_{name}", arrays[name])
        if baseline._vectors.shape != (len(words), cls.DIMENSIONS) or len(baseline._rarity) != len(words):
            raise InputError(f"{folder} has a vocabulary that does not fit its vectors; fit the baselines again")
        return baseline


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())[:_WORD_LIMIT]

"""Widens each genre's words with their nearest neighbours in English; writes `data/vocabulary.json`.

For developers only: it needs wordfreq and wordllama, generating records does not. Run it after the genre files change:

    python -m bookpricer.training.synthetic.vocabulary

A model tuned on a small lexicon learns its templates. Neighbours in an embedding space put words around every subject
that a real listing would use there and the authored lexicon does not. Only words that are one token (with the leading
blank) in wordllama's tokenizer are taken: the vector of a word in pieces is an average of pieces, and its neighbours
are noise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from .genres import GENRES, Genre
from .grammar import plural as plural_of
from .lexicon import DATA, load

VOCABULARY_FILE = DATA / "vocabulary.json"
COMMON_WORDS = 40_000
NOUNS_PER_GENRE = 120
QUALITIES_PER_GENRE = 16

_WORD = re.compile(r"[a-z]{4,14}")
# Nothing tells parts of speech without a tagger; endings do well enough for lists of themes.
_QUALITY = re.compile(r".{3,}(?:ous|ful|ive|ible|less|ical|istic|atic|ental|onal|oric|iary|esque|iable)$")
_NO_NOUN = re.compile(r".*(?:ly|ed|est)$|.*n't$")
# Words that say nothing about a genre, or that no demo should print: `stop_words.json`.
_STOP_WORDS = frozenset(load("stop_words.json")["words"].split())


def candidate_words() -> list[str]:
    """Common English words that could name a theme, most frequent first."""
    from wordfreq import top_n_list, zipf_frequency

    def frequency(word: str) -> float:
        return float(zipf_frequency(word, "en"))

    def is_english(word: str) -> bool:
        # Lists of English words hold foreign ones ("maison") and pieces of words ("juris").
        english = frequency(word)
        return english > 3.4 and all(zipf_frequency(word, other) < english + 0.3 for other in ("fr", "es", "de", "it"))

    def is_theme(word: str) -> bool:
        # A noun is met in the plural, a verb more often in the past tense.
        if _QUALITY.match(word):
            return True
        plural = word if word.endswith("s") else plural_of(word)
        stem = word.removesuffix("s")
        past = stem + ("d" if stem.endswith("e") else "ed")
        return frequency(plural) >= max(frequency(word) - 2.1, frequency(past) - 0.2, 1.5)

    return [
        word
        for word in top_n_list("en", COMMON_WORDS)
        if _WORD.fullmatch(word)
        and word not in _STOP_WORDS
        and not _NO_NOUN.match(word)
        and is_english(word)
        and is_theme(word)
    ]


def seed_words(genre: Genre) -> list[str]:
    """The words that a genre's author wrote for it, in order and once each."""
    phrases: list[str] = [*genre.topics, *genre.roles, *genre.settings, *genre.titles]
    phrases += [step for path in genre.paths for step in path[-1:]]
    words = [word for phrase in phrases for word in re.findall(r"[a-z]{4,}", phrase.lower())]
    return [word for word in dict.fromkeys(words) if word not in _STOP_WORDS]


def widen(genres: Iterable[Genre], words: Sequence[str]) -> dict[str, dict[str, str]]:
    """For each genre the words nearest to its seeds, `nouns` and `qualities`, as blank-separated strings.

    A word's score is its likeness to the nearest seed and to the mean of all seeds: the first alone lets an odd seed
    in, the second alone gives only the middle of a genre. Its mean score over all genres comes off: a word that is near
    to everything tells nothing.
    """
    import wordllama
    from wordllama import WordLlama

    model = WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)

    def one_token(word: str) -> bool:
        # The tokenizer puts the leading blank before a text by itself.
        return len(model.tokenizer.encode(word, add_special_tokens=False).ids) == 1

    def vectors(texts: Sequence[str]) -> np.ndarray:
        found = np.asarray(model.embed(list(texts)), dtype=np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True).clip(1e-9)

    known = [word for word in words if one_token(word)]
    matrix = vectors(known)
    seeds = {genre.name: [word for word in seed_words(genre) if one_token(word)] for genre in genres}
    scores = {name: _scores(matrix, vectors(own)) for name, own in seeds.items()}
    everywhere = np.mean(list(scores.values()), axis=0)
    widened = {}
    for name, score in scores.items():
        order = np.argsort(-(score - everywhere), kind="stable")
        ranked = [known[index] for index in order if known[index] not in seeds[name]]
        qualities = [word for word in ranked if _QUALITY.match(word)]
        nouns = [word for word in ranked if not _QUALITY.match(word)]
        widened[name] = {
            "nouns": " ".join(nouns[:NOUNS_PER_GENRE]),
            "qualities": " ".join(qualities[:QUALITIES_PER_GENRE]),
        }
    return widened


def _scores(words: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    return (words @ seeds.T).max(axis=1) + words @ _unit(seeds.mean(axis=0))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


def main() -> None:
    """Write the vocabulary file anew."""
    widened = widen(GENRES.values(), candidate_words())
    text = json.dumps(widened, indent=0, ensure_ascii=False)
    VOCABULARY_FILE.write_text(text + "\n", encoding="utf-8")
    distinct = {word for lists in widened.values() for words in lists.values() for word in words.split()}
    print(f"{len(widened)} genres, {len(distinct):,} distinct words")


if __name__ == "__main__":
    main()

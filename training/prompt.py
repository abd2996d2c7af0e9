"""The standardized prompt, for training and inference alike, and the cut of its content to a number of tokens.

Knows tokenizers by their `transformers` or `tokenizers` interface; knows nothing about models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from .book import Book
from .cleaning import book_content
from .distribution import PRICES
from .token_count import WordCounter

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer
    from transformers import PreTrainedTokenizerBase

PROMPT_VERSION = 1
HEAD = "Question: How much does this cost to the nearest dollar?\n\nContent: "
TAIL = "\n\nAnswer: $"


def build_prompt(content: str) -> str:
    """The prompt around a content; a model's next tokens are the price."""
    return f"{HEAD}{content}{TAIL}"


def is_prompt(text: str) -> bool:
    """Whether `text` is exactly the standardized prompt around some content."""
    return text.startswith(HEAD) and text.endswith(TAIL) and len(text) >= len(HEAD) + len(TAIL)


def build_completion(units: float) -> str:
    """The answer that follows the prompt: the price in units, rounded half up to one of 0–999.

    Raises:
        ValueError: a price outside of the model's range.
    """
    if not -0.5 <= units < PRICES - 0.5:
        raise ValueError(f"a price of {units} units is outside of 0–{PRICES - 1}; choose another --unit")
    return str(nearest_unit(units))


def nearest_unit(units: float) -> int:
    """The whole price 0–999 nearest to a price in units, halves rounded up."""
    return min(max(math.floor(units + 0.5), 0), PRICES - 1)


@dataclass(frozen=True)
class CutContent:
    """A content cut to the token limit, and how many tokens it had before the cut."""

    text: str
    tokens: int


class ContentCutter:
    """Cuts contents to a number of tokens, at a blank where there is one.

    Args:
        tokenizer: of `transformers`, or the `tokenizers` one within.
        limit: the most tokens of a content.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase | Tokenizer, limit: int) -> None:
        self._tokenizer: Tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)
        self._counter = WordCounter(self._tokenizer)
        self._limit = limit

    def cut(self, contents: Sequence[str]) -> list[CutContent]:
        """Each content cut to the limit, counted in one batch."""
        if not contents:
            return []
        # A call through `transformers` may have left its own limits on the tokenizer.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        results = [
            None if words is None else self._cut_words(content, *words)
            for content, words in zip(contents, self._counter.words(contents), strict=True)
        ]
        rest = [number for number, result in enumerate(results) if result is None]
        encodings = self._tokenizer.encode_batch([contents[number] for number in rest], add_special_tokens=False)
        for number, encoding in zip(rest, encodings, strict=True):
            results[number] = self._cut_encoded(contents[number], encoding)
        return [result for result in results if result is not None]

    def _cut_words(self, content: str, words: list[str], counts: list[int]) -> CutContent | None:
        """Whole words up to the limit; None where the first is too long."""
        tokens = sum(counts)
        if tokens <= self._limit:
            return CutContent(content, tokens)
        kept, used = 0, 0
        while used + counts[kept] <= self._limit:
            used += counts[kept]
            kept += 1
        if not kept:
            return None
        if words[kept - 1].endswith("\n"):
            # Without the line's end a sign at the end may be other tokens.
            used += self._counter.count(words[kept - 1].rstrip()) - counts[kept - 1]
        return CutContent("".join(words[:kept]).rstrip(), tokens) if used <= self._limit else None

    def _cut_encoded(self, content: str, encoding: Encoding) -> CutContent:
        text = content
        if len(encoding) > self._limit:
            text = _before_blank(content, encoding.offsets[self._limit][0])
            # Half a word can have more tokens than its share of the whole: take characters off until it fits.
            while (extra := self._counter.count(text) - self._limit) > 0:
                text = text[: len(text) - extra]
        return CutContent(text, len(encoding))


def with_evidence(content: CutContent, line: str) -> CutContent:
    """The content after a line of evidence."""
    return replace(content, text=f"{line}\n{content.text}")


def cut_contents(contents: Sequence[str], tokenizer: PreTrainedTokenizerBase, limit: int) -> list[CutContent]:
    """Cut each content to at most `limit` tokens, at a blank where there is one, in one batched tokenization."""
    return ContentCutter(tokenizer, limit).cut(contents)


def _before_blank(text: str, end: int) -> str:
    """`text[:end]`, without the word that `end` falls into, unless that is the only one."""
    cut = text[:end]
    if end < len(text) and not text[end].isspace() and not cut[-1:].isspace():
        whole_words = cut.rstrip().rsplit(maxsplit=1)
        cut = cut[: len(cut) - len(whole_words[-1])] if len(whole_words) > 1 else cut
    return cut.rstrip()


class EvidenceWriter(Protocol):
    """What writes a line of evidence for each book; see `evidence`."""

    def lines(self, books: Sequence[Book]) -> list[str]:
        """A line for each of n books."""


@dataclass(frozen=True)
class PromptBuilder:
    """Books to standardized prompts, their content cut to `content_tokens` tokens of `tokenizer`.

    `evidence` writes the first line of each content; it does not count as the book's own text.
    """

    tokenizer: PreTrainedTokenizerBase
    content_tokens: int
    evidence: EvidenceWriter | None = None

    @cached_property
    def _cutter(self) -> ContentCutter:
        return ContentCutter(self.tokenizer, self.content_tokens)

    def contents(self, books: Iterable[Book]) -> list[CutContent]:
        """The cut content of each book; its text is empty where the book has none."""
        books = list(books)
        contents = self._cutter.cut([book_content(book) for book in books])
        # A book without a word has no price, whatever others guess.
        there = [number for number, content in enumerate(contents) if content.text]
        if self.evidence is not None:
            lines = self.evidence.lines([books[number] for number in there])
            for number, line in zip(there, lines, strict=True):
                contents[number] = with_evidence(contents[number], line)
        return contents

    def prompts(self, books: Iterable[Book]) -> list[str]:
        """The standardized prompt of each book."""
        return [build_prompt(content.text) for content in self.contents(books)]

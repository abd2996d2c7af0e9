"""The standardized prompt, for training and inference alike, and the cut of its content to a number of tokens.

Knows a tokenizer by its `transformers` interface; knows nothing about models.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .book import Book
from .cleaning import book_content
from .distribution import PRICES

if TYPE_CHECKING:
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
    rounded = math.floor(units + 0.5)
    if not 0 <= rounded < PRICES:
        raise ValueError(f"a price of {units} units is outside of 0–{PRICES - 1}; choose another --unit")
    return str(rounded)


@dataclass(frozen=True)
class CutContent:
    """A content cut to the token limit, and how many tokens it had before the cut."""

    text: str
    tokens: int


def cut_contents(contents: Sequence[str], tokenizer: PreTrainedTokenizerBase, limit: int) -> list[CutContent]:
    """Cut each content to at most `limit` tokens, at a blank where there is one, in one batched tokenization."""
    if not contents:
        return []
    encoded = tokenizer(list(contents), add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    results = []
    for content, ids, offsets in zip(contents, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        text = content
        if len(ids) > limit:
            text = _before_blank(content, offsets[limit][0])
            # Half a word can have more tokens than its share of the whole: take characters off until it fits.
            while (extra := len(tokenizer(text, add_special_tokens=False)["input_ids"]) - limit) > 0:
                text = text[: len(text) - extra]
        results.append(CutContent(text, len(ids)))
    return results


def _before_blank(text: str, end: int) -> str:
    """`text[:end]`, without the word that `end` falls into, unless that is the only one."""
    cut = text[:end]
    if end < len(text) and not text[end].isspace() and not cut[-1:].isspace():
        whole_words = cut.rstrip().rsplit(maxsplit=1)
        cut = cut[: len(cut) - len(whole_words[-1])] if len(whole_words) > 1 else cut
    return cut.rstrip()


@dataclass(frozen=True)
class PromptBuilder:
    """Books to standardized prompts, their content cut to `content_tokens` tokens of `tokenizer`."""

    tokenizer: PreTrainedTokenizerBase
    content_tokens: int

    def contents(self, books: Iterable[Book]) -> list[CutContent]:
        """The cut content of each book; its text is empty where the book has none."""
        return cut_contents([book_content(book) for book in books], self.tokenizer, self.content_tokens)

    def prompts(self, books: Iterable[Book]) -> list[str]:
        """The standardized prompt of each book."""
        return [build_prompt(content.text) for content in self.contents(books)]

"""A small text grammar: templates with slots, expanded by chance. Knows nothing about books.

A template is text with slots: `{word}`, `{^word}` with a capital, `{a:word}` after "a" or "an", `{s:word}` in plural.
What a slot stands for is asked of a `speaker`; a name that it does not know is a rule of the grammar file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from .dice import Dice
from .lexicon import load

_SLOT = re.compile(r"\{(?:(\^|a:|s:))?([a-z_.]+\d?)\}")
Part = str | tuple[str, str]
Template = tuple[Part, ...]


class Speaker(Protocol):
    """Who fills the slots."""

    dice: Dice

    def word(self, name: str) -> str:
        """What the slot `name` stands for this time."""


def compile_template(text: str) -> Template:
    """A template taken apart: strings are literal, pairs are slots with how to inflect them."""
    parts: list[Part] = []
    end = 0
    for match in _SLOT.finditer(text):
        if match.start() > end:
            parts.append(text[end : match.start()])
        parts.append((match[1] or "", match[2]))
        end = match.end()
    if end < len(text):
        parts.append(text[end:])
    return tuple(parts)


RULES: dict[str, tuple[Template, ...]] = {
    name: tuple(map(compile_template, texts)) for name, texts in load("grammar.json").items()
}


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def with_article(text: str) -> str:
    """The text after its indefinite article."""
    return f"{'an' if text[:1].lower() in 'aeiou' else 'a'} {text}"


def plural(text: str) -> str:
    """The text in the plural; a word that ends in s is taken to be one already."""
    if text.endswith(("s", "ing")):
        return text
    if text.endswith("y") and text[-2:-1] not in "aeiou":
        return text[:-1] + "ies"
    return text + ("es" if text.endswith(("x", "ch", "sh")) else "s")


_INFLECTIONS: dict[str, Callable[[str], str]] = {"^": capital, "a:": with_article, "s:": plural}


def expand(template: Template, speaker: Speaker) -> str:
    """The template with its slots filled."""
    out = []
    for part in template:
        if isinstance(part, str):
            out.append(part)
        else:
            text = speaker.word(part[1])
            out.append(_INFLECTIONS[part[0]](text) if part[0] else text)
    return "".join(out)


_SMALL_WORDS = frozenset(
    ("a", "an", "and", "as", "at", "but", "by", "for", "from", "in", "of", "on", "or", "the", "to", "vs", "with")
)


def title_case(text: str) -> str:
    """A title as it is printed: capitals but on small words; words with capitals of their own stay."""
    words = text.split(" ")
    last = len(words) - 1

    def printed(index: int, word: str) -> str:
        if word[:1] == "(":
            return "(" + capital(word[1:])
        if word in _SMALL_WORDS and 0 < index < last and not words[index - 1].endswith(":"):
            return word
        return capital(word) if word.islower() else word

    return " ".join(printed(index, word) for index, word in enumerate(words))

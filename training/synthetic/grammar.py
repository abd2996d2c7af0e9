"""A small text grammar: templates with slots, expanded by chance. Knows nothing about books.

A template is text with slots: `{word}`, `{^word}` with a capital, `{a:word}` after "a" or "an", `{s:word}` in plural.
What a slot stands for is asked of a `speaker`; a name that it does not know is a rule of the grammar file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from .dice import Dice
from .lexicon import items, load

_SLOT = re.compile(r"\{(?:(\^|a:|s:))?([a-z_.']+\d?)\}")
Part = str | tuple[str, str]
Template = tuple[Part, ...]


class Speaker(Protocol):
    """Who fills the slots."""

    dice: Dice

    def word(self, name: str) -> str:
        """What the slot `name` stands for this time."""


_SYNONYMS = {f"same.{word}": items(words) for word, words in load("synonyms.json").items()}
# A word after a capital "A" or "An" stays, since no inflection writes that article.
_HAS_SYNONYMS = re.compile(
    rf"(?<!\bA )(?<!\bAn )(\ban? )?(?<![{{\w'^:.-])({'|'.join(name[5:] for name in _SYNONYMS)})(?![}}\w'-])"
)


def with_synonyms(text: str) -> str:
    """The template with a slot for each word that others can stand for: many phrasings from one sentence."""
    return _HAS_SYNONYMS.sub(lambda match: f"{{{'a:' if match[1] else ''}same.{match[2]}}}", text)


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


def _rules() -> dict[str, tuple[Template, ...]]:
    rules = {}
    for name, texts in load("grammar.json").items():
        # Sentences are many-worded; titles and single words stay as they were written.
        varied = map(with_synonyms, texts) if name.partition(".")[0] in _SENTENCES else texts
        rules[name] = tuple(map(compile_template, varied))
    return rules | {name: tuple((word,) for word in words) for name, words in _SYNONYMS.items()}


_SENTENCES = ("hook", "body", "plot", "verdict", "praise", "bio")
RULES = _rules()


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

"""The record: one book of a catalogue, and what its price depends on read out of wherever the schema buries it.

Knows the Amazon-Reviews-2023 metadata schema; knows nothing about prompts, models or files.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from .money import PriceError, parse_price

# Longest text that is read as a Python or JSON literal; real `details` are under 5,000 characters.
_LITERAL_LIMIT = 100_000
# No title, page count or publisher that says something is longer; it bounds the work on a field of many megabytes.
_FACT_LIMIT = 500
# So far into a text its number of pages is looked for.
_TEXT_LIMIT = 5000
# A longer first line of a plain text is no title.
_TITLE_LIMIT = 200

# Canonical format -> what listings call it. Order matters: the first that matches wins, so the specific come first.
_FORMATS: tuple[tuple[str, str], ...] = (
    ("Mass Market Paperback", r"mass[- ]market(?: paperback)?|\bmmpb\b"),
    ("Library Binding", r"library binding"),
    ("Textbook Binding", r"textbook binding"),
    ("Board book", r"board ?book"),
    ("Spiral-bound", r"spiral[- ]?bound|ring[- ]bound|plastic comb|comb[- ]bound"),
    ("Sheet music", r"sheet music"),
    ("Leather Bound", r"(?:bonded|genuine|full) leather|leather[- ]?bound|^leather$"),
    ("Flexibound", r"flexi[- ]?bound|flexi[- ]?cover|turtleback|imitation leather"),
    ("Loose Leaf", r"loose[- ]leaf"),
    ("Box set", r"box(?:ed)?[- ]set|slipcase"),
    ("Audio CD", r"audio ?cd|mp3 cd|audio cassette|audible|audio ?book"),
    ("Kindle Edition", r"kindle(?: edition)?|e-?book|\bepub\b"),
    ("Calendar", r"calendar"),
    ("Cards", r"\bcards\b"),
    ("Map", r"\bmap\b"),
    ("Diary", r"\bdiary\b"),
    ("Hardcover", r"hard ?cover|hard ?back|hard[- ]?bound|\bhb\b|\bhc\b|gebunden|tapa dura"),
    ("Paperback", r"paperback|soft ?cover|soft ?back|\bpb\b|\bpbk\b|taschenbuch|tapa blanda|broch[ée]"),
)
_FORMAT_PATTERNS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _FORMATS)
# Formats whose names are everyday words: a title that has one ("The Map of Love") does not name its binding.
_EVERYDAY = {"Calendar", "Cards", "Diary", "Map"}
# A shop's edition line in the subtitle: "(German),Paperback – Import, 22 Feb 2018".
_EDITION_LINE = re.compile(
    r"^\s*(?:\((?P<language>[^()]{2,30})\)\s*,\s*)?(?P<format>[A-Za-z][A-Za-z \-]{2,30}?)"
    r"\s+[–—-]\s+(?P<rest>(?:[A-Za-z ,.]*,\s*)?(?:\d{1,2}\s+)?(?:[A-Z][a-z]{2,8}\.?\s+)?(?:\d{1,2},\s*)?\d{4}"
    r"|[A-Za-z ,]{3,50})\s*$"
)
_YEAR = re.compile(r"\b(1[4-9]\d\d|20[0-4]\d)\b")
_PAGES = re.compile(r"\b(\d{1,3},\d{3}|\d{1,5})[\s-]*(?:pages?|pp)\b", re.IGNORECASE)
_PUBLISHER_TAIL = re.compile(r"\s*(?:;.*|\(.*\))\s*$", re.DOTALL)
_PUBLISHER_EDITION = re.compile(r";\s*([^\s;()][^;()]*?)\s*(?:\(|$)")


@dataclass(frozen=True)
class BookFacts:
    """What a price depends on beside the words; `None` where a record does not say."""

    format: str | None = None
    pages: int | None = None
    publisher: str | None = None
    year: int | None = None
    language: str | None = None
    condition: str | None = None
    edition: str | None = None


# Fact -> names under which `details` may hold it, lower case; the first is the one that `Book.with_` writes.
_DETAIL_NAMES: dict[str, tuple[str, ...]] = {
    "format": ("format", "binding", "cover", "book format", "product form"),
    "pages": ("pages", "print length", "page count", "number of pages", "no. of pages", "hardcover", "paperback"),
    "publisher": ("publisher", "imprint", "manufacturer"),
    "year": ("year", "publication year", "publication date", "pub date", "published", "release date"),
    "language": ("language", "languages"),
    "condition": ("condition", "item condition"),
    "edition": ("edition", "edition statement"),
}


def _literal(text: str) -> Any:
    """A container written as JSON or as a Python literal, read as data; the text itself where it is neither."""
    stripped = text.strip()
    if not stripped or stripped[0] not in "[{(" or len(stripped) > _LITERAL_LIMIT:
        return text
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        try:
            return ast.literal_eval(stripped)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return text


def _plain(value: Any) -> Any:
    """A cell of a data frame without its library: arrays and their numbers as Python's, what is missing as None."""
    if value is None or isinstance(value, (str, int)):
        return value
    value = value.tolist() if hasattr(value, "tolist") else value
    missing = isinstance(value, float) and math.isnan(value)
    return None if missing or type(value).__name__ in ("NAType", "NaTType") else value


def _text(value: Any) -> str:
    value = _plain(value)
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        try:
            return " ".join(filter(None, map(_text, value)))
        except RecursionError:
            return ""
    if isinstance(value, Mapping):
        return _text(value.get("name"))
    return str(value)


def _number(value: Any) -> float | None:
    try:
        number = float(str(value).replace(",", ""))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _texts(value: Any) -> tuple[str, ...]:
    value = _literal(value) if isinstance(value, str) else _plain(value)
    if isinstance(value, (list, tuple)):
        return tuple(text for text in map(_text, value) if text.strip())
    text = _text(value)
    return (text,) if text.strip() else ()


class Book(BaseModel):
    """One catalogue record, with the field names of the Amazon-Reviews-2023 metadata.

    Accepts the schema's odd spellings: `details` as a JSON string, `author` as a dict or a dict written as a string,
    text fields as one string or a list, `None` or NaN for what is missing, a price as people write it.

    Example:
        >>> book = Book(title="Emma", subtitle="Paperback – 10 Mar 2016", author={"name": "Jane Austen"})
        >>> book.format, book.year
        ('Paperback', 2016)
        >>> book.with_(format="Hardcover").format
        'Hardcover'
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: str = ""
    subtitle: str = ""
    author: str = ""
    description: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    details: dict[str, str] = {}
    store: str = ""
    average_rating: float | None = None
    rating_number: int | None = None
    price: float | None = None
    parent_asin: str = ""

    @field_validator("title", "subtitle", "store", "parent_asin", mode="before")
    @classmethod
    def _read_text(cls, value: Any) -> str:
        return _text(value)

    @field_validator("author", mode="before")
    @classmethod
    def _read_author(cls, value: Any) -> str:
        value = _literal(value) if isinstance(value, str) else _plain(value)
        if isinstance(value, (list, tuple)):
            return ", ".join(filter(None, map(_text, value)))
        return _text(value)

    @field_validator("description", "features", "categories", mode="before")
    @classmethod
    def _read_texts(cls, value: Any) -> tuple[str, ...]:
        return _texts(value)

    @field_validator("details", mode="before")
    @classmethod
    def _read_details(cls, value: Any) -> dict[str, str]:
        value = _literal(value) if isinstance(value, str) else value
        if not isinstance(value, Mapping):
            return {}
        return {str(key): _text(item) for key, item in value.items() if _text(item).strip()}

    @field_validator("average_rating", mode="before")
    @classmethod
    def _read_number(cls, value: Any) -> float | None:
        return _number(value)

    @field_validator("rating_number", mode="before")
    @classmethod
    def _read_count(cls, value: Any) -> int | None:
        number = _number(value)
        return None if number is None else int(number)

    @field_validator("price", mode="before")
    @classmethod
    def _read_price(cls, value: Any) -> float | None:
        try:
            return parse_price(_plain(value))
        except PriceError as error:
            if error.reason == "no price":
                return None
            raise

    @classmethod
    def from_text(cls, text: str) -> Book:
        """A book described in plain words: a short first line is its title, the rest its description."""
        first, _, rest = text.strip().partition("\n")
        return cls(title=first, description=rest) if len(first) <= _TITLE_LIMIT else cls(description=text)

    @cached_property
    def facts(self) -> BookFacts:
        """All typed properties, parsed once."""
        return _parse_facts(self)

    @property
    def format(self) -> str | None:
        """Binding, in Amazon's words: `Paperback`, `Hardcover`, `Mass Market Paperback`…"""
        return self.facts.format

    @property
    def pages(self) -> int | None:
        """Number of pages."""
        return self.facts.pages

    @property
    def publisher(self) -> str | None:
        """Publisher or imprint, without edition and date."""
        return self.facts.publisher

    @property
    def year(self) -> int | None:
        """Year of publication."""
        return self.facts.year

    @property
    def language(self) -> str | None:
        """Language of the text, as the listing names it."""
        return self.facts.language

    @property
    def condition(self) -> str | None:
        """Condition of a used copy, as the listing names it."""
        return self.facts.condition

    @property
    def edition(self) -> str | None:
        """Edition statement: `2nd edition`, `Import`, `Illustrated`…"""
        return self.facts.edition

    @property
    def plain_subtitle(self) -> str:
        """The subtitle without a shop's edition line ("Paperback – 10 Mar 2016"), which the properties hold."""
        return "" if _edition_line(self.subtitle) else self.subtitle

    def with_(self, **changes: Any) -> Book:
        """A copy with fields or typed properties changed: `book.with_(format="Hardcover", pages=300)`.

        Raises:
            TypeError: a name that is neither a field nor a typed property.
        """
        details = self._read_details(changes.pop("details", self.details))
        values = {}
        for name, value in changes.items():
            if name in _DETAIL_NAMES:
                key = _DETAIL_NAMES[name][0].capitalize()
                details = {k: v for k, v in details.items() if _detail_name(k) != _DETAIL_NAMES[name][0]}
                if value is not None:
                    details = {key: str(value), **details}
            elif name in type(self).model_fields:
                values[name] = value
            else:
                raise TypeError(f"Book has no field or property {name!r}")
        return type(self).model_validate({**self.model_dump(), "details": details, **values})


FACT_NAMES = tuple(field.name for field in fields(BookFacts))


@lru_cache(maxsize=20_000)
def canonical_format(text: str) -> str | None:
    """The format that `text` names, in Amazon's words, or None.

    Example:
        >>> canonical_format("gebundene Ausgabe, hardback"), canonical_format("no idea")
        ('Hardcover', None)
    """
    return next((name for name, pattern in _FORMAT_PATTERNS if pattern.search(text[:_FACT_LIMIT])), None)


def _detail_name(key: str) -> str:
    """A name in `details`, as `_DETAIL_NAMES` has it; Amazon's pages hide marks of direction before the colon."""
    return key.lower().strip(" :\t\u200e\u200f")


def _edition_line(subtitle: str) -> re.Match[str] | None:
    match = _EDITION_LINE.match(subtitle[:120])
    name = canonical_format(match["format"]) if match else None
    if match is None or name is None:
        return None
    bare = match["format"].lower() == name.lower() and _YEAR.search(match["rest"])
    return match if bare or name not in _EVERYDAY else None


def _find_pages(text: str) -> re.Match[str] | None:
    # Most texts name no pages, and that is quickly told.
    lower = text.lower()
    return _PAGES.search(text) if "page" in lower or "pp" in lower else None


def _parse_facts(book: Book) -> BookFacts:
    details = {_detail_name(key): value[:_TEXT_LIMIT].strip() for key, value in book.details.items()}
    said = {
        fact: next((details[name][:_FACT_LIMIT] for name in names if details.get(name)), None)
        for fact, names in _DETAIL_NAMES.items()
    }
    line = _edition_line(book.subtitle)
    extras = line["rest"] if line else ""

    publisher, edition = said["publisher"], said["edition"]
    if publisher:
        if edition is None and (match := _PUBLISHER_EDITION.search(publisher)):
            edition = match[1]
        if said["year"] is None and (match := _YEAR.search(publisher)):
            said["year"] = match[1]
        publisher = _PUBLISHER_TAIL.sub("", publisher) or None
    if edition is None:
        # "Illustrated, Import, 22 Feb 2018": all but the date and other formats.
        words = (part.strip() for part in extras.split(",") if not re.search(r"\d", part))
        edition = ", ".join(part for part in words if part and canonical_format(part) is None) or None

    year = _YEAR.search(said["year"] or extras)
    pages = re.search(r"\d+", (said["pages"] or "").replace(",", ""))
    if pages is None:
        pages = next(
            (
                m
                for text in (book.title, book.subtitle, *details.values(), *book.description)
                if (m := _find_pages(text[:_TEXT_LIMIT]))
            ),
            None,
        )
    pages_number = int(re.sub(r"\D", "", pages.group())[:6]) if pages else 0

    named_format = said["format"] or (line["format"] if line else "")
    format_ = canonical_format(named_format) if named_format else None
    if format_ is None:
        # Amazon writes the format as the name of the page count: {"Hardcover": "320 pages"}.
        in_keys = " | ".join(key for key, value in details.items() if _PAGES.search(value))
        in_words = (canonical_format(text) for text in (book.subtitle, book.store, book.title))
        format_ = canonical_format(in_keys) or next((name for name in in_words if name and name not in _EVERYDAY), None)
    return BookFacts(
        format=format_ or said["format"],
        pages=pages_number if 0 < pages_number < 100_000 else None,
        publisher=publisher,
        year=int(year[1]) if year else None,
        language=said["language"] or (line["language"] if line else None),
        condition=said["condition"],
        edition=edition,
    )

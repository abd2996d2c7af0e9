"""From a book's fields to its content: the cleaned text that a model reads. Knows nothing about tokens.

The rules are those of DESIGN: HTML and mojibake mended, prices, product codes, special characters, repeated white space
and fields that say nothing about price left out. A price that a text mentions is left out in training and inference
alike, by `price_mentions`: a model that reads the answer learns to copy it.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ftfy

from .book import Book
from .price_mentions import has_money_sign, is_price_name, without_prices

# How often prices were found, in what `CleanBook.rules` counts.
IN_TEXT, IN_DETAILS = "prices in the text", "prices in the details"
_TITLES = ("title", "subtitle")
# No tokenizer's limit is reached later than this, and it bounds the work on a field of many megabytes.
MAX_FIELD_CHARACTERS = 20_000

_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,300}>|<!--.{0,2000}?-->", re.DOTALL)
# The marks of chat and language models (<|eot_id|>): a tokenizer would read one as itself, not as text. And characters
# that show nothing, which can hide words from a reader; joiners stay, which Persian and Indian scripts need.
_MODEL_MARK = re.compile(r"<\|[^<>|\n]{0,60}\|>")
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\U000e0000-\U000e0fff]"
)
# Colons of every width: a line of the prompt's template ends its name with one, so no text of a book can form it.
_SPECIAL = re.compile(r"[:：﹕︓∶꞉\[\]\"“”„{}【】]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_PRODUCT_CODE = re.compile(r"[(\[]?[^\s.,;!?)\]]{7,}(?:[.,;!?)\]]\S*)?")
_CODE_NAME = re.compile(r"\b(?:ISBN(?:-?1[03])?|ASIN|EAN|SKU|UPC)\b\s*(?:no\.?|number|code)?", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_AUTHOR_ROLE = re.compile(
    r"\s*\([^()]*(?:author|illustrator|editor|translator|format|contributor)[^()]*\)", re.IGNORECASE
)
# What ftfy leaves alone, but for the quotes it straightens: signs, and small letters that no other character beyond
# ASCII follows. Mojibake takes two in a row that are not all signs, or a letter and a blank.
_SIGNS = "‘’“”–—…"
_SOUND = _SIGNS + "―•™®°àáâäåæçèéêëìíîïñòóôöøùúûüýß"
_DOUBTFUL = re.compile(
    rf"[^\x00-\x7f{_SOUND}]|[^\x00-\x7f{_SIGNS}][^\x00-\x7f]|[^\x00-\x7f][^\x00-\x7f{_SIGNS}]|[àâãÿß] "
)
_STRAIGHT = str.maketrans("‘’“”", "''\"\"")


def clean_text(text: str) -> str:
    """One field on one line: HTML, mojibake, prices, codes, special characters and repeated white space gone.

    Example:
        >>> clean_text('<b>Tom &amp; Jerry</b>:  the  "best", now $12.99, ISBN 9780306406157')
        'Tom & Jerry the best , now ,'
    """
    rules: Counter[str] = Counter()
    return _clean(_mend(text, rules), rules)


def _mend(text: str, rules: Counter[str], title: bool = False) -> str:
    """HTML and mojibake read as what they stand for, and prices left out."""
    text = source = text[:MAX_FIELD_CHARACTERS]
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _MODEL_MARK.sub(" ", _TAG.sub(" ", text))
    if text is not source and text != source:
        rules["HTML"] += 1
    if not text.isascii():
        text = _HIDDEN.sub("", text)
        if _DOUBTFUL.search(text):
            straight = text.translate(_STRAIGHT)
            text = ftfy.fix_text(text)
            rules["mojibake"] += text != straight
        else:
            text = text.translate(_STRAIGHT)
    text, mentions = without_prices(text, title=title)
    if mentions:
        rules[IN_TEXT] += mentions
    return text


def _clean(text: str, rules: Counter[str], title: bool = False) -> str:
    """A mended text without special characters and product codes, on one line."""
    text, special = _SPECIAL.subn(" ", text)
    lower = text.lower()
    if "isbn" in lower or "asin" in lower or "ean" in lower or "sku" in lower or "upc" in lower:
        text = _CODE_NAME.sub(" ", text)
    words = text.split()
    if _DIGIT.search(text):
        kept = [word for word in words if len(word) < 7 or word.isalpha() or not _is_product_code(word)]
        if len(kept) < len(words):
            rules["product codes"] += len(words) - len(kept)
        if (special or len(kept) < len(words)) and has_money_sign(text):
            # What stood between a sign and its number may be gone.
            text, mentions = without_prices(" ".join(kept), title=title)
            rules[IN_TEXT] += mentions
            return " ".join(text.split())
        words = kept
    return " ".join(words)


def _is_product_code(word: str) -> bool:
    return _DIGIT.search(word) is not None and _PRODUCT_CODE.fullmatch(word) is not None


# Bindings, years, languages and publishers come again and again.
_clean_fact = lru_cache(maxsize=20_000)(clean_text)


@dataclass(frozen=True)
class CleanBook:
    """A cleaned book.

    Args:
        book: the book without the prices that its texts and details mention; its own `price` is kept.
        content: the text that a model reads; empty where the book has none.
        rules: how often each rule found something.
    """

    book: Book
    content: str
    rules: Counter[str]


def clean_book(book: Book) -> CleanBook:
    """The content of a book, and the book as a method may read it that must not see the price."""
    rules: Counter[str] = Counter()
    changes: dict[str, Any] = {}
    mended: dict[str, list[str]] = {}
    for name in ("title", "subtitle", "author", "store", "categories", "features", "description"):
        value = getattr(book, name)
        texts = (value,) if isinstance(value, str) else value
        found = rules[IN_TEXT]
        mended[name] = [_mend(text, rules, title=name in _TITLES) for text in texts]
        if rules[IN_TEXT] > found:
            changes[name] = mended[name][0] if isinstance(value, str) else tuple(mended[name])
    if book.details and (details := _clean_details(book.details, rules)) != book.details:
        changes["details"] = details
    if changes:
        book = Book.model_validate({**book.model_dump(), **changes})
    return CleanBook(book, _content(book, mended, rules), +rules)


def _clean_details(details: dict[str, str], rules: Counter[str]) -> dict[str, str]:
    """The details without prices and without the prices that others mention."""
    kept = {}
    for name, text in details.items():
        if is_price_name(name):
            rules[IN_DETAILS] += 1
        else:
            kept[name], mentions = without_prices(text)
            rules[IN_DETAILS] += mentions
    return kept


def book_content(book: Book) -> str:
    """The cleaned text of a book, a line a kind: title, author, facts, categories, ratings, features, description.

    What a price hangs on most comes first, since a token limit cuts from the end. Empty where the book has no text.

    Example:
        >>> print(book_content(Book(title="Emma", subtitle="Paperback – 10 Mar 2016", author="Jane Austen")))
        Emma
        by Jane Austen
        Paperback, 2016
    """
    return clean_book(book).content


def _content(book: Book, mended: dict[str, list[str]], rules: Counter[str]) -> str:
    cleaned = {
        name: [clean for text in texts if text and (clean := _clean(text, rules, name in _TITLES))]
        for name, texts in mended.items()
    }
    if not book.plain_subtitle:
        cleaned["subtitle"] = []
    author = " ".join(cleaned["author"] or (clean_text(_AUTHOR_ROLE.sub("", name)) for name in mended["store"]))
    facts = (
        book.format,
        book.edition,
        f"{book.pages} pages" if book.pages else None,
        book.publisher,
        str(book.year) if book.year else None,
        book.language,
        book.condition,
    )
    categories = [name for name in cleaned["categories"] if name.lower() not in ("books", "book")]
    ratings = _ratings(book)
    lines = (
        ". ".join(cleaned["title"] + cleaned["subtitle"]),
        f"by {author}" if author else "",
        ", ".join(filter(None, (_clean_fact(fact) for fact in facts if fact))),
        " > ".join(dict.fromkeys(categories)),
        ratings,
        " ".join(cleaned["features"]),
        " ".join(cleaned["description"]),
    )
    return "\n".join(filter(None, lines)) if any(line for line in lines if line is not ratings) else ""


def _ratings(book: Book) -> str:
    """The ratings in words; how many people rated a book tells a mass print run from a small one."""
    if not book.rating_number or not 0 < book.rating_number < 10**9:
        return ""
    stars = f"{book.average_rating:.1f} stars, " if book.average_rating else ""
    return f"{stars}{book.rating_number} ratings"

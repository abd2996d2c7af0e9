"""From a book's fields to its content: the cleaned text that a model reads. Knows nothing about tokens or prices.

The rules are those of DESIGN: HTML and mojibake mended, product codes, special characters, repeated white space and
fields that say nothing about price left out.
"""

from __future__ import annotations

import html
import re

import ftfy

from .book import Book

# No tokenizer's limit is reached later than this, and it bounds the work on a field of many megabytes.
MAX_FIELD_CHARACTERS = 20_000

_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,300}>|<!--.{0,2000}?-->", re.DOTALL)
# Colons of every width: a line of the prompt's template ends its name with one, so no text of a book can form it.
_SPECIAL = re.compile(r"[:：﹕︓∶꞉\[\]\"“”„{}【】]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_PRODUCT_CODE = re.compile(r"(?<!\S)[(\[]?(?=\S*\d)[^\s.,;!?)\]]{7,}(?:[.,;!?)\]]\S*)?(?!\S)")
_CODE_NAME = re.compile(r"\b(?:ISBN(?:-?1[03])?|ASIN|EAN|SKU|UPC)\b\s*(?:no\.?|number|code)?", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_AUTHOR_ROLE = re.compile(
    r"\s*\([^()]*(?:author|illustrator|editor|translator|format|contributor)[^()]*\)", re.IGNORECASE
)


def clean_text(text: str) -> str:
    """One field on one line: HTML, mojibake, codes, special characters and repeated white space gone.

    Example:
        >>> clean_text('<b>Tom &amp; Jerry</b>:  the  "best", ISBN 9780306406157')
        'Tom & Jerry the best ,'
    """
    text = text[:MAX_FIELD_CHARACTERS]
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if not text.isascii():
        text = ftfy.fix_text(text)
    text = _SPECIAL.sub(" ", text)
    text = _PRODUCT_CODE.sub(" ", _CODE_NAME.sub(" ", text))
    return _SPACE.sub(" ", text).strip()


def book_content(book: Book) -> str:
    """The cleaned text of a book, a line a kind: title, author, facts, categories, ratings, features, description.

    What a price hangs on most comes first, since a token limit cuts from the end. Empty where the book has no text.

    Example:
        >>> print(book_content(Book(title="Emma", subtitle="Paperback – 10 Mar 2016", author="Jane Austen")))
        Emma
        by Jane Austen
        Paperback, 2016
    """
    author = clean_text(book.author) or clean_text(_AUTHOR_ROLE.sub("", book.store))
    facts = (
        book.format,
        book.edition,
        f"{book.pages} pages" if book.pages else None,
        book.publisher,
        str(book.year) if book.year else None,
        book.language,
        book.condition,
    )
    categories = [name for name in map(clean_text, book.categories) if name and name.lower() not in ("books", "book")]
    title = ". ".join(filter(None, (clean_text(book.title), clean_text(book.plain_subtitle))))
    lines = (
        title,
        f"by {author}" if author else "",
        ", ".join(filter(None, (clean_text(fact) for fact in facts if fact))),
        " > ".join(dict.fromkeys(categories)),
        _ratings(book),
        " ".join(map(clean_text, book.features)),
        " ".join(map(clean_text, book.description)),
    )
    has_text = any(line for number, line in enumerate(lines) if number != 4)
    return "\n".join(filter(None, lines)) if has_text else ""


def _ratings(book: Book) -> str:
    """The ratings in words; how many people rated a book tells a mass print run from a small one."""
    if not book.rating_number or not 0 < book.rating_number < 10**9:
        return ""
    stars = f"{book.average_rating:.1f} stars, " if book.average_rating else ""
    return f"{stars}{book.rating_number} ratings"

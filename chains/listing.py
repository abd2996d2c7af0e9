"""A book out of what somebody writes: a pasted listing, labelled lines, JSON, or a question in words.

Knows how people write about books, in English; knows no prices and no tools.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError

from ..tools.arguments import BookArguments, arguments_of
from ..training.book import Book, canonical_format
from ..training.columns import FIELDS, recognise_columns, to_book
from ..training.errors import InputError

_LABEL = re.compile(r"^[ \t*•-]*([A-Za-zÀ-ỹ][A-Za-zÀ-ỹ ()./-]{1,30}?)[ \t*]*[:：][ \t]*(\S.*)$")
_PAGES = re.compile(r"\b(\d{1,3},\d{3}|\d{1,5})[\s-]*(?:pages?|pp?\b|pgs?\b)", re.IGNORECASE)
_YEAR = re.compile(r"(?<![\d$€£.,])(1[4-9]\d\d|20[0-4]\d)(?![\d]|[.,]\d|\s*(?:pages?|pp\b|dollars?))")
_FORMAT_WORDS = re.compile(
    r"\b(mass[- ]market(?: paperback)?|paper ?backs?|soft ?covers?|hard ?covers?|hard ?backs?|hard ?bound|"
    r"leather[- ]?bound|spiral[- ]?bound|board ?books?|library binding|audio ?cds?|audio ?books?|kindle(?: edition)?|"
    r"e-?books?|box(?:ed)? sets?|textbook binding)\b",
    re.IGNORECASE,
)
# What sellers say of a copy -> the catalogue's words; the first that is found counts.
_CONDITIONS: tuple[tuple[str, str], ...] = (
    (r"\b(?:used|condition)\b[^.\n]{0,20}\blike[- ]new\b|\blike[- ]new\b", "Used - Like New"),
    (r"\bvery good\b(?=[^.\n]{0,20}\b(?:condition|copy)\b)|\bused\b[^.\n]{0,12}\bvery good\b", "Used - Very Good"),
    (r"\bgood\b(?=[^.\n]{0,12}\b(?:condition|copy)\b)|\bused\b[^.\n]{0,12}\bgood\b", "Used - Good"),
    (r"\bacceptable\b|\bpoor (?:condition|copy)\b|\bfair (?:condition|copy)\b", "Used - Acceptable"),
    (r"\bex[- ]?library\b", "Used - Ex-Library"),
    (r"\b(?:brand[- ])?new (?:condition|copy)\b|\bbrand[- ]new\b|\bunread\b", "New"),
    (r"\b(?:used|second[- ]?hand|pre-?owned|worn)\b", "Used - Good"),
)
_BY = re.compile(
    r"\s+by\s+((?:[A-ZÀ-Ý][\w.'’-]*|de|van|von|der|la|le|du|and|&)(?:,?\s+(?:[A-ZÀ-Ý][\w.'’-]*|de|van|von|der|la|le|du|"
    r"and|&))*)"
)
_NAME = r"[A-ZÀ-Ý][\w.'’-]*"
_BY_LINE = re.compile(
    rf"^\s*(?:written\s+)?by\s+(.{{2,100}}?)(?=\.\s+(?!{_NAME}\b(?:\.|\s+{_NAME}))|[.;|(]?\s*$|[;|(])", re.IGNORECASE
)
# The frame of a question, and what is left is the book.
_FRAME_START = re.compile(
    r"^(?:(?:hi|hello|hey|please|ok|okay|so|now|and|then|well|thanks|thank you)[,!. ]+)*"
    r"(?:(?:can|could|would|will) you (?:please )?(?:tell me |say |check |find out |estimate |price )?|i(?:'d| would) "
    r"like to know |i want to know |tell me |do you know |please |let'?s )*"
    r"(?:how much (?:is|are|does|do|did|would|could|should|can|might|money is|for)(?: (?:i|you|we|one) (?:get|ask|"
    r"charge|pay|sell|expect|want)(?: for)?)?\b|what(?:'s| is| are| would| does| do| should| could| price| can)*"
    r"(?: (?:i|you|we) (?:get|ask|charge|pay|expect|sell))?(?:(?: (?:the|a|your|fair|right|good|market|current|"
    r"asking|estimated|likely))* (?:price|value|worth|cost|estimate))?(?: (?:of|for|be))?\b|"
    r"(?:the )?(?:price|value|worth|cost|estimate|appraise|evaluate|assess|check|quote)(?: check)?(?: (?:of|for))?\b"
    r"(?:[:,])?|price\b|i (?:have|own|found|bought|inherited|am selling|want to sell|'m selling)\b|i'm selling\b)\s*",
    re.IGNORECASE,
)
_FRAME_END = re.compile(
    r"[\s,]*\b(?:(?:be |likely |usually |normally )?(?:worth|cost|costs|go for|sell for|sells for|fetch|bring|"
    r"priced at|selling for|going for)(?: (?:now|today|used|these days|roughly|about|approximately))*)?\s*[?.!]*\s*$",
    re.IGNORECASE,
)
_ARTICLE = re.compile(
    r"^(?:for\s+)?(?:a|an|my|this|that|some|one|another|our|the\s+(?=book\b)|(?:a\s+)?copy\s+of|of)\s+", re.IGNORECASE
)
_QUOTED = re.compile(r"[“\"*_‘]{1,2}([^“”\"*_]{2,200}?)[”\"*_’]{1,2}")
_SUBJECT = re.compile(r"\b(?:on|about|covering|regarding|concerning)\s+(.{3,120})$", re.IGNORECASE)
_FILLER = re.compile(
    r"\b(?:used|second[- ]?hand|pre-?owned|new|brand[- ]new|old|illustrated|signed|first edition|edition|copy|book|"
    r"novel|volume|in (?:very )?(?:good|fine|poor|acceptable) condition|like new|good|very|condition|with|from|of|in|"
    r"and)\b",
    re.IGNORECASE,
)
_COPY_OF = re.compile(r"(?:signed|used|new|old)\s+(?:copy|edition)\s+of\s", re.IGNORECASE)
_LEADING = re.compile(
    r"^\s*(?:(?:a|an|my|used|second[- ]?hand|new|old|brand[- ]new|signed|copy|edition|of|\d{4})\s+)+(?=\S)",
    re.IGNORECASE,
)
_TITLE_LIMIT = 200
_LISTING_WORDS = 40
_ASKS = re.compile(
    r"\b(?:how much|worth|costs?|pric(?:e[sd]?|ing)|valu(?:e[sd]?|ation)|estimate|appraise|evaluate|quote|"
    r"sell(?:ing)?|i (?:have|own|found|bought|inherited))\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(
    r"^(?:it|this|that|these|they|them|this one|that one|the book|this book|my book|one|the other)?$", re.I
)


def is_listing(text: str) -> bool:
    """Whether a text is a book's listing by its form alone: JSON, several lines, or many words."""
    stripped = text.strip()
    lines = [line for line in stripped.splitlines() if line.strip()]
    return stripped.startswith("{") or len(lines) >= 2 or len(stripped.split()) >= _LISTING_WORDS


def read_listing(text: str) -> dict[str, Any]:
    """The tool arguments of a pasted listing: a JSON record, labelled lines, or a title line with text after it.

    Raises:
        InputError: it starts like JSON but cannot be read as one book.
    """
    stripped = text.strip()
    if stripped.startswith("{"):
        try:
            return _checked(arguments_of(to_book(json.loads(stripped))))
        except ValidationError as error:
            raise InputError(f"the field {error.errors()[0]['loc'][0]!r} of this record cannot be read") from error
        except (ValueError, RecursionError, AttributeError) as error:
            raise InputError("this starts like JSON but is none; paste the listing as text instead") from error
    lines = [line.strip() for line in stripped.splitlines() if line.strip()]
    record, rest = _labelled(lines)
    if not rest and not record:
        return {}
    if not record.get("title"):
        lines_left = list(rest)
        head = lines_left.pop(0) if lines_left else ""
        frame = _FRAME_START.match(head)
        left = _FRAME_END.sub("", head[frame.end() :]).strip(" ?:.!") if frame else head
        if frame and frame.end() and _PRONOUN.match(left) and lines_left:  # "How much is this?" above the listing
            head = lines_left.pop(0)
        elif frame and frame.end():
            head = _ARTICLE.sub("", head[frame.end() :])
        title, author, after = _title_line(head)
        rest = ([after] if after else []) + lines_left
        record["title"] = title
        if author:
            record.setdefault("author", author)
    if not record.get("author") and rest and (match := _BY_LINE.match(rest[0])):
        record["author"] = match[1].strip()
        rest[0] = rest[0][match.end() :].lstrip(" .;|,")
    description = "\n".join(line for line in rest if line)
    if description:
        record["description"] = "\n".join(filter(None, (record.get("description"), description)))
    book = to_book(record)
    return _checked({**_facts_in_words("\n".join(lines[:12])), **arguments_of(book)})


def read_question(text: str) -> dict[str, Any]:
    """The tool arguments of the book that a sentence asks about; empty where it names none.

    Example:
        >>> read_question("how much is a used 300-page hardcover on Roman history?")["format"]
        'Hardcover'
    """
    sentence = " ".join(text.split())
    facts = _facts_in_words(sentence)
    frame = _FRAME_START.match(sentence)
    core = sentence[frame.end() :] if frame else sentence
    core = _FRAME_END.sub("", core)
    core = _ARTICLE.sub("", core).strip(" ,.?!")
    if _PRONOUN.match(core):
        return {}
    arguments: dict[str, Any] = dict(facts)
    if quoted := _QUOTED.search(core):
        arguments["title"] = quoted[1].strip(" ,.")
        around = core[: quoted.start()] + " " + core[quoted.end() :]
        if author := _BY.search(" " + around):
            arguments["author"] = author[1].strip()
        return _checked(arguments)
    author = _BY.search(core)
    if author:
        arguments["author"] = author[1].strip()
        title = core[: author.start()]
    else:
        title = core
    title = re.split(r"[,;(]\s*", title)[0]
    bare = _without_facts(title)
    subject = _SUBJECT.search(title)
    if subject and not _without_facts(title[: subject.start()]).strip(" -"):
        # "a used 300-page hardcover on Roman history": no title, but what it is about.
        topic = subject[1].strip(" ,.?!")
        arguments["categories"] = [topic]
        arguments["description"] = core
        arguments["title"] = topic[0].upper() + topic[1:]
    elif bare.strip(" -"):
        arguments["title"] = bare.strip(" ,.-:")
        if len(core) > len(title) + 3:
            arguments["description"] = core
    else:
        return {}
    return _checked(arguments)


def changed_facts(text: str) -> dict[str, Any]:
    """The facts that a follow-up such as "and as a hardcover?" or "what if it had 500 pages" names."""
    return _facts_in_words(text)


def asks_for_price(text: str) -> bool:
    """Whether a sentence asks what something costs, or offers a book for it."""
    return _ASKS.search(text) is not None


def names_book(text: str) -> bool:
    """Whether a short text without a question looks like a book: a title with an author, format, year or pages."""
    return bool(_BY.search(text) or _FORMAT_WORDS.search(text) or _PAGES.search(text) or _QUOTED.search(text))


def _labelled(lines: list[str]) -> tuple[dict[str, Any], list[str]]:
    """`Title: Emma` lines as a record, and the other lines."""
    labels = [(match[1].strip(), match[2].strip()) if (match := _LABEL.match(line)) else None for line in lines]
    mapping = recognise_columns(label[0] for label in labels if label)
    record: dict[str, Any] = {}
    rest = []
    for line, label in zip(lines, labels, strict=True):
        field = mapping.get(label[0]) if label else None
        # "Rome: A History" is a title, not a column; a label is one of at most three words that names a field.
        if label and field in FIELDS and field != "price" and len(label[0].split()) <= 3:
            record.setdefault(field, label[1])
        elif label and field == "price":
            continue
        else:
            rest.append(line)
    return record, rest


def _title_line(line: str) -> tuple[str, str | None, str]:
    """Title, author and what follows them in a listing's first line."""
    after = ""
    if len(line) > _TITLE_LIMIT:
        cut = re.search(r"[.!?]\s", line[:_TITLE_LIMIT]) or re.search(r",\s", line[:_TITLE_LIMIT])
        end = cut.start() if cut else 0
        line, after = line[:end], line[end:].lstrip(" .,!?") if end else line
    author = _BY.search(line)
    if author and author.start() > 1:
        after = " ".join(filter(None, (line[author.end() :].strip(" ,.-–(|"), after)))
        return line[: author.start()].strip(" ,.-–|"), author[1].strip(), after
    head, _, tail = line.partition(", ")
    if tail and (_FORMAT_WORDS.search(tail) or _PAGES.search(tail)) and not _FORMAT_WORDS.search(head):
        return head.strip(), None, " ".join(filter(None, (tail, after)))
    return line.strip(), None, after


def _facts_in_words(text: str) -> dict[str, Any]:
    """Format, pages, year and condition that words name."""
    facts: dict[str, Any] = {}
    if match := _FORMAT_WORDS.search(text):
        words = re.sub(r"s$", "", re.sub(r"paper ?back", "paperback", match[0].lower()).replace("back s", "backs"))
        facts["format"] = canonical_format(words)
    if match := _PAGES.search(text):
        pages = int(match[1].replace(",", ""))
        facts["pages"] = pages if 0 < pages < 100_000 else None
    if match := _YEAR.search(text):
        facts["year"] = int(match[1])
    for pattern, condition in _CONDITIONS:
        if re.search(pattern, text, re.IGNORECASE):
            facts["condition"] = condition
            break
    return {name: value for name, value in facts.items() if value is not None}


def _without_facts(text: str) -> str:
    """What is left of words about a book when format, pages, year and filler are taken out."""
    left = text
    for pattern in (_FORMAT_WORDS, _PAGES):
        left = pattern.sub(" ", left)
    if not _FILLER.sub(" ", _YEAR.sub(" ", left)).strip(" ,.-:"):
        return ""
    if left != text or _COPY_OF.match(left):
        left = _LEADING.sub(" ", left)
    left = re.sub(r"\s+(?:in|as|from|of|with|and|,)\s*$", " ", left)
    return " ".join(left.split())


def _checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments without those that no tool would take."""
    try:
        return BookArguments(**arguments).model_dump(exclude_defaults=True)
    except ValidationError as error:
        wrong = {problem["loc"][0] for problem in error.errors()}
        kept = {name: value for name, value in arguments.items() if name not in wrong}
        return BookArguments(**kept).model_dump(exclude_defaults=True)


def describe(arguments: dict[str, Any]) -> str:
    """A book in a few words: title, author, and facts in brackets."""
    title = " ".join(str(arguments.get("title") or "this book").split())[:120]
    author = f" by {' '.join(str(arguments['author']).split())[:60]}" if arguments.get("author") else ""
    facts = [arguments.get("format"), f"{arguments['pages']} pages" if arguments.get("pages") else None,
             str(arguments["year"]) if arguments.get("year") else None, arguments.get("condition")]  # fmt: skip
    shown = ", ".join(str(fact)[:40] for fact in facts if fact)
    return f"{title}{author}{f' ({shown})' if shown else ''}"


def with_facts(arguments: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The arguments with facts changed, in their description too where that names the old ones."""
    description = str(arguments.get("description", ""))
    if "format" in changes:
        description = _FORMAT_WORDS.sub(str(changes["format"]), description)
    if "pages" in changes:
        description = _PAGES.sub(f"{changes['pages']} pages", description)
    changed = {**arguments, **changes}
    return {**changed, "description": description} if description else changed


def same_book(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two descriptions are of one book, whatever its format, year or condition."""

    def key(arguments: dict[str, Any]) -> tuple[str, ...]:
        names = ("title", "author") if arguments.get("title") else ("description",)
        return tuple(str(arguments.get(name, "")).casefold() for name in names)

    return key(one) == key(other)


def book_of(arguments: dict[str, Any]) -> Book:
    """The Book of tool arguments, other tools' extra ones left out."""
    return BookArguments(**{k: v for k, v in arguments.items() if k in BookArguments.model_fields}).book()

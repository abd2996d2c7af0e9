"""Assembles a record: decides what a book is, shows it as a shop would, and prices what is shown.

The order matters. A fact enters the `Offer` that the price is made of only where the record, in this shop's manner of
showing things, lets a reader see it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from . import people
from .dice import Dice, Wheel
from .genres import GENRES, Genre
from .grammar import title_case
from .hedonic import LISTING_YEAR, Offer, asked_price
from .kinds import KINDS
from .text import Writer

_GENRES = tuple(GENRES.values())
# How a listing looks, by the share of listings that look so.
_SHOPS = Wheel({"us": 36.0, "uk": 38.0, "used": 10.0, "feed": 9.0, "sparse": 7.0})
_SHELVES = {"us": "us", "uk": "uk", "used": "us", "feed": "bisac", "sparse": "uk"}
# Mean log number of ratings; the UK and Indian shops' customers rate far fewer books.
_RATINGS = {"us": (4.0, 1.9), "uk": (1.75, 1.25), "used": (1.8, 1.7), "feed": (2.5, 1.8), "sparse": (1.0, 1.2)}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_CONDITIONS = Wheel(
    {
        "Used - Like New": 16.0,
        "Used - Very Good": 26.0,
        "Used - Good": 34.0,
        "Used - Acceptable": 14.0,
        "Used - Ex-Library": 10.0,
    }
)
_CONDITION_WORDS = {
    "Used - Like New": ("Like new, unread copy.", "As new in as new dust jacket.", "Fine, appears unread."),
    "Used - Very Good": (
        "Very good condition; dust jacket with light wear.",
        "A very good, clean copy with tight binding.",
        "VG. Name on the endpaper, otherwise fine.",
    ),
    "Used - Good": (
        "Good used copy, some shelf wear and creasing to the spine.",
        "Good condition. May contain light pencil notes.",
        "Used book in good condition, pages slightly yellowed.",
    ),
    "Used - Acceptable": (
        "Acceptable reading copy: worn cover, highlighting and notes.",
        "Fair only. Cover creased, spine cracked, text complete.",
        "Reading copy, tape repair to the spine.",
    ),
    "Used - Ex-Library": (
        "Ex-library with the usual stamps and labels.",
        "Former library book; pocket and stamps, sound binding.",
        "Ex-lib copy in protective wrapper.",
    ),
}
_SIGNED_WORDS = ("Signed by the author.", "Inscribed and signed on the title page.", "Signed copy.")
_FIRST_EDITION_WORDS = ("First edition, first printing.", "First edition.", "True first, full number line.")
# A shop's remark behind the format, by weight; most listings of its kind have none.
_MARKS = {
    "trade": Wheel(
        {"": 83.0, "Import": 13.5, "Illustrated": 1.5, "Abridged": 0.6, "Special Edition": 0.7, "Deckle Edge": 0.7}
    ),
    "study": Wheel({"": 78.0, "Import": 12.0, "International Edition": 5.0, "Student Edition": 5.0}),
}
_STUDY_KINDS = frozenset({"textbook", "professional", "handbook", "monograph", "exam"})
_LANGUAGES = ("German", "French", "Spanish", "Italian", "Kannada", "Tamil", "Bengali", "Japanese", "Russian")
_FICTION_KINDS = frozenset({"novel", "collected", "deluxe", "largeprint", "verse"})
# What nobody sells any more when it is out of date.
_DATED_KINDS = frozenset({"exam", "certification", "journal", "school", "travelguide"})
_ASIN_LETTERS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"


def synthetic_records(n: int, *, seed: int = 0, start: int = 0) -> Iterator[dict[str, Any]]:
    """Records `start` to `start + n` of the synthetic catalogue that belongs to a seed.

    Record i is a function of the seed and of i, so a catalogue can be made in slices, in parallel, and is the same on
    every machine.

    Example:
        >>> first = next(synthetic_records(1))
        >>> first["main_category"], sorted(first) == sorted(next(synthetic_records(1, start=7)))
        ('Books', True)
    """
    for number in range(start, start + n):
        yield _record(seed, number)


def _record(seed: int, number: int) -> dict[str, Any]:
    dice = Dice(seed, number)
    genre = dice.pick(_GENRES)
    kind_name = genre.kinds.draw(dice)
    kind = KINDS[kind_name]
    shop = "used" if kind_name == "antiquarian" and dice.chance(0.7) else _SHOPS.draw(dice)
    origin = "indian" if dice.chance(genre.indian) else people.origin(dice)
    if genre.manga and dice.chance(0.85):
        origin = "japanese"
    author = people.full_name(dice, origin)
    year = _year(dice, kind_name, shop)
    writer = Writer(dice, genre, kind_name, author, origin, year)
    if kind_name in ("classic", "study"):
        author = writer.classic_author if kind_name == "classic" else author

    offer = _copy(dice, genre, kind_name, shop, south_asian=origin == "indian" and kind_name != "classic", year=year)
    writer.fixed["volumes"] = str(offer.volumes if offer.volumes > 1 else dice.integer(2, 4))
    writer.fixed["pages"] = str(offer.pages or kind.pages)
    title = writer.title()
    return _Listing(dice, writer, shop, genre, author, title, offer).record()


def _year(dice: Dice, kind: str, shop: str) -> int:
    """Most books on sale are a few years old; used ones older, rare ones old."""
    if kind == "antiquarian":
        return 1935 - int(150 * dice.random() ** 1.7)
    mean = {"used": 16.0, "us": 7.0}.get(shop, 6.0)
    oldest = 12 if kind in _DATED_KINDS else 55
    return LISTING_YEAR - min(int(-mean * math.log(1.0 - dice.random())), dice.integer(oldest // 2, oldest))


def _copy(dice: Dice, genre: Genre, kind_name: str, shop: str, *, south_asian: bool, year: int) -> Offer:
    """The copy on sale, every fact of it known; what the shop does not show is taken off later."""
    kind = KINDS[kind_name]
    binding = "Library Binding" if dice.chance(genre.library) else kind.formats.draw(dice)
    pages = int(round(kind.pages * math.exp(kind.pages_sd * dice.normal()) / 2) * 2)
    tier = kind.publishers.draw(dice)
    if south_asian and dice.chance(0.65) and tier not in ("academic", "antiquarian"):
        tier = "indian"
    elif not south_asian and tier == "indian":
        tier = "trade" if kind.price < 30 else "textbook"
    volumes = 1
    if dice.chance(kind.sets):
        volumes = dice.integer(2, 8) if kind_name == "collected" else dice.integer(2, 5)
    mean, sd = _RATINGS[shop]
    ratings = int(math.exp(dice.normal(mean + (1.0 if shop == "us" else 0.6) * kind.popularity, sd)))
    condition = None
    if shop == "used" and dice.chance(0.92):
        condition = "Collectible" if kind_name == "antiquarian" and dice.chance(0.3) else _CONDITIONS.draw(dice)
    marks = _MARKS["study" if kind_name in _STUDY_KINDS else "trade"]
    return Offer(
        kind=kind_name,
        value=genre.value,
        binding=binding,
        pages=max(pages, 16),
        tier=tier,
        volumes=volumes,
        colour=dice.chance(kind.colour),
        large=dice.chance(kind.large),
        mark=(marks.draw(dice) or None) if shop in ("uk", "sparse") else None,
        language=dice.pick(_LANGUAGES) if dice.chance(genre.foreign) else None,
        south_asian=south_asian,
        year=year,
        ratings=ratings,
        condition=condition,
        signed=dice.chance(0.14 if kind_name == "antiquarian" else 0.012 if kind_name in _FICTION_KINDS else 0.0),
        first_edition=shop == "used" and dice.chance(0.25 if kind_name == "antiquarian" else 0.05),
    )


class _Listing:
    """One copy as one shop shows it."""

    def __init__(
        self, dice: Dice, writer: Writer, shop: str, genre: Genre, author: str, title: str, offer: Offer
    ) -> None:
        self.dice = dice
        self.writer = writer
        self.shop = shop
        self.genre = genre
        self.author = author
        self.title = title
        self.offer = offer
        self.notes: list[str] = []
        self.month, self.day = dice.integer(1, 12), dice.integer(1, 28)

    def record(self) -> dict[str, Any]:
        """The listing with its price."""
        dice = self.dice
        details, subtitle = _SHOWS[self.shop](self)
        self._show_in_words()
        description, features = self._texts()
        price = asked_price(self.offer, dice.normal(), dice.random())
        ratings = self.offer.ratings
        author, store = self._credits()
        return {
            "main_category": "Books",
            "title": self.title,
            "subtitle": subtitle,
            "author": author,
            "average_rating": _stars(dice, ratings) if ratings else None,
            "rating_number": ratings,
            "features": features,
            "description": description,
            "price": f"{price:.2f}",
            "images": [],
            "videos": [],
            "store": store,
            "categories": self.genre.categories(_SHELVES[self.shop], dice),
            "details": json.dumps(details, ensure_ascii=False),
            "parent_asin": "B0" + "".join(dice.pick(_ASIN_LETTERS) for _ in range(8)),
            "bought_together": None,
        }

    # --- how each shop shows the facts: details and subtitle ---

    def amazon_us(self) -> tuple[dict[str, str], str | None]:
        """Full details; the subtitle is the edition line, a real subtitle or none."""
        dice, offer = self.dice, self.offer
        long_date = f"{_MONTHS[self.month - 1]} {self.day}, {offer.year}"
        publisher = dice.pick(people.PUBLISHERS[offer.tier or "trade"])
        edition = f"; {dice.pick(_EDITIONS)} edition" if dice.chance(0.35) else ""
        shows_date = dice.chance(0.85)
        details = {"Publisher": f"{publisher}{edition} ({long_date})" if shows_date else publisher}
        details["Language"] = offer.language or "English"
        details[offer.binding] = f"{offer.pages} pages"
        isbn10, isbn13 = isbns(dice)
        details["ISBN 10"] = isbn10
        details["ISBN 13"] = isbn13
        if offer.kind in ("children", "activity", "childfact") and dice.chance(0.7):
            details["Reading age"] = f"{dice.integer(2, 6)} - {dice.integer(7, 12)} years"
            details["Grade level"] = dice.pick(("Preschool - 2", "Kindergarten - 3", "3 - 7", "4 - 6"))
        weight, width, height = self._size()
        if dice.chance(0.85):
            details["Item Weight"] = f"{weight:.1f} pounds" if weight >= 1 else f"{weight * 16:.1f} ounces"
        if dice.chance(0.85):
            thickness = max((offer.pages or 200) / 450, 0.1)
            details["Dimensions"] = f"{width:g} x {thickness:.2g} x {height:g} inches"
        roll = dice.random()
        subtitle = None
        if roll < 0.55:
            subtitle = f"{offer.binding} – {long_date}"
        elif roll < 0.75:
            subtitle = self._real_subtitle()
        self.offer = replace(offer, year=offer.year if shows_date or roll < 0.55 else None)
        return details, subtitle

    def amazon_uk(self) -> tuple[dict[str, str], str | None]:
        """No details at all; format, remark and date are in the subtitle."""
        dice, offer = self.dice, self.offer
        roll = dice.random()
        month = _MONTHS[self.month - 1][:3]
        date = str(offer.year)
        if roll < 0.91:
            date = f"{self.day} {month} {date}" if roll < 0.88 else f"{month} {date}"
        shows_date = not (offer.mark and dice.chance(0.06))
        line = f"{self._mark()}{date}" if shows_date else str(offer.mark)
        prefix = f"({offer.language}),".replace(" ", "") if offer.language else ""
        self.offer = replace(offer, pages=None, tier=None, year=offer.year if shows_date else None)
        return {}, f"{prefix}{offer.binding} – {line}"

    def bookseller(self) -> tuple[dict[str, str], str | None]:
        """A used copy: the condition in details or in words, the rest as the seller cares to give it."""
        dice, offer = self.dice, self.offer
        details: dict[str, str] = {}
        if offer.condition and (dice.chance(0.55) or offer.condition == "Collectible"):
            details["Condition"] = offer.condition
        elif offer.condition:
            self.notes.append(dice.pick(_CONDITION_WORDS[offer.condition]))
        details["Format"] = offer.binding
        tier, pages, year = offer.tier, offer.pages, offer.year
        if dice.chance(0.8):
            details["Publisher"] = dice.pick(people.PUBLISHERS[tier or "trade"])
        else:
            tier = None
        if dice.chance(0.85):
            details["Publication year"] = str(year)
        else:
            year = None
        if dice.chance(0.5):
            details["Pages"] = str(pages)
        else:
            pages = None
        if offer.language:
            details["Language"] = offer.language
        if dice.chance(0.4) and (year or 1900) > 1970:
            details["ISBN 13"] = isbns(dice)[1]
        self.offer = replace(offer, tier=tier, pages=pages, year=year, mark=None)
        return details, None

    def feed(self) -> tuple[dict[str, str], str | None]:
        """A wholesaler's feed: few, terse details."""
        dice, offer = self.dice, self.offer
        details = {"Publisher": dice.pick(people.PUBLISHERS[offer.tier or "trade"]), "Format": offer.binding}
        pages = offer.pages if dice.chance(0.8) else None
        if pages:
            details["Pages"] = str(pages)
        details["Publication date"] = f"{offer.year}-{self.month:02d}-{self.day:02d}"
        details["Language"] = offer.language or "English"
        if dice.chance(0.7):
            details["ISBN 13"] = isbns(dice)[1]
        self.offer = replace(offer, pages=pages, mark=None)
        return details, self._real_subtitle() if dice.chance(0.4) else None

    def sparse(self) -> tuple[dict[str, str], str | None]:
        """Title, author and category; perhaps the format."""
        dice, offer = self.dice, self.offer
        if dice.chance(0.55):
            self.offer = replace(offer, pages=None, tier=None)
            return {}, f"{offer.binding} – {self._mark()}{offer.year}"
        self.offer = replace(offer, pages=None, tier=None, year=None, mark=None, binding="Paperback", language=None)
        return {}, None

    # --- the rest of the record ---

    def _mark(self) -> str:
        return f"{self.offer.mark}, " if self.offer.mark else ""

    def _real_subtitle(self) -> str:
        return title_case(self.writer.subtitle()) if self.dice.chance(0.5) else self.writer.subtitle()

    def _size(self) -> tuple[float, float, float]:
        """Weight in pounds, width and height in inches."""
        offer, dice = self.offer, self.dice
        if offer.large:
            width, height = dice.pick(((10.0, 12.5), (11.0, 14.0), (11.5, 11.5), (9.8, 13.2)))
        elif offer.binding == "Mass Market Paperback":
            width, height = 4.2, 6.8
        elif offer.kind in ("children", "activity", "artbook", "score", "childfact"):
            width, height = dice.pick(((8.0, 10.0), (8.5, 11.0), (9.0, 9.0), (9.0, 12.0)))
        elif KINDS[offer.kind].price > 30:
            width, height = dice.pick(((7.0, 9.2), (7.5, 9.2), (8.5, 11.0), (6.1, 9.2)))
        else:
            width, height = dice.pick(((6.0, 9.0), (5.5, 8.2), (5.1, 7.8), (5.2, 8.0)))
        weight = (offer.pages or 200) * width * height / 16000 * (1.3 if offer.binding == "Hardcover" else 1.0)
        return max(weight, 0.1), width, height

    def _show_in_words(self) -> None:
        """What has no field goes into the title or the description; a sparse record shows less."""
        dice, offer, writer = self.dice, self.offer, self.writer
        if self.shop == "sparse":
            self.offer = replace(offer, colour=False, large=False, signed=False, first_edition=False)
            offer = self.offer
        if offer.colour:
            self.notes.append(writer.sentence("note.illustrated"))
        if offer.large:
            self.notes.append(writer.sentence("note.large"))
        if offer.signed:
            self.notes.append(dice.pick(_SIGNED_WORDS))
        if offer.first_edition:
            self.notes.append(dice.pick(_FIRST_EDITION_WORDS))
        if offer.volumes > 1 and str(offer.volumes) not in self.title:
            self.title += f" ({offer.volumes} Volume Set)"
        if dice.chance(0.16) and self.shop != "sparse":
            self.notes.append(writer.sentence("note.edition"))

    def _texts(self) -> tuple[list[str], list[str]]:
        """Description and bullet points, clean or as raw feeds have them."""
        dice, writer, kind = self.dice, self.writer, KINDS[self.offer.kind]
        if self.shop == "sparse":
            if dice.chance(0.6):
                return [], []
            rules = (dice.pick(kind.hook), dice.pick(kind.body))
            return [" ".join([*self.notes, *map(writer.sentence, rules)])], []
        length = 0.6 if self.shop == "used" else 2.4 if dice.chance(0.05) else 1.0
        sentences = writer.sentences(self.notes, length)
        features = []
        if self.shop in ("us", "feed") and dice.chance(0.12):
            features = [writer.sentence(dice.pick(kind.body)).rstrip(".") for _ in range(dice.integer(2, 5))]
        roll = dice.random()
        if roll < 0.03:
            return ["<p>" + "</p><p>".join(_escape(sentence) for sentence in sentences) + "</p>"], features
        if roll < 0.05:
            return [f"<b>{_escape(sentences[0])}</b><br>" + " ".join(map(_escape, sentences[1:]))], features
        if roll < 0.065:
            text = " ".join(sentences).replace("'", "’").replace(" - ", " – ")
            return [text.encode("utf-8").decode("cp1252", errors="ignore")], features
        if roll < 0.35 and len(sentences) > 3:
            cut = dice.integer(1, len(sentences) - 1)
            paragraphs = [" ".join(sentences[:cut]), " ".join(sentences[cut:])]
            return (paragraphs, features) if roll < 0.2 else (["\n".join(paragraphs)], features)
        return [" ".join(sentences)], features

    def _credits(self) -> tuple[dict[str, Any] | str | None, str | None]:
        """Author and store, in the schema's several spellings."""
        dice = self.dice
        rule = "bio.fiction" if self.offer.kind in _FICTION_KINDS else "bio.nonfiction"
        about = [self.writer.sentence(rule)] if self.shop == "us" and dice.chance(0.5) else []
        author: dict[str, Any] | str | None = {"avatar": None, "name": self.author, "about": about}
        role = "Editor" if self.offer.kind in ("handbook", "reference") and dice.chance(0.5) else "Author"
        store: str | None = f"{self.author} ({role})"
        if dice.chance(0.12):
            other = people.full_name(dice, people.origin(dice))
            store = f"{store}, {other} ({dice.pick(('Illustrator', 'Author', 'Editor', 'Translator'))})"
        roll = dice.random()
        if roll < 0.04:
            author = repr(author)
        elif roll < 0.07:
            author = None
        elif roll < 0.1:
            store = None
        return author, store


_SHOWS: dict[str, Callable[[_Listing], tuple[dict[str, str], str | None]]] = {
    "us": _Listing.amazon_us,
    "uk": _Listing.amazon_uk,
    "used": _Listing.bookseller,
    "feed": _Listing.feed,
    "sparse": _Listing.sparse,
}
_EDITIONS = ("1st", "2nd", "3rd", "4th", "5th", "6th", "Revised", "Reprint", "Illustrated", "New", "Updated")


def _stars(dice: Dice, ratings: int) -> float:
    """An average rating: few ratings give round and extreme averages."""
    spread = 0.35 / math.sqrt(min(ratings, 60)) * 2.2 + 0.2
    stars = min(max(dice.normal(4.3, spread), 1.0), 5.0)
    return float(round(stars)) if ratings == 1 else round(stars, 1)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace(" and ", " &amp; ", 1)


def isbns(dice: Dice) -> tuple[str, str]:
    """An ISBN-10 and its ISBN-13, with valid check digits."""
    digits = [dice.pick((0, 1)), *(dice.integer(0, 9) for _ in range(8))]
    check10 = -sum((10 - place) * digit for place, digit in enumerate(digits)) % 11
    body13 = [9, 7, 8, *digits]
    check13 = -sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(body13)) % 10
    body = "".join(map(str, digits))
    return f"{body}{'X' if check10 == 10 else check10}", f"978-{body}{check13}"

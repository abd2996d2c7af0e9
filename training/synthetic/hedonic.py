"""What a book should cost: a log-additive (hedonic) price model over what a listing shows.

Every figure is prior trade knowledge: typical US list prices by format and segment, customary used-book discounts, what
booksellers tell each other. Nothing is fitted to any data set, so that real books stay a fair test of a model trained
on these prices.

Two principles. Only what a reader of the record can see moves a price: a fact that the record does not show is None
here and adds nothing, and its effect is part of the noise. And each rule adds to the log of the price, so that its
effect is a percentage, whatever the book.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .kinds import KINDS

# Log standard deviation of what no listing explains: two shops ask different prices for the same book.
NOISE = 0.26
# Rare books have no list price at all: the same copy is asked at $60 and at $200.
RARE_NOISE = 0.6
LISTING_YEAR = 2019
LOWEST, HIGHEST = 1.99, 949.0


@dataclass(frozen=True, slots=True)
class Offer:
    """One copy as its listing shows it; None or False is what the listing does not say.

    Attributes:
        kind: what sort of book it is to a bookseller, a key of `KINDS` ("novel", "textbook", "monograph"…).
        value: the genre's log price relative to a general book of that kind.
        binding: format in Amazon's words.
        tier: the publisher's tier, a key of the publishers file.
        volumes: number of books in a set.
        colour, large: illustrated in colour throughout; oversized.
        mark: "Import", "Student Edition", "International Edition"…
        south_asian: written by a South Asian author, who is mostly published there, at local prices.
        ratings: number of ratings.
    """

    kind: str
    value: float = 0.0
    binding: str = "Paperback"
    pages: int | None = None
    tier: str | None = None
    volumes: int = 1
    colour: bool = False
    large: bool = False
    mark: str | None = None
    language: str | None = None
    south_asian: bool = False
    year: int | None = None
    ratings: int = 10
    condition: str | None = None
    signed: bool = False
    first_edition: bool = False


# Formats other than hardcover, whose premium depends on the kind. Trade rules of thumb: a mass-market paperback is half
# a trade paperback ($8.99 to $16.99); an e-book a third off; loose leaf is the cheap way to buy a textbook; library
# bindings carry the cost of reinforcing; leather is a gift.
_BINDINGS = {
    "Paperback": 0.0,
    "Mass Market Paperback": -0.62,
    "Kindle Edition": -0.4,
    "Audio CD": 0.35,
    "Board book": -0.12,
    "Library Binding": 0.62,
    "Spiral-bound": 0.1,
    "Sheet music": 0.0,
    "Leather Bound": 0.95,
    "Flexibound": 0.08,
    "Loose Leaf": -0.1,
    "Cards": 0.0,
    "Box set": 0.25,
    "Textbook Binding": 0.25,
    "Calendar": 0.0,
    "Map": -0.3,
}
# Against the usual publisher of such a book. University and scientific presses print hundreds, not tens of thousands;
# mass-market and Indian houses print for a price; art books cost what colour printing costs.
_TIERS = {
    "trade": 0.0,
    "literary": 0.03,
    "university": 0.08,
    "academic": 0.28,
    "technical": 0.05,
    "textbook": 0.12,
    "reprint": -0.08,
    "mass": -0.3,
    "classics": -0.1,
    "religious": -0.02,
    "art": 0.15,
    "comics": 0.0,
    "children": -0.03,
    "library": 0.25,
    "indian": -0.6,
    "exam": -0.08,
    "music": 0.05,
    "practical": 0.0,
    "business": 0.05,
    "law": 0.15,
    "medical": 0.15,
    "antiquarian": 0.15,
}
_CONDITIONS = {
    "Used - Like New": -0.2,
    "Used - Very Good": -0.38,
    "Used - Good": -0.58,
    "Used - Acceptable": -0.85,
    "Used - Ex-Library": -0.7,
    "Collectible": 0.25,
}
_MARKS = {
    "Import": 0.3,
    "International Edition": -0.4,
    "Student Edition": -0.35,
    "Abridged": -0.25,
    "Large Print": 0.3,
    "Illustrated": 0.08,
    "Special Edition": 0.3,
    "Facsimile": 0.1,
    "Deckle Edge": 0.08,
    "Box set": 0.3,
}
# Kinds whose price does not fall with age: libraries buy them, and there is no second printing.
_LASTING = frozenset({"monograph", "handbook", "catalogue", "antiquarian"})
_RARE = frozenset({"antiquarian", "catalogue"})


def kind(offer: Offer) -> float:
    """The list price of a paperback of its kind: a novel $14.50, a textbook $74, a monograph $52, a handbook $150."""
    return math.log(KINDS[offer.kind].price)


def genre(offer: Offer) -> float:
    """Genres of the same kind differ: westerns are cheap, architecture, law and machine learning dear."""
    return offer.value


def binding(offer: Offer) -> float:
    """Hardcover costs 1.65 times a paperback in trade ($28 to $17), twice in monographs; the rest by table."""
    return KINDS[offer.kind].hardcover if offer.binding == "Hardcover" else _BINDINGS[offer.binding]


def pages(offer: Offer) -> float:
    """Elasticity 0.2–0.3 in trade, 0.35–0.45 where readers pay for content: twice the pages, 15 or 30 per cent more."""
    if offer.pages is None:
        return 0.0
    usual = KINDS[offer.kind]
    ratio = math.log(offer.pages / usual.pages)
    return usual.elasticity * min(max(ratio, -1.6), 1.6)


def publisher(offer: Offer) -> float:
    """Tiers: scientific houses a third dearer than trade, mass-market and South Asian houses far cheaper."""
    return 0.0 if offer.tier is None else _TIERS[offer.tier]


def production(offer: Offer) -> float:
    """Full colour adds about 15 per cent, an oversized format 30."""
    return 0.14 * offer.colour + 0.27 * offer.large


def volumes(offer: Offer) -> float:
    """A set costs less than its volumes bought one by one: price grows with their number to the power 0.65."""
    return 0.65 * math.log(offer.volumes)


def edition(offer: Offer) -> float:
    """An imported edition costs a third more in a foreign shop, one printed for students a third less."""
    return 0.0 if offer.mark is None else _MARKS[offer.mark]


def language(offer: Offer) -> float:
    """A book in a language that the shop's country does not read is an import by another name."""
    return 0.0 if offer.language in (None, "English", "Hindi") else 0.2


def market(offer: Offer) -> float:
    """South Asian authors are mostly published for the local market, at a half to two thirds of the price."""
    return -0.4 * offer.south_asian


def age(offer: Offer) -> float:
    """List prices rise about 1.2 per cent a year, so older books are cheaper; library books hold, rare ones gain."""
    if offer.year is None:
        return 0.0
    years = max(LISTING_YEAR - offer.year, 0)
    if offer.kind == "antiquarian":
        return 0.004 * min(max(years - 80, 0), 200)
    return 0.0 if offer.kind in _LASTING else -0.012 * min(years, 35)


def popularity(offer: Offer) -> float:
    """Many ratings mean a mass print run, which is cheap to make; three or fewer a small one: 7 per cent a log unit."""
    return min(max(-0.07 * (math.log1p(offer.ratings) - 2.4), -0.5), 0.17)


def condition(offer: Offer) -> float:
    """Used copies: like new a fifth off, good nearly half, acceptable less than half; rare books lose half of that."""
    if offer.condition is None:
        return 0.0
    discount = _CONDITIONS[offer.condition]
    return discount / 2 if offer.kind in _RARE and discount < 0 else discount


def rarity(offer: Offer) -> float:
    """A signature doubles a price and more; a first edition adds a half."""
    return 0.85 * offer.signed + 0.42 * offer.first_edition


RULES: tuple[Callable[[Offer], float], ...] = (
    kind,
    genre,
    binding,
    pages,
    publisher,
    production,
    volumes,
    edition,
    language,
    market,
    age,
    popularity,
    condition,
    rarity,
)


def explain(offer: Offer) -> dict[str, float]:
    """What each rule adds to the log of the price."""
    return {rule.__name__: rule(offer) for rule in RULES}


def expected_price(offer: Offer) -> float:
    """The price before noise and price endings, in dollars."""
    return math.exp(sum(rule(offer) for rule in RULES))


def asked_price(offer: Offer, deviation: float, ending: float) -> float:
    """The price on the label.

    Args:
        offer: the copy.
        deviation: a standard normal number, how far this shop is from the expected price.
        ending: a number in [0, 1) that picks the price's ending.
    """
    sd = RARE_NOISE if offer.kind in _RARE else NOISE
    price = expected_price(offer) * math.exp(sd * deviation)
    return min(max(shop_price(price, ending), LOWEST), HIGHEST)


def shop_price(price: float, ending: float) -> float:
    """The price a shop makes of it: mostly .99 and .95, whole dollars where books are dear, odd cents on discount."""
    whole = math.floor(price)
    if ending < 0.28:
        return round(price, 2)
    if price > 60 and ending < 0.65:
        return float(round(price))
    cents = 0.99 if ending < 0.72 else 0.95 if ending < 0.9 else 0.0 if ending < 0.96 else 0.5
    return max(whole + cents if price - whole > 0.5 or cents == 0.0 else whole - 1 + cents, 0.5)

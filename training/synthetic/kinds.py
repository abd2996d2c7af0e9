"""The kinds of book a bookseller tells apart: what each is like, how it is printed, and which sentences describe it."""

from __future__ import annotations

from dataclasses import dataclass

from .dice import Wheel
from .lexicon import load


@dataclass(frozen=True)
class Kind:
    """One kind of book.

    Attributes:
        price: list price in dollars of a paperback of usual length.
        hardcover: log premium of a hardcover.
        pages, pages_sd, elasticity: median, log standard deviation, and effect on the price.
        popularity: log number of ratings relative to a general book.
        colour, large, sets: share of colour printing, of oversized books, of sets of several volumes.
        formats, publishers: bindings and publishers' tiers by weight.
        hook, body: grammar rules of a description's first sentence and of those that follow.
        words: usual length of a description relative to a novel's.
    """

    price: float
    hardcover: float
    pages: int
    pages_sd: float
    elasticity: float
    popularity: float
    colour: float
    formats: Wheel[str]
    publishers: Wheel[str]
    hook: tuple[str, ...]
    body: tuple[str, ...]
    words: float
    large: float = 0.0
    sets: float = 0.0


def _kind(entry: dict) -> Kind:
    wheels = {key: Wheel(entry[key]) for key in ("formats", "publishers")}
    rules = {key: tuple(entry[key]) for key in ("hook", "body")}
    return Kind(**{**entry, **wheels, **rules})


KINDS = {name: _kind(entry) for name, entry in load("kinds.json").items()}

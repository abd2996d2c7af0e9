"""The genre tree: what shops call a genre, what its books are about, and which kinds of book it has.

Knows the genre and vocabulary files; knows nothing about prices beyond passing on a genre's authored value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from .dice import Dice, Wheel
from .lexicon import items, load

# How a shop names its shelves. Drawn for each record, so that a model sees that all of them mean the same.
SHELF_STYLES = ("us", "uk", "bisac")
# Shops file a book under the wrong department now and then; a model must not trust the first shelf too much.
MISFILED = 0.08


@dataclass(frozen=True)
class Genre:
    """One leaf of the tree.

    Attributes:
        name: key, the same in every data file.
        family: grammar and kinds of book are shared within a family.
        value: log price relative to a general trade book of the same kind (see `hedonic`).
        shelves: categories after "Books", one tuple a naming, by style.
        topics: subjects of non-fiction; roles, settings, troubles and titles are the same for fiction.
        nouns, singulars, qualities: neighbouring words from `vocabulary`.
        kinds: the kinds of book published in it, by weight.
        indian, foreign, library: share of Indian authors, of books in another language, of library bindings.
    """

    name: str
    family: str
    value: float
    shelves: dict[str, tuple[tuple[str, ...], ...]]
    topics: tuple[str, ...]
    roles: tuple[str, ...]
    settings: tuple[str, ...]
    troubles: tuple[str, ...]
    titles: tuple[str, ...]
    nouns: tuple[str, ...]
    singulars: tuple[str, ...]
    qualities: tuple[str, ...]
    kinds: Wheel[str]
    indian: float
    foreign: float
    library: float
    manga: bool

    @property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """Every naming of the genre."""
        return tuple(path for style in SHELF_STYLES for path in self.shelves[style])

    def categories(self, style: str, dice: Dice) -> list[str]:
        """The categories of a record on a shop's shelf, with the leading "Books"."""
        path = dice.pick(self.shelves[style])
        if style == "uk" and dice.chance(MISFILED):
            path = (dice.pick(_UK_DEPARTMENTS), *path[1:])
        if style == "us" and len(path) > 2 and dice.chance(0.3):
            path = path[:2]
        return ["Books", *path]


# The departments of the UK and Indian shops.
_UK_DEPARTMENTS = (
    "Action & Adventure",
    "Arts, Film & Photography",
    "Biographies, Diaries & True Accounts",
    "Comics & Mangas",
    "Computing, Internet & Digital Media",
    "Crime, Thriller & Mystery",
    "Humour",
    "Language, Linguistics & Writing",
    "Politics",
    "Romance",
    "Sports",
)


def _shelves(entry: dict[str, str]) -> dict[str, tuple[tuple[str, ...], ...]]:
    # A BISAC heading has no " > ": it stays one string, as booksellers' feeds give it.
    return {style: tuple(tuple(path.split(" > ")) for path in items(entry[style])) for style in SHELF_STYLES}


@cache
def _genres() -> dict[str, Genre]:
    families = load("families.json")
    vocabulary = load("vocabulary.json", missing_ok=True)
    genres = {}
    for part in ("fiction", "culture", "practical", "science"):
        for name, entry in load(f"genres_{part}.json").items():
            lists = {key: items(entry.get(key, "")) for key in ("topics", "roles", "settings", "troubles", "titles")}
            words = vocabulary.get(name, {})
            nouns = tuple(words.get("nouns", "").split())
            genres[name] = Genre(
                name=name,
                family=entry["family"],
                value=entry["value"],
                shelves=_shelves(entry),
                nouns=nouns,
                singulars=tuple(noun for noun in nouns if not noun.endswith("s")),
                qualities=tuple(words.get("qualities", "").split()),
                kinds=Wheel(entry.get("kinds") or families[entry["family"]]["kinds"]),
                indian=entry.get("indian", 0.0),
                foreign=entry.get("foreign", 0.012),
                library=entry.get("library", 0.0),
                manga=bool(entry.get("manga")),
                **lists,
            )
    return genres


GENRES = _genres()

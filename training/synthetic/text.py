"""Writes a book's title and description: who fills the grammar's slots, and how sentences become jacket copy.

Knows genres and kinds; knows nothing about prices, records or shops.
"""

from __future__ import annotations

import math
import re

from . import people
from .dice import Dice
from .genres import GENRES, Genre
from .grammar import RULES, Template, capital, expand, title_case
from .kinds import KINDS
from .lexicon import items, load

_FAMILY_NOUNS = {name: items(entry["nouns"]) for name, entry in load("families.json").items()}
# A genre's neighbouring words come from vectors and not all are nouns, so an authored noun is taken more often.
_NEIGHBOUR_SHARE = 0.3
_NUMBERS = (
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "twelve",
    "twenty",
    "thirty",
    "forty",
)
_HUNDREDS = (50, 75, 100, 101, 120, 150, 200, 250, 300, 365, 400, 500, 600, 750)
_CLASSICS = tuple(
    (author, items(titles), year, items(themes)) for author, titles, year, themes in load("classics.json")["novels"]
)
_LEADING_ARTICLE = re.compile(r"^(?:a|an|the) ", re.IGNORECASE)
_FICTION_FALLBACK = "literary"
# Median length of a novel's description in words, and its log standard deviation.
_WORDS, _WORDS_SD = 150.0, 0.42


class Writer:
    """The words of one book. What belongs to the book (people, subject, place) stays the same in all its sentences."""

    def __init__(self, dice: Dice, genre: Genre, kind: str, author: str, origin: str, year: int) -> None:
        self.dice = dice
        self.genre = genre
        self.kind = kind
        self.story = genre if genre.titles else GENRES[_FICTION_FALLBACK]
        self._nouns = _FAMILY_NOUNS[genre.family]
        pick = dice.pick
        classic_author, classic_titles, classic_year, themes = pick(_CLASSICS)
        hero_origin = origin if dice.chance(0.6) else people.origin(dice)
        self.classic_author = classic_author
        self.fixed: dict[str, str] = {
            "author": author,
            "lastname": author.rsplit(" ", 1)[-1],
            "year": str(year),
            "recentyear": str(year - dice.integer(1, 40)),
            "oldyear": str(1500 + dice.integer(0, 440)),
            "oldyear2": "1923",
            "oldyear3": str(dice.integer(1790, 1922)),
            "softyear": str(min(year, 2019)),
            "birthyear": str(year - dice.integer(28, 75)),
            "heroname": people.first_name(dice, hero_origin),
            "partner": people.first_name(dice, people.origin(dice)),
            "surname2": people.last_name(dice, hero_origin),
            "classicauthor": classic_author,
            "classictitle": pick(classic_titles),
            "classicyear": str(classic_year),
            "classictheme": pick(themes),
            "classictheme2": pick(themes),
            "leaf": genre.shelves["uk"][0][-1].lower(),
            "role": pick(self.story.roles),
            "setting": pick(self.story.settings),
        }
        self.fixed["settingshort"] = _LEADING_ARTICLE.sub("", self.fixed["setting"]).split(" of ")[0].split(" in ")[0]
        series = f"{pick(_SERIES_FIRST)} {pick(_SERIES_LAST)}"
        self.fixed["series"] = series if dice.chance(0.7) else f"{self.fixed['heroname']} {pick(_SERIES_LAST)}"
        for name in ("topic", "topic2", "topic3"):
            topic = self._topic()
            self.fixed[name] = topic if topic != self.fixed.get("topic") else self._topic()

    def _topic(self) -> str:
        """A subject of the genre; stories have none of their own, so theirs is what they are about."""
        genre, dice = self.genre, self.dice
        topic = dice.pick(genre.topics) if genre.topics else dice.pick(self.story.titles).lower()
        roll = dice.random()
        if roll < 0.9 or not genre.topics or _LEADING_ARTICLE.match(topic):
            return topic
        return f"{topic} and {self.word('noun')}" if roll < 0.96 else f"{dice.pick(_MODIFIERS)} {topic}"

    def word(self, name: str) -> str:
        """What a slot stands for this time."""
        fixed = self.fixed.get(name)
        if fixed is not None:
            return fixed
        speak = _FREE.get(name)
        if speak is not None:
            return speak(self)
        return expand(self.dice.pick(RULES[name.rstrip("23")]), self)

    def noun(self) -> str:
        """A noun of the family, or a neighbouring word of the genre."""
        dice = self.dice
        neighbours = self.genre.singulars
        return dice.pick(neighbours if neighbours and dice.chance(_NEIGHBOUR_SHARE) else self._nouns)

    def nouns(self) -> str:
        """A list of three to six themes."""
        pick = self.dice.pick
        source = self.genre.nouns or self._nouns
        words = list(dict.fromkeys(pick(source) for _ in range(self.dice.integer(3, 6))))
        return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]

    def quality(self) -> str:
        """An adjective, one of the genre's own now and then."""
        own = self.genre.qualities
        if own and self.dice.chance(0.25):
            return self.dice.pick(own)
        return expand(self.dice.pick(RULES["quality"]), self)

    def title(self) -> str:
        """The title, remembered for the sentences that name it."""
        rule = "title.novel" if self.kind == "largeprint" else f"title.{self.kind}"
        title = title_case(expand(self.dice.pick(RULES[rule]), self))
        if self.kind == "largeprint" and self.dice.chance(0.7):
            title += " (Large Print)"
        self.fixed["title"] = title
        self.fixed["titlelow"] = _LEADING_ARTICLE.sub("", title.split(":")[0].split(" (")[0]).lower()
        return title

    def subtitle(self) -> str:
        """A real subtitle."""
        return capital(expand(self.dice.pick(RULES["subtitle.general"]), self))

    def sentence(self, rule: str) -> str:
        """One sentence of a rule."""
        return capital(expand(self.dice.pick(RULES[rule]), self))

    def sentences(self, notes: list[str], length: float) -> list[str]:
        """Jacket copy as a list of sentences: a hook, then the kind's sentences in any order, `notes` among them."""
        dice, kind = self.dice, KINDS[self.kind]
        target = max(length * kind.words * _WORDS * math.exp(_WORDS_SD * dice.normal()), 12.0)
        used: set[int] = set()
        sentences = [self._fresh(dice.pick(kind.hook), used)]
        words = sentences[0].count(" ") + 1
        misses = 0
        while words < target and misses < 12:
            sentence = self._fresh(dice.pick(kind.body), used)
            if not sentence:
                misses += 1
                continue
            sentences.append(sentence)
            words += sentence.count(" ") + 1
        for note in notes:
            # Before or soon after the hook as often as at the end: real copy opens with "Over 300 illustrations" too.
            sentences.insert(dice.integer(0, min(len(sentences), 3)) if dice.chance(0.65) else len(sentences), note)
        return sentences

    def _fresh(self, rule: str, used: set[int]) -> str:
        template: Template = self.dice.pick(RULES[rule])
        if id(template) in used:
            return ""
        used.add(id(template))
        return capital(expand(template, self))


_SERIES_FIRST = tuple(template[0] for template in RULES["wordseries1"] if isinstance(template[0], str))
_SERIES_LAST = tuple(template[0] for template in RULES["wordseries2"] if isinstance(template[0], str))
_MODIFIERS = ("modern", "advanced", "everyday", "traditional", "applied", "Indian", "contemporary", "classic", "global")


def _trouble(writer: Writer) -> str:
    return writer.dice.pick(writer.story.troubles)


_FREE = {
    "noun": Writer.noun,
    "noun2": Writer.noun,
    "nouns": Writer.nouns,
    "quality": Writer.quality,
    "quality2": Writer.quality,
    "trouble": _trouble,
    "trouble2": _trouble,
    "role2": lambda writer: writer.dice.pick(writer.story.roles),
    "titleword": lambda writer: writer.dice.pick(writer.story.titles),
    "titleword2": lambda writer: writer.dice.pick(writer.story.titles),
    "number": lambda writer: writer.dice.pick(_NUMBERS),
    "number2": lambda writer: writer.dice.pick(_NUMBERS),
    "smallnumber": lambda writer: str(writer.dice.integer(1, 8)),
    "bigsmall": lambda writer: str(writer.dice.integer(6, 9)),
    "volnumber": lambda writer: str(1 + int(writer.dice.random() ** 2 * 60)),
    "bigvolumes": lambda writer: str(writer.dice.integer(6, 24)),
    "classnumber": lambda writer: str(writer.dice.integer(1, 12)),
    "age2": lambda writer: str(writer.dice.integer(5, 48)),
    "hundreds": lambda writer: str(writer.dice.pick(_HUNDREDS)),
    "thousands": lambda writer: f"{writer.dice.pick((2, 5, 10, 12, 20, 25, 40, 60, 100, 250))},000",
    "manypages": lambda writer: str(writer.dice.integer(6, 20) * 100),
    "surname": lambda writer: people.last_name(writer.dice, "english"),
    "pressname": lambda writer: people.full_name(writer.dice, people.origin(writer.dice)),
    "pressname2": lambda writer: people.full_name(writer.dice, people.origin(writer.dice)),
}

"""Names of people and publishers, all invented, of many origins."""

from __future__ import annotations

from .dice import Dice, Wheel
from .lexicon import load

_NAMES = {
    origin: (tuple(lists["first"].split()), tuple(lists["last"].split()))
    for origin, lists in load("names.json").items()
}
PUBLISHERS = {tier: tuple(names) for tier, names in load("publishers.json").items()}
_ORIGINS = Wheel(
    {
        "english": 62.0,
        "indian": 7.0,
        "chinese": 4.0,
        "japanese": 3.0,
        "spanish": 4.0,
        "african": 2.5,
        "arabic": 2.5,
        "german": 5.0,
        "french": 4.0,
        "slavic": 3.0,
        "italian": 2.0,
        "korean": 1.0,
    }
)


def origin(dice: Dice) -> str:
    """Where an author's name comes from."""
    return _ORIGINS.draw(dice)


def first_name(dice: Dice, origin: str) -> str:
    """A first name."""
    return dice.pick(_NAMES[origin][0])


def last_name(dice: Dice, origin: str) -> str:
    """A family name."""
    return dice.pick(_NAMES[origin][1]).replace("_", " ")


def full_name(dice: Dice, origin: str) -> str:
    """A name as a title page has it, now and then with an initial."""
    first = first_name(dice, origin)
    roll = dice.random()
    if roll < 0.08:
        first = f"{first[0]}. {dice.pick('ABCDEGHJKLMPRSTVW')}."
    elif roll < 0.2:
        first = f"{first} {dice.pick('ABCDEFGHJKLMNPRSTW')}."
    return f"{first} {last_name(dice, origin)}"

"""Sums of money in running text, however they are written. Knows words and signs; knows no books and no prices.

Wider than `training.price_mentions`, which looks for sums that a listing states: this looks for all that a reader could
take for a price, so that a guard can hold each of them against what is known. A number counts as one

- beside a currency's sign, code or word: `$12`, `12,50 EUR`, `USD 12`, `twelve dollars`, `50 cents`, `20 bucks`;
- after a word for a price: "worth 40", "the price is about twelve", "I'd pay 30";
- and else, as `bare`, unless its neighbours say what it counts: pages, books, years, per cent, `80 of 100`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from ..training.money import parse_number

_SIGN = r"(?:US|CA?|AU?|NZ|HK|S|R|NT|MX|CN)?\$|[€£₹¥₫₽₩₺฿₱₴₪₦৳￥＄]|CN¥"
_CODE = (
    r"(?:USD|EUR|GBP|INR|PLN|VND|AUD|CAD|NZD|SGD|HKD|JPY|CNY|RMB|CHF|SEK|NOK|DKK|CZK|HUF|ZAR|BRL|MXN|IDR|THB|KRW|RUB|"
    r"AED|Rs\.?|zł|zl|đ|đồng|dong|Kč|kr)"
)
_WORD = (
    r"(?:(?:US|American)\s+)?(?:dollars?|bucks?|quid|pounds?\s+sterling|pounds?|euros?|rupees?|cents?|pence|pennies|"
    r"penny|dimes?|nickels?|grand|dólares|dolares|euros|dolarów|dolary|dollari|rubles?|roubles?|yen|yuan|pesos?|reais|"
    r"złotych)"
)
_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: value for value, word in enumerate(_ONES)} | {w: 10 * (i + 2) for i, w in enumerate(_TENS)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_SPELT_WORD = "|".join(sorted({*_VALUES, *_SCALES}, key=len, reverse=True))
_DIGITS = r"\d(?:(?:[.,'’]|[ \u00a0\u2009\u202f](?=\d{3}(?!\d)))?\d)*"
_NUMBER = re.compile(
    rf"(?<![\w.])(?:(?P<digits>{_DIGITS})(?P<scale>\s?(?:k|thousand|million|m)\b)?"
    rf"|(?P<spelt>(?:a\s+)?(?:{_SPELT_WORD})(?:(?:[\s-]+|\s+and\s+)(?:{_SPELT_WORD}))*)\b)"
    rf"|(?<=[$€£₹¥₫₽₩₺฿₱₴₪₦৳a-zA-Z])(?P<tight>(?<!\w\w\w\w){_DIGITS})",
    re.IGNORECASE,
)
_BEFORE = re.compile(rf"(?:{_SIGN}|\b{_CODE})[\s(*_~`]*\Z", re.IGNORECASE)
_AFTER = re.compile(rf"[*_~`]*[\s-]{{0,2}}(?:{_SIGN}|(?:{_CODE}|{_WORD})(?!\w)|/-|¢)", re.IGNORECASE)
_SMALL = re.compile(r"[*_~`]*\s*(?:cents?|pence|pennies|penny|¢|p\b)", re.IGNORECASE)
# "worth about", "the price is", "would sell for some", "I say".
_PRICE_WORD = re.compile(
    r"\b(?:worth|prices?|priced|valued?|costs?|costing|sells?|sold|selling|goes|go|pay|paid|paying|ask|asking|offer|"
    r"charge|fetch(?:es)?|bring|estimate[ds]?|answer|say|guess|figure|sum|amount|total)\b"
    r"(?:[\s:=*_~`\"'“(-]|\b(?:is|was|be|would|should|could|at|for|of|it|about|around|roughly|approximately|some|only|"
    r"just|maybe|perhaps|you|me|exactly|now|probably|likely|closer|to|near|nearly|under|over|up|than|more|less|a|the|"
    r"i'd|say|up to|at least|at most|between|from)\b|~|≈){0,12}\Z",
    re.IGNORECASE,
)
# What a number counts, or is a share of; "80 of 100", "2. ", "1984".
_COUNTED = re.compile(
    r"[*_~`]*(?:\s?(?:%|percent\b|per\s+cent\b)|\s+(?:of|in|out\s+of)\s+\d|\s+times\b|\s?[×x]\b|st\b|nd\b|rd\b|th\b|"
    r"[\s-]*(?:pages?|pp|books?|copies|copy|methods?|comparables?|baselines?|editions?|stars?|ratings?|reviews?|years?|"
    r"volumes?|vols?|tools?|titles?|ways?|reasons?|steps?|words?|results?|prices|estimates?|listings?|sentences?|"
    r"neighbou?rs|questions?|others?|more\s+(?:books|comparables)|most|similar|nearest|such)\b)",
    re.IGNORECASE,
)
_SHARE_OF = re.compile(r"\d\s+(?:of|in|out\s+of)\s+\Z", re.IGNORECASE)
_LIST_MARK = re.compile(r"(?:^|\n)[ \t#>*-]*\Z")
_YEAR = re.compile(r"(?:1[4-9]\d\d|20[0-4]\d)")
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e0fff]"
)


# How a guard's correction begins, which is no word of the user.
CORRECTION_MARK = "[price check]"


@dataclass(frozen=True)
class Amount:
    """A sum, and where it stands in the text that `readable` gives; `bare` where nothing near says that it is money."""

    value: float
    start: int
    end: int
    bare: bool = False


def readable(text: str) -> str:
    """The text as a reader sees it: digits of every script and width as 0–9, without characters that show nothing."""
    shown = _HIDDEN.sub("", unicodedata.normalize("NFKC", text))
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() and not c.isascii() else c for c in shown)


def find_amounts(text: str) -> list[Amount]:
    """All sums in `text`, which should be `readable`, in their order.

    Example:
        >>> [(a.value, a.bare) for a in find_amounts("A 300-page book of 1998 for $12.50; twelve dollars, or 40")]
        [(12.5, False), (12.0, False), (40.0, True)]
    """
    return list(_amounts(text))


def _amounts(text: str) -> Iterator[Amount]:
    for match in _NUMBER.finditer(text):
        start, end = match.span()
        value = _value(match)
        if value is None:
            continue
        window = text[max(0, start - 60) : start]
        after = _AFTER.match(text, end)
        if _SMALL.match(text, end) and after:
            yield Amount(value / 100, start, end)
        elif after or _BEFORE.search(window):
            yield Amount(value, start, end)
        elif _is_counted(text, match, window):
            continue
        elif _PRICE_WORD.search(window):
            yield Amount(value, start, end, bare=bool(_YEAR.fullmatch(match.group())))
        elif not match["spelt"]:
            yield Amount(value, start, end, bare=True)


def _is_counted(text: str, match: re.Match[str], window: str) -> bool:
    end = match.end()
    if _COUNTED.match(text, end) or _SHARE_OF.search(window):
        return True
    if re.match(r"[.)]\s", text[end:]) and _LIST_MARK.search(window):
        return True
    digits = match["digits"] or ""
    if _YEAR.fullmatch(digits) and not _PRICE_WORD.search(window):
        return True
    return len(re.sub(r"\D", "", digits)) >= 9  # an ISBN


def _value(match: re.Match[str]) -> float | None:
    if match["spelt"]:
        return _spelt(match["spelt"])
    try:
        value = parse_number(match["digits"] or match["tight"])
    except ValueError:
        return None
    scale = (match["scale"] or "").strip().lower()
    return value * {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6}.get(scale, 1)


def _spelt(text: str) -> float:
    """The value of an English number in words: "twenty-five", "a hundred and ten"."""
    total, current = 0, 0
    for word in re.findall(r"[a-z]+", text.lower()):
        if word in _VALUES:
            current += _VALUES[word]
        elif word == "hundred":
            current = max(current, 1) * 100
        elif word in _SCALES:
            total += max(current, 1) * _SCALES[word]
            current = 0
    return float(total + current)

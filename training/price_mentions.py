"""Prices that a text mentions: `$12.99`, `Rs. 300`, `list price 20 dollars`. Knows words and signs; knows no books.

What counts as one is decided without the record's own price, so that training and inference leave out the same:

- a number beside a currency's sign, code or word (`$12.99`, `EUR 12,99`, `49,90 zł`, `20 dollars`, `300/-`);
- a number after a word for a price (`list price: 20`, `MRP 300`, `cena 49,90`), unless it is a year after a bare
  "price" or "cost" ("Prices 1950");
- a number with cents after `only`, `just`, `now`, `was`, `for` ("now 12.99").

Kept are pages, years, ages, percentages, sums of thousands and millions ("a $5 million empire"), and in a title a whole
sum that is part of a name: between a word that leads up to it and one that follows ("The $100 Startup", "Europe on 5
Dollars a Day"). Pounds in words are a weight more often than a price.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"\d(?:[.,'’]?\d|[ \u00a0\u2009\u202f](?=\d{3}(?!\d)))*")
_SIGN = r"(?:\b(?:US|CA?|AU?|NZ|HK|S|R|NT|MX))?\$|[€£₹¥₫₽₩₺฿₱₴₪₦৳￥＄]"
# Without those that are words or names beside a number: "PHP 8", "try 3", "CAD 2021".
_CODES = "USD|EUR|GBP|INR|PLN|VND|AUD|NZD|SGD|HKD|JPY|CNY|RMB|CHF|SEK|NOK|DKK|CZK|HUF|ZAR|BRL|MXN|IDR|THB|KRW|RUB|AED"
_PRICE_WORD = (
    r"(?:price[sd]?|mrp|m\.r\.p\.?|rrp|r\.r\.p\.?|msrp|costs?|cena|ceny|kosztuje|preis|kostet|uvp|prix|precio|"
    r"prezzo|preço|giá(?:\s+(?:bìa|bán))?)"
)
_BEFORE = re.compile(
    rf"(?P<sign>(?:{_SIGN}|\b(?:{_CODES}|Rs|Rp|zł))[\s.:\[({{\"']*)\Z"
    rf"|\b(?P<word>{_PRICE_WORD})(?P<link>(?:[^\S\n]*[]:=(~\[{{\"'-]|[^\S\n]+(?:of|is|was|at|only|just|from))*)[^\S\n]*\Z"
    r"|\b(?P<only>only|just|now|was|for)[^\S\n]*\Z",
    re.IGNORECASE,
)
_AFTER = re.compile(
    rf"[^\S\n]*(?:{_SIGN}|/-|[- ]?(?:{_CODES}|CAD|Rs|zł|zl|złotych|đ|đồng|dong|vnđ|Kč|kr|TL|lei|"
    r"dollars?|bucks|rupees?|euros?|cents|yen|yuan|roubles?|rubles?|pesos?|reais)(?!\w))",
    re.IGNORECASE,
)
_SIGN_CHARACTERS = frozenset("$€£₹¥₫₽₩₺฿₱₴₪₦৳￥＄")
_MONEY_SIGN = re.compile("[$€£₹¥₫₽₩₺฿₱₴₪₦৳￥＄]")
# The last words, or what follows their last point, of all that `_BEFORE` finds.
_LAST_WORDS = frozenset(
    (
        *("price", "prices", "priced", "p", "mrp", "rrp", "msrp", "cost", "costs", "cena", "ceny", "kosztuje", "preis"),
        *("kostet", "uvp", "prix", "precio", "prezzo", "preço", "giá", "bìa", "bán", "of", "is", "was", "at"),
        *("only", "just", "from", "now", "for", "rs", "rp", "zł"),
        *_CODES.lower().split("|"),
    )
)
_NO_PRICE_AFTER = re.compile(
    r"[ -]?(?:million|billion|trillion|thousand|mn|bn|crore|lakh|k|m|b)(?!\w)"
    r"|\s*%|[ -]*(?:pages?|pp|pgs?|years?|yrs?|vols?|volumes?|stars?|ratings?)(?!\w)",
    re.IGNORECASE,
)
_RANGE_END = re.compile(rf"\s*(?:-|–|—|to)\s*(?:{_SIGN})?\s*{_NUMBER.pattern}", re.IGNORECASE)
_CENTS = re.compile(r"[.,]\d\d$")
_YEAR = re.compile(r"(?:1[4-9]|20)\d\d$")
# Around a sum that is part of a title's name.
_LEADS_UP = re.compile(
    r"(?:^|\b(?:a|an|the|my|your|his|her|our|their|this|that|every|per|on|with|under|of|to|from|make|made|first|last)"
    r"\s+)$",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"[- ]+(?!(?:only|off|each|new|used|now|list|mrp|rrp|retail|free|price|paperback|hardcover|usd)\b)[a-z]",
    re.IGNORECASE,
)
# So far before a number its sign or word is looked for.
_WINDOW = 32
_PRICE_NAME = re.compile(
    rf"\b(?:{_PRICE_WORD}|list\s*price|sale\s*price|amount|discount|shipping\s+cost)\b", re.IGNORECASE
)


def without_prices(text: str, *, title: bool = False) -> tuple[str, int]:
    """The text without the prices it mentions, and how many they were.

    Args:
        text: plain text, without HTML.
        title: whether it is a title, in which a whole sum may be part of a name.

    Example:
        >>> without_prices("320 pages, list price $24.99, now only 12.99")
        ('320 pages, list price , now only ', 2)
        >>> without_prices("The $100 Startup", title=True)
        ('The $100 Startup', 0)
    """
    total = 0
    # What is left and right of a price may make another one of it: until none is found.
    while True:
        text, mentions = _pass(text, title)
        if not mentions:
            return text, total
        total += mentions


def has_money_sign(text: str) -> bool:
    """Whether a currency's sign is left, which may stand before a number once what is between them is gone."""
    return _MONEY_SIGN.search(text) is not None


def is_price_name(name: str) -> bool:
    """Whether a name in a record's details is that of a price: `List Price`, `MRP`, `Cena`."""
    return _PRICE_NAME.search(name) is not None


def _pass(text: str, title: bool) -> tuple[str, int]:
    parts: list[str] = []
    done = mentions = 0
    for number in _NUMBER.finditer(text):
        start, end = number.span()
        if start < done:
            continue
        window = text[max(done, start - _WINDOW) : start]
        before = _BEFORE.search(window) if _may_end_in_price(window) else None
        after = _AFTER.match(text, end)
        if not (before or after) or not _is_price(text, number, before, after, title):
            continue
        if before and before["sign"]:
            start -= len(before["sign"])
        end = after.end() if after else end
        if further := _RANGE_END.match(text, end):
            end = further.end()
            end = after.end() if (after := _AFTER.match(text, end)) else end
        parts.append(text[done:start])
        done = end
        mentions += 1
    return ("".join((*parts, text[done:])), mentions) if mentions else (text, 0)


def _may_end_in_price(window: str) -> bool:
    """Whether a text's last sign or word could be a part of `_BEFORE`, which takes longer to find."""
    window = window.rstrip(" \t\n\r\xa0:.=~-([{]\"'")
    if not window[-1:].isalpha():
        return window[-1:] in _SIGN_CHARACTERS
    start = len(window)
    while start and window[start - 1].isalpha():
        start -= 1
    return window[start:].lower() in _LAST_WORDS


def _is_price(
    text: str, number: re.Match[str], before: re.Match[str] | None, after: re.Match[str] | None, title: bool
) -> bool:
    """Whether a number with something of a price before or after it is one."""
    start, end = number.span()
    if _NO_PRICE_AFTER.match(text, end) and not (after and after[0].strip()):
        return False
    money = bool(after or (before and before["sign"]))
    if money and title and not _CENTS.search(number[0]):
        opening = text[: start - len(before["sign"])] if before and before["sign"] else text[:start]
        if _LEADS_UP.search(opening[-_WINDOW:]) and _NAMED.match(text, after.end() if after else end):
            return False
    if money:
        return True
    if before and before["word"]:
        bare = not before["link"].strip() and before["word"].lower() in ("price", "prices", "priced", "cost", "costs")
        return not (bare and _YEAR.match(number[0]))
    return bool(before and before["only"] and _CENTS.search(number[0]))

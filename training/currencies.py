"""Which currency a price cell or a column names by sign, code or word. Knows no rates."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .errors import InputError
from .money import parse_price

_DOLLARS = ("USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "TWD", "ARS", "CLP", "COP")
# Sign or word -> the currencies that it may stand for, the likeliest first.
_SIGNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"US\$|U\$S", ("USD",)), (r"CA?\$", ("CAD",)), (r"AU?\$", ("AUD",)), (r"NZ\$", ("NZD",)), (r"HK\$", ("HKD",)),
    (r"S\$", ("SGD",)), (r"NT\$", ("TWD",)), (r"MX\$", ("MXN",)), (r"R\$", ("BRL",)), (r"[$＄]|dollars?\b", _DOLLARS),
    ("€|euros?\\b", ("EUR",)), ("£", ("GBP", "EGP")), (r"₹|\brupees?\b|/-", ("INR", "PKR", "LKR", "NPR")),
    (r"\bRs\b", ("INR", "PKR", "LKR", "NPR", "MUR")), ("[¥￥]", ("JPY", "CNY")), (r"₫|đ|\bvnđ|\bdong\b", ("VND",)),
    (r"zł|\bzl\b|\bzlot", ("PLN",)), (r"Kč|\bKc\b", ("CZK",)), (r"\bFt\b", ("HUF",)),
    (r"\bkr\b", ("SEK", "NOK", "DKK", "ISK")),
    ("₽|руб", ("RUB",)), ("₩", ("KRW",)), (r"₺|\bTL\b", ("TRY",)), ("฿", ("THB",)), ("₱", ("PHP",)), ("₴", ("UAH",)),
    ("₪", ("ILS",)), ("₦", ("NGN",)), ("৳", ("BDT",)), (r"\bRp\b", ("IDR",)),
)  # fmt: skip
_CODES = re.findall(
    r"\w+",
    "USD EUR GBP INR PLN VND CAD AUD NZD SGD HKD JPY CNY CHF SEK NOK DKK ISK CZK HUF RON BGN RUB UAH TRY ZAR BRL MXN "
    "ARS CLP COP IDR THB KRW PHP TWD MYR NPR PKR LKR BDT ILS AED SAR EGP NGN KES MUR",
)
_PATTERNS = (
    *((re.compile(rf"(?<![a-z]){code}(?![a-z])", re.IGNORECASE), (code,)) for code in _CODES),
    *((re.compile(sign, re.IGNORECASE), codes) for sign, codes in _SIGNS),
)
# Without cents: a point before three digits separates thousands, whether the cell names the currency or not.
_WITHOUT_CENTS = {"VND", "IDR", "CLP", "COP"}
_PLAIN = re.compile(r"[\s\d.,'’-]*")


class OtherCurrencyError(InputError):
    """A price whose sign is another currency's."""


def currencies_in(text: str) -> tuple[str, ...]:
    """The currencies that a text may name, the likeliest first; none where it names none.

    Example:
        >>> currencies_in("49,90 zł"), currencies_in("12.99"), currencies_in("US$ 5")
        (('PLN',), (), ('USD',))
    """
    if _PLAIN.fullmatch(text):
        return ()
    return next((codes for pattern, codes in _PATTERNS if pattern.search(text)), ())


def guess_currency(column: str, cells: Iterable[Any]) -> str | None:
    """The currency that a price column's name says, else the one that most of its cells do, or None."""
    if named := currencies_in(column):
        return named[0]
    votes = Counter(codes[0] for cell in cells if isinstance(cell, str) and (codes := currencies_in(cell)))
    return votes.most_common(1)[0][0] if votes else None


def read_price(cell: Any, currency: str) -> float:
    """A price cell as a number in `currency`.

    Raises:
        PriceError: no price.
        OtherCurrencyError: its sign is another currency's.
    """
    if isinstance(cell, str) and (codes := currencies_in(cell)) and currency not in codes:
        raise OtherCurrencyError(f"a price in another currency: {cell[:40]!r}")
    if isinstance(cell, str) and currency in _WITHOUT_CENTS and any(character.isdigit() for character in cell):
        cell = f"{currency} {cell}"
    return parse_price(cell)


def check_currency(code: str) -> str:
    """An ISO code in capitals.

    Raises:
        InputError: not three letters.
    """
    if not re.fullmatch(r"[A-Za-z]{3}", code):
        raise InputError(f"{code!r} is no currency; give its ISO code, such as USD, PLN or VND")
    return code.upper()

"""Prices as people write them, read and written: `$1,299.00`, `Rs. 300`, `12,99 €`, `—`. Knows nothing about books."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from numbers import Real
from typing import Any

from .errors import InputError

# A blank belongs to a number only before three digits: "1 299,00", but not "12.99 15.99".
_NUMBER = re.compile(r"\d(?:(?:[.,'’]|[ \u00a0\u2009\u202f](?=\d{3}(?!\d)))?\d)*")
_RANGE = re.compile(r"\d\s*(?:-|–|—|~|to|bis|à)\s*\D{0,4}\d", re.IGNORECASE)
_NEGATIVE = re.compile(r"\D{0,4}[-−–—]\s*\D{0,4}\d|\([^()]*\)$")
# Where these are paid, a point before exactly three digits separates thousands.
_POINT_FOR_THOUSANDS = re.compile(r"[€₫đ₺]|R\$|\b(?:EUR|VND|IDR|Rp|BRL|TRY|DKK|COP|CLP)(?![a-z])", re.IGNORECASE)
_EXPONENT = re.compile(r"\d+(?:\.\d+)?e[+-]?\d+", re.IGNORECASE)
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "CNY": "CN¥", "CAD": "CA$", "AUD": "A$"}
_ABSENT = {"", "-", "–", "—", "none", "null", "nan", "n/a", "na", "free", "unknown"}


class PriceError(InputError):
    """A price that cannot be read; `reason` is a short phrase to count rejected records by."""

    def __init__(self, reason: str, value: object) -> None:
        super().__init__(f"{reason}: {str(value)[:40]!r}")
        self.reason = reason


def parse_number(text: str) -> float:
    """The number in `text`, its separators read as people mean them.

    The last of `.` and `,` is the decimal sign when both occur; a lone comma is one unless exactly three digits
    follow it, a lone point too beside a currency of those who write `1.299 €`; a sign that occurs twice separates
    thousands, as do blanks and apostrophes.

    Raises:
        ValueError: `text` holds no number.
    """
    match = _NUMBER.search(text)
    if match is None:
        raise ValueError(f"no number in {text[:40]!r}")
    number = re.sub(r"['’\s]", "", match.group())
    dot, comma = number.rfind("."), number.rfind(",")
    last = max(dot, comma)
    three_follow = len(number) - last == 4 and number[0] != "0"
    if dot >= 0 and comma >= 0:
        number = number.replace(number[min(dot, comma)], "")
    elif last >= 0 and three_follow and (comma >= 0 or number.count(".") > 1 or _POINT_FOR_THOUSANDS.search(text)):
        number = number.replace(number[last], "")
    # Two decimal signs are left where the number is malformed: then float() refuses it.
    return float(number.replace(",", "."))


def parse_price(value: Any) -> float:
    """A catalogue's price cell as a positive number in the catalogue's own currency.

    Raises:
        PriceError: no price, a range of prices, a price that is not positive, or text without a number.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise PriceError("no price", value)
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in _ABSENT:
            raise PriceError("no price", value)
        if _RANGE.search(text):
            raise PriceError("a range of prices", value)
        if _NEGATIVE.match(text):
            raise PriceError("not a positive price", value)
        try:
            price = float(text) if _EXPONENT.fullmatch(text) else parse_number(text)
        except ValueError:
            raise PriceError("no number in the price", value) from None
    elif isinstance(value, bool) or not isinstance(value, (Real, Decimal)):
        raise PriceError("no number in the price", value)
    else:
        try:
            price = float(value)
        except (OverflowError, ValueError):
            raise PriceError("not a positive price", value) from None
    if not math.isfinite(price) or price <= 0:
        raise PriceError("not a positive price", value)
    return price


def currency_sign(currency: str) -> str | None:
    """The sign before an amount of a currency, where it has one of its own: `$` for `USD`."""
    return _SYMBOLS.get(currency)


def format_money(amount: float, currency: str, *, cents: bool = True) -> str:
    """An amount as people write it; without `cents` for amounts that are rough anyway.

    Example:
        >>> format_money(17.2, "USD"), format_money(17.2, "USD", cents=False), format_money(37200, "VND")
        ('$17.20', '$17', '37,200 VND')
    """
    small = 0 < abs(amount) < (1000 if cents else 10)
    number = f"{abs(amount):,.{2 if small else 0}f}"
    sign = "-" if amount < 0 else ""
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{number} {currency}"


def format_range(low: float, high: float, currency: str, between: str = " – ") -> str:
    """Two rough amounts, the currency named once where it stands behind.

    Example:
        >>> format_range(12.4, 31, "USD"), format_range(12400, 31000, "VND", " and ")
        ('$12 – $31', '12,400 and 31,000 VND')
    """
    first, second = (format_money(amount, currency, cents=False) for amount in (low, high))
    return f"{first.removesuffix(f' {currency}')}{between}{second}"

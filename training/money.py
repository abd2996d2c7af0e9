"""Prices as people write them: `$1,299.00`, `Rs. 300`, `12,99 €`, `10 - 20`, `—`. Knows nothing about books."""

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

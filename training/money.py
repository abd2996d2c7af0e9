"""Prices as people write them: `$1,299.00`, `Rs. 300`, `12,99 €`, `10 - 20`, `—`. Knows nothing about books."""

from __future__ import annotations

import math
import re
from typing import Any

from .errors import InputError

_NUMBER = re.compile(r"\d(?:[\d.,'’\u00a0\u202f ]*\d)?")
_RANGE = re.compile(r"\d\s*(?:-|–|—|to|bis|à)\s*\D{0,4}\d", re.IGNORECASE)
_ABSENT = {"", "-", "–", "—", "none", "null", "nan", "n/a", "na", "free", "unknown"}


class PriceError(InputError):
    """A price that cannot be read; `reason` is a short phrase to count rejected records by."""

    def __init__(self, reason: str, value: object) -> None:
        super().__init__(f"{reason}: {str(value)[:40]!r}")
        self.reason = reason


def parse_number(text: str) -> float:
    """The number in `text`, its separators read as people mean them.

    The last of `.` and `,` is the decimal sign when both occur; a lone comma is one unless exactly three digits
    follow it; a sign that occurs twice separates thousands, as do blanks and apostrophes.

    Raises:
        ValueError: `text` holds no number.
    """
    match = _NUMBER.search(text)
    if match is None:
        raise ValueError(f"no number in {text[:40]!r}")
    number = re.sub(r"['’\s]", "", match.group())
    dot, comma = number.rfind("."), number.rfind(",")
    if dot >= 0 and comma >= 0:
        thousands = "," if dot > comma else "."
    elif comma >= 0 and (number.count(",") > 1 or len(number) - comma == 4):
        thousands = ","
    elif number.count(".") > 1:
        thousands = "."
    else:
        thousands = ""
    if thousands:
        number = number.replace(thousands, "")
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
        if text.startswith("-"):
            raise PriceError("not a positive price", value)
        try:
            price = parse_number(text)
        except ValueError:
            raise PriceError("no number in the price", value) from None
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise PriceError("no number in the price", value)
    else:
        price = float(value)
    if not math.isfinite(price) or price <= 0:
        raise PriceError("not a positive price", value)
    return price

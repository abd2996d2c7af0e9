"""How amounts of money and strangers' words are put on a page. Knows Streamlit's Markdown; draws nothing.

Streamlit reads labels, captions and messages as Markdown, in which `$` starts a formula: whatever is not ours goes
through `plain` first, or into `st.text`, `st.code` or `st.dataframe`, which show it as it is.
"""

from __future__ import annotations

import re

_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "CNY": "CN¥", "CAD": "CA$", "AUD": "A$"}
_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")
# Emoji codes, icons and bare addresses are recognised in escaped text too, unless something invisible parts them.
_SHORTHAND = re.compile(r"(:|@|\bwww)", re.IGNORECASE)
_WORD_JOINER = "\u2060"


def plain(text: str) -> str:
    """Markdown that shows `text` as it is, on one line.

    Example:
        >>> print(plain("$5 *now*"))
        \\$5 \\*now\\*
    """
    parted = _SHORTHAND.sub(rf"\1{_WORD_JOINER}", " ".join(text.split()))
    return _MARKUP.sub(r"\\\1", parted)


def sentence(error: Exception) -> str:
    """An error's message as Markdown for `st.error`: a sentence, with nothing in it read as markup."""
    text = str(error).strip() or type(error).__name__
    return plain(text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else "."))


def money(amount: float, currency: str, *, cents: bool = True) -> str:
    """An amount as people write it; without `cents` for amounts that are rough anyway.

    Example:
        >>> money(17.2, "USD"), money(17.2, "USD", cents=False), money(37200, "VND")
        ('$17.20', '$17', '37,200 VND')
    """
    small = 0 < abs(amount) < (1000 if cents else 10)
    number = f"{abs(amount):,.{2 if small else 0}f}"
    sign = "-" if amount < 0 else ""
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{number} {currency}"


def money_range(low: float, high: float, currency: str, between: str = " – ") -> str:
    """Two rough amounts, the currency named once where it stands behind.

    Example:
        >>> money_range(12.4, 31, "USD"), money_range(12400, 31000, "VND", " and ")
        ('$12 – $31', '12,400 and 31,000 VND')
    """
    first, second = (money(amount, currency, cents=False) for amount in (low, high))
    return f"{first.removesuffix(f' {currency}')}{between}{second}"


def axis_labels(currency: str) -> str:
    """The amounts along a chart's axis, as a Vega expression; without the currency where it has no sign of its own."""
    symbol = _SYMBOLS.get(currency)
    return f"'{symbol}' + format(datum.value, ',')" if symbol else "format(datum.value, ',')"


def axis_title(currency: str) -> str | None:
    """What the labels of such an axis leave to say."""
    return None if currency in _SYMBOLS else currency

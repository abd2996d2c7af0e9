"""How amounts of money and strangers' words are put on a page. Knows Streamlit's Markdown; draws nothing.

Streamlit reads labels, captions and messages as Markdown, in which `$` starts a formula: whatever is not ours goes
through `plain` first, or into `st.text`, `st.code` or `st.dataframe`, which show it as it is.
"""

from __future__ import annotations

import re

from ...training.estimate import Flag
from ...training.money import currency_sign
from ...training.money import format_money as money
from ...training.money import format_range as money_range

__all__ = ["FLAG_LABELS", "axis_labels", "axis_title", "money", "money_range", "plain", "sentence"]

FLAG_LABELS: dict[Flag, str] = {
    "disagreement": "Methods disagree",
    "wide_interval": "Wide interval",
    "out_of_range": "Beyond the model's range",
    "little_text": "Little text",
    "currency_mismatch": "Other currency",
}
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


def axis_labels(currency: str) -> str:
    """The amounts along a chart's axis, as a Vega expression; without the currency where it has no sign of its own."""
    symbol = currency_sign(currency)
    return f"'{symbol}' + format(datum.value, ',')" if symbol else "format(datum.value, ',')"


def axis_title(currency: str) -> str | None:
    """What the labels of such an axis leave to say."""
    return None if currency_sign(currency) else currency

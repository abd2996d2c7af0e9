"""What the embedded base model reads: the synthetic catalogue as running text, priced listings among it."""

from __future__ import annotations

import random

from ..book import Book
from ..cleaning import book_content

# How shops put a price beside a book. None is the standardized prompt: answering that is the adapter's skill.
_PRICE_LINES = (
    "Price: ${price}",
    "List price: ${price}",
    "Our price: ${price}",
    "Asking ${price}",
    "Sold for ${price}",
    "${price}",
)


def listing_document(book: Book, units: float, rng: random.Random) -> str:
    """A priced book as a shop shows it: in most cases its text and price, else a row of a price list, or no price."""
    lines = book_content(book).split("\n")
    price = rng.choice(_PRICE_LINES).format(price=round(units))
    words = "\n".join(lines).split(" ")
    content = " ".join(words[: rng.randint(20, 110)])
    kind = rng.random()
    if kind < 0.2:
        return f"{', '.join(line[:120] for line in lines[: rng.randint(2, 5)])}, ${round(units)}"
    if kind < 0.27:
        return f"{price}\n{content}"
    if kind < 0.33:
        return content
    return f"{content}\n\n{price}"

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


def listing_documents(book: Book, units: float, rng: random.Random) -> list[str]:
    """One or two documents of a priced book: its content and price as a shop shows them, and a price-list row."""
    lines = book_content(book).split("\n")
    price = rng.choice(_PRICE_LINES).format(price=round(units))
    words = "\n".join(lines).split(" ")
    content = " ".join(words[: rng.randint(30, 120)])
    kind = rng.random()
    if kind < 0.15:
        documents = [f"{price}\n{content}"]
    elif kind < 0.3:
        documents = [" ".join(words[:160])]
    else:
        documents = [f"{content}\n\n{price}"]
    if rng.random() < 0.6:
        documents.append(f"{', '.join(line[:120] for line in lines[: rng.randint(2, 5)])}, ${round(units)}")
    return documents

"""The errors that a user can do something about: one sentence that says what is wrong and what to do."""

from __future__ import annotations


class BookPricerError(Exception):
    """Anything that Book Pricer refuses or cannot do, said in one sentence."""


class InputError(BookPricerError, ValueError):
    """The caller's input (a file, a record, an option, a model's name) cannot be used as it is."""

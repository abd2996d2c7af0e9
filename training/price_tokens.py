"""The 1,000 prices as token sequences of any tokenizer, in a trie. Knows nothing about models.

With a Llama 3 tokenizer every price is one token and the trie is one step deep; a tokenizer that writes numbers digit
by digit gives one of depth three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .distribution import PRICES
from .errors import InputError
from .prompt import TAIL

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class PriceTrie:
    """Token sequences of the prices 0–999 after the prompt, and the token that ends an answer.

    `sequences[k]` are the tokens of price k. `prefixes` are the proper prefixes of other prices' sequences, parents
    before children, without the empty one: the places where a model has to be asked again.
    """

    sequences: tuple[tuple[int, ...], ...]
    prefixes: tuple[tuple[int, ...], ...]
    stop: int

    @classmethod
    def from_tokenizer(cls, tokenizer: PreTrainedTokenizerBase) -> PriceTrie:
        """Read the sequences off the tokenizer: what it adds after the end of the standardized prompt.

        Raises:
            InputError: a tokenizer that merges the price with the prompt, writes two prices alike, or has no end token.
        """
        stop = tokenizer.eos_token_id
        if not isinstance(stop, int):
            raise InputError("this model's tokenizer has no end-of-sequence token, which ends the price")
        start: list[int] = tokenizer(TAIL, add_special_tokens=False)["input_ids"]
        encoded: list[list[int]] = tokenizer([f"{TAIL}{price}" for price in range(PRICES)], add_special_tokens=False)[
            "input_ids"
        ]
        if any(ids[: len(start)] != start for ids in encoded):
            raise InputError("this model's tokenizer joins the price with the '$' before it and cannot be scored")
        sequences = tuple(tuple(ids[len(start) :]) for ids in encoded)
        if len(set(sequences)) < PRICES or not all(sequences):
            raise InputError("this model's tokenizer writes two prices alike and cannot be scored")
        prefixes = {sequence[:depth] for sequence in sequences for depth in range(1, len(sequence))}
        return cls(sequences, tuple(sorted(prefixes, key=lambda prefix: (len(prefix), prefix))), stop)

    @property
    def single_token(self) -> bool:
        """Whether one forward pass reads all prices."""
        return not self.prefixes

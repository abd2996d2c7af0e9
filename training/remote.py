"""Price distributions of a model behind an OpenAI-compatible server, from the log-probabilities that it returns.

Knows the price trie and servers; knows nothing about books or LangChain.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .distribution import PRICES, PriceDistribution
from .errors import InputError
from .price_tokens import PriceTrie
from .server import LADDER, NextTokens, Server, ServerError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Digit by digit: beginnings less likely than this are not asked after; a kernel fills them in.
_LEAST = 1e-3
# Tokens to ask for at first: the prices and some that are none. More where those leave out more than this.
_TOP, _LITTLE = 1_100, 5e-4
# How far, in the logarithm of the price, the named prices speak for those between them.
_NEAR = 0.2
_CHAT = "Answer with the price in whole dollars: digits only, no other sign and no word."
_PRICE = re.compile(r"\d{1,3}")

Prefix = tuple[int, ...]


@dataclass
class RemoteScorer:
    """Reads P(price) for the prices 0–999 after each prompt from a server, by the rule of `PriceScorer`.

    A server names only its likeliest tokens. What they leave of the probability is spread over the prices that were not
    named, most of it near likely ones, and its share is the distribution's `untold`.

    A model that writes prices in several tokens is asked once more for each likely beginning. A server that knows only
    chats is asked for the first token of its answer.

    Args:
        server: where the model runs.
        tokenizer: the model's own.
        concurrency: prompts in flight.
    """

    server: Server
    tokenizer: PreTrainedTokenizerBase
    concurrency: int = 16
    trie: PriceTrie = field(init=False)

    def __post_init__(self) -> None:
        self.trie = PriceTrie.from_tokenizer(self.tokenizer)
        self._children: dict[Prefix, list[int]] = defaultdict(list)
        self._under: dict[Prefix, list[int]] = defaultdict(list)
        for price, sequence in enumerate(self.trie.sequences):
            for depth in range(len(sequence) + 1):
                self._under[sequence[:depth]].append(price)
        for prefix in self._under:
            if prefix:
                self._children[prefix[:-1]].append(prefix[-1])
        # For servers that tell texts instead of ids.
        tokens = {token for sequence in self.trie.sequences for token in sequence}
        self._texts = {token: self.tokenizer.decode([token]) for token in tokens}
        self._end_text = self.tokenizer.decode([self.trie.stop])

    def price_distributions(
        self, prompts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> list[PriceDistribution]:
        """The distribution of each prompt's price, in the order of the prompts.

        Args:
            prompts: texts that end where the price begins.
            progress: called with the number of prompts done since the last call.

        Raises:
            ServerError: the server is away, busy for too long, or gives no log-probabilities.
            InputError: the server's model cannot be read this way.
        """
        if not prompts:
            return []
        ids: list[list[int]] = self.tokenizer(list(prompts))["input_ids"]
        results = []
        with ThreadPoolExecutor(self.concurrency) as pool:
            try:
                for result in pool.map(self._distribution, prompts, ids):
                    results.append(result)
                    if progress:
                        progress(1)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return results

    def _distribution(self, prompt: str, ids: list[int]) -> PriceDistribution:
        start = self._following(ids)
        if start is None:
            return _from_chat(self.server.chat(_CHAT, prompt))
        prices = np.zeros(PRICES)
        rests: list[tuple[float, list[int]]] = []
        untold = 0.0
        reached: dict[Prefix, float] = {(): 1.0}
        for prefix in ((), *self.trie.prefixes):
            mass = reached.get(prefix, 0.0)
            if prefix and mass < _LEAST:
                rests.append((mass, self._under[prefix]))
                continue
            following = self._following([*ids, *prefix]) if prefix else start
            assert following is not None
            unnamed: list[int] = []
            for token in self._children[prefix]:
                child = (*prefix, token)
                probability = self._probability(following, token)
                if probability is None:
                    unnamed += self._under[child]
                elif len(self._under[child]) > 1:
                    reached[child] = mass * probability
                else:
                    prices[self._under[child][0]] = mass * probability
            if prefix and len(self.trie.sequences[self._under[prefix][0]]) == len(prefix):
                end = self._end(following)
                if end is None:
                    unnamed.append(self._under[prefix][0])
                else:
                    prices[self._under[prefix][0]] = mass * end
            if unnamed:
                rest = mass * (1 - following.told)
                rests.append((rest, unnamed))
                untold += rest
        return _filled(prices, rests, untold)

    def _following(self, ids: list[int]) -> NextTokens | None:
        """The likeliest next tokens: as many as it takes to leave little out, where the server gives so many."""
        for top in [number for number in reversed(LADDER) if number >= _TOP]:
            following = self.server.complete(ids, top)
            if following is None or 1 - following.told < _LITTLE or following.count < top:
                break
        return following

    def _probability(self, tokens: NextTokens, token: int) -> float | None:
        """A price token's probability, or None where the server does not name it.

        Raises:
            InputError: the server's token of this id has another text: another tokenizer.
        """
        text = self._texts[token]
        if tokens.texts.get(token, text) != text:
            raise InputError(
                f"the model at {self.server.url} has another tokenizer than the model folder; name the same model"
            )
        return tokens.by_id.get(token, tokens.by_text.get(text))

    def _end(self, tokens: NextTokens) -> float | None:
        return tokens.by_id.get(self.trie.stop, tokens.by_text.get(self._end_text))


def _from_chat(tokens: NextTokens) -> PriceDistribution:
    """From the first token of a chat model's answer, by the texts of its tokens.

    Raises:
        InputError: a model that answers in words, or whose tokens are single digits.
    """
    prices = np.zeros(PRICES)
    named = [(text.strip(), tokens.by_text[text]) for text in tokens.by_text]
    named += [(text.strip(), tokens.by_id[number]) for number, text in tokens.texts.items()]
    for text, probability in named:
        if _PRICE.fullmatch(text):
            prices[int(text)] += probability
    if not prices[10:].any():
        raise InputError(
            "the server's chat model answers in words or digit by digit, and its first token does not tell the price; "
            "use a server that offers /v1/completions"
        )
    rest = 1 - tokens.told
    return _filled(prices, [(rest, np.flatnonzero(prices == 0).tolist())], rest)


def _filled(prices: NDArray[np.float64], rests: Sequence[tuple[float, list[int]]], untold: float) -> PriceDistribution:
    """Add to the named prices what is left for each group of others, by how near the likely ones they are.

    Raises:
        ServerError: no price has any probability.
    """
    near = _kernel() @ prices
    filled = prices.copy()
    for rest, group in rests:
        weights = near[group] + 1e-12
        filled[group] += rest * weights / weights.sum()
    if not prices.any() or not filled.sum() > 0:
        raise ServerError("the server names no price among its likeliest tokens; is its model a pricer?")
    return PriceDistribution(filled, untold=min(1.0, float(untold / filled.sum())))


@cache
def _kernel() -> NDArray[np.float64]:
    """Closeness of every two prices, in the logarithm of 1 + price."""
    logs = np.log1p(np.arange(PRICES))
    return np.exp(-0.5 * ((logs[:, None] - logs[None]) / _NEAR) ** 2)

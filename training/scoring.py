"""Price distributions read off a causal language model's logits, in length-sorted batches.

Knows models and tokenizers by their `transformers` interface; knows nothing about books, adapters or folders.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from .distribution import PRICES, PriceDistribution
from .errors import InputError
from .last_states import LastStates, can_read
from .price_tokens import PriceTrie

if TYPE_CHECKING:
    from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

# Tokens in one forward pass. On a CPU more only costs memory; a GPU wants more to be busy.
_BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}
_log = logging.getLogger(__name__)


@dataclass
class PriceScorer:
    """Reads P(price) for the prices 0–999 after each prompt off a model.

    The probability of a price is the product of its tokens' probabilities, times that of stopping only where its tokens
    are a proper prefix of another price's, renormalised over the 1,000.

    Args:
        model: a causal language model of transformers.
        tokenizer: its tokenizer.
        batch_tokens: tokens in one forward pass; by the device where None. Halved when the memory does not suffice.
        bf16: multiply in bfloat16 in the layers of a Llama in float32: faster where `bf16_helps`, and within cents.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    batch_tokens: int | None = None
    bf16: bool = False
    trie: PriceTrie = field(init=False)

    def __post_init__(self) -> None:
        self.trie = PriceTrie.from_tokenizer(self.tokenizer)
        self._last_states = LastStates(self.model, self.bf16) if can_read(self.model) else None
        if self.batch_tokens is None:
            self.batch_tokens = _BATCH_TOKENS.get(self.model.device.type, _BATCH_TOKENS["cpu"])

    def price_distributions(
        self, prompts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> list[PriceDistribution]:
        """The distribution of each prompt's price, in the order of the prompts.

        Args:
            prompts: texts that end where the price begins.
            progress: called with the number of prompts done since the last call.

        Raises:
            InputError: a prompt that the device's memory does not suffice for.
        """
        if not prompts:
            return []
        results = np.empty((len(prompts), PRICES))
        ids: list[list[int]] = self.tokenizer(list(prompts))["input_ids"]
        training = self.model.training
        self.model.eval()
        try:
            self._score_all(ids, results, progress)
        finally:
            self.model.train(training)
        return [PriceDistribution.from_log_probabilities(row) for row in results]

    @torch.inference_mode()
    def _score_all(
        self, ids: list[list[int]], results: np.ndarray, progress: Callable[[int], None] | None = None
    ) -> None:
        """Fill `results` by falling length, so that the first batch shows the most memory ever needed."""
        shared, beginning = self._read_beginning(ids)
        order = sorted(range(len(ids)), key=lambda index: -len(ids[index]))
        score = self._score_single if self.trie.single_token else self._score_trie
        start = 0
        while start < len(order):
            assert self.batch_tokens is not None
            size = max(1, self.batch_tokens // len(ids[order[start]]))
            batch = order[start : start + size]
            try:
                results[batch] = score([ids[index][shared:] for index in batch], beginning)
            except torch.OutOfMemoryError as error:
                if len(batch) == 1:
                    raise InputError(
                        f"the memory of {self.model.device} does not suffice to price one book; use --device cpu, or a "
                        "smaller model"
                    ) from error
                self.batch_tokens = len(ids[order[start]]) * (len(batch) // 2)
                _log.info("out of memory: going on with %d tokens a batch", self.batch_tokens)
                continue
            start += size
            if progress:
                progress(len(batch))

    def _read_beginning(self, ids: list[list[int]]) -> tuple[int, DynamicCache | None]:
        """How many tokens all rows begin with (leaving each its last), and their keys and values, computed once."""
        least = min(map(len, ids)) - 1
        # What the first and the last in order have in common, all between them have too.
        pairs = zip(min(ids), max(ids), strict=False)
        shared = next((place for place, (one, other) in enumerate(pairs) if one != other or place == least), least)
        if len(ids) == 1 or shared < 1:
            return 0, None
        tokens = torch.tensor([ids[0][:shared]], device=self.model.device)
        if self._last_states and self.trie.single_token:
            return shared, self._last_states.begin(tokens)
        return shared, self.model.get_decoder()(input_ids=tokens, use_cache=True).past_key_values

    def _score_single(self, rows: list[list[int]], beginning: DynamicCache | None) -> np.ndarray:
        """Unnormalised log-probabilities, shape (len(rows), 1000), in one pass.

        Padding on the right needs no mask, since a causal model reads nothing after the last token.
        """
        device = self.model.device
        last = torch.tensor([len(row) - 1 for row in rows], device=device)
        width = int(last.max()) + 1
        padded = torch.tensor([row + [self.trie.stop] * (width - len(row)) for row in rows], device=device)
        if self._last_states:
            hidden = self._last_states(padded, last, beginning)
        else:
            cache = _repeat(beginning, len(rows))
            decoded = self.model.get_decoder()(input_ids=padded, past_key_values=cache, use_cache=cache is not None)
            hidden = decoded.last_hidden_state[torch.arange(len(rows), device=device), last]
        head = self.model.get_output_embeddings()
        tokens = torch.tensor([sequence[0] for sequence in self.trie.sequences], device=device)
        logits = torch.nn.functional.linear(hidden, head.weight[tokens])
        if head.bias is not None:
            logits = logits + head.bias[tokens]
        return logits.double().cpu().numpy()

    def _score_trie(self, rows: list[list[int]], beginning: DynamicCache | None) -> np.ndarray:
        """As `_score_single`, in two: the prompts, then all proper prefixes at once on the cached prompts.

        The second pass is a tree in one sequence: a four-dimensional mask lets every node see its prompt and ancestors.
        """
        device = self.model.device
        shared = beginning.get_seq_length() if beginning else 0
        width = max(map(len, rows))
        pads = [width - len(row) for row in rows]
        padded = torch.tensor(
            [[self.trie.stop] * pad + row for pad, row in zip(pads, rows, strict=True)], device=device
        )
        real = torch.tensor([[1] * shared + [0] * pad + [1] * (width - pad) for pad in pads], device=device)
        positions = (real.cumsum(1) - 1).clamp(min=0)
        first = self.model(
            input_ids=padded,
            attention_mask=real,
            position_ids=positions[:, shared:],
            past_key_values=_repeat(beginning, len(rows)),
            use_cache=True,
            logits_to_keep=1,
        )
        prefixes = self.trie.prefixes
        number = {prefix: index for index, prefix in enumerate(prefixes)}
        sees = torch.zeros(len(prefixes), len(prefixes), dtype=torch.bool, device=device)
        for prefix, index in number.items():
            for depth in range(1, len(prefix) + 1):
                sees[index, number[prefix[:depth]]] = True
        allowed = torch.cat(
            [real.bool()[:, None, :].expand(-1, len(prefixes), -1), sees.expand(len(rows), -1, -1)], dim=2
        )[:, None]
        mask = torch.zeros(allowed.shape, dtype=self.model.dtype, device=device)
        mask = mask.masked_fill(~allowed, torch.finfo(self.model.dtype).min)
        nodes = torch.tensor([prefix[-1] for prefix in prefixes], device=device).expand(len(rows), -1)
        depths = torch.tensor([len(prefix) - 1 for prefix in prefixes], device=device)
        second = self.model(
            input_ids=nodes,
            attention_mask=mask,
            position_ids=positions[:, -1:] + 1 + depths,
            past_key_values=first.past_key_values,
            use_cache=True,
        )
        logits = torch.cat([first.logits[:, -1:], second.logits], dim=1).double().log_softmax(-1).cpu().numpy()

        result = np.zeros((len(rows), PRICES))
        for price, sequence in enumerate(self.trie.sequences):
            for depth, token in enumerate(sequence):
                node = number[sequence[:depth]] + 1 if depth else 0
                result[:, price] += logits[:, node, token]
            if sequence in number:
                result[:, price] += logits[:, number[sequence] + 1, self.trie.stop]
        return result


def _repeat(beginning: DynamicCache | None, rows: int) -> DynamicCache | None:
    """A copy of the cache for each row, which the pass to come may add to."""
    if beginning is None:
        return None
    cache = copy.deepcopy(beginning)
    cache.batch_repeat_interleave(rows)
    return cache

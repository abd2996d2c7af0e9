"""Price distributions read off a causal language model's logits, in length-sorted batches.

Knows models and tokenizers by their `transformers` interface; knows nothing about books, adapters or folders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from .distribution import PRICES, PriceDistribution
from .price_tokens import PriceTrie

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Tokens in one forward pass. On a CPU more only costs memory; a GPU wants more to be busy.
_BATCH_TOKENS = {"cpu": 4096, "cuda": 65536}


@dataclass
class PriceScorer:
    """Reads P(price) for the prices 0–999 after each prompt off a model.

    The probability of a price is the product of its tokens' probabilities, times that of stopping only where its tokens
    are a proper prefix of another price's, renormalised over the 1,000.

    Args:
        model: a causal language model of transformers.
        tokenizer: its tokenizer.
        batch_tokens: tokens in one forward pass; by the device where None.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    batch_tokens: int | None = None
    trie: PriceTrie = field(init=False)

    def __post_init__(self) -> None:
        self.trie = PriceTrie.from_tokenizer(self.tokenizer)
        if self.batch_tokens is None:
            self.batch_tokens = _BATCH_TOKENS.get(self.model.device.type, _BATCH_TOKENS["cpu"])

    def price_distributions(
        self, prompts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> list[PriceDistribution]:
        """The distribution of each prompt's price, in the order of the prompts.

        Args:
            prompts: texts that end where the price begins.
            progress: called with the number of prompts done since the last call.
        """
        if not prompts:
            return []
        results = np.empty((len(prompts), PRICES))
        ids: list[list[int]] = self.tokenizer(list(prompts))["input_ids"]
        training = self.model.training
        self.model.eval()
        try:
            for batch in self._batches([len(row) for row in ids]):
                results[batch] = self._score([ids[index] for index in batch])
                if progress:
                    progress(len(batch))
        finally:
            self.model.train(training)
        return [PriceDistribution.from_log_probabilities(row) for row in results]

    def _batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Indices by falling length, so that the first batch shows the most memory ever needed, in token budgets."""
        assert self.batch_tokens is not None
        order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
        start = 0
        while start < len(order):
            size = max(1, self.batch_tokens // max(1, lengths[order[start]]))
            yield order[start : start + size]
            start += size

    @torch.inference_mode()
    def _score(self, rows: list[list[int]]) -> np.ndarray:
        """Unnormalised log-probabilities of the prices, shape (len(rows), 1000), float64."""
        return self._score_single(rows) if self.trie.single_token else self._score_trie(rows)

    def _score_single(self, rows: list[list[int]]) -> np.ndarray:
        """One pass: padding on the right needs no mask, since a causal model reads nothing after the last token."""
        device = self.model.device
        last = torch.tensor([len(row) - 1 for row in rows], device=device)
        width = int(last.max()) + 1
        padded = torch.tensor([row + [self.trie.stop] * (width - len(row)) for row in rows], device=device)
        hidden = self.model.get_decoder()(input_ids=padded, use_cache=False).last_hidden_state
        hidden = hidden[torch.arange(len(rows), device=device), last]
        head = self.model.get_output_embeddings()
        tokens = torch.tensor([sequence[0] for sequence in self.trie.sequences], device=device)
        logits = torch.nn.functional.linear(hidden, head.weight[tokens])
        if head.bias is not None:
            logits = logits + head.bias[tokens]
        return logits.double().cpu().numpy()

    def _score_trie(self, rows: list[list[int]]) -> np.ndarray:
        """Two passes: the prompts, then all proper prefixes at once on the cached prompts, each seeing its own parents.

        The second pass is a tree in one sequence: a four-dimensional mask lets every node see its prompt and ancestors.
        """
        device = self.model.device
        width = max(map(len, rows))
        pads = [width - len(row) for row in rows]
        padded = torch.tensor(
            [[self.trie.stop] * pad + row for pad, row in zip(pads, rows, strict=True)], device=device
        )
        real = torch.tensor([[0] * pad + [1] * (width - pad) for pad in pads], device=device)
        positions = (real.cumsum(1) - 1).clamp(min=0)
        first = self.model(
            input_ids=padded, attention_mask=real, position_ids=positions, use_cache=True, logits_to_keep=1
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

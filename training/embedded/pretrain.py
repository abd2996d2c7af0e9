"""Makes the embedded base: a small Llama trained as a language model, its words started from pretrained vectors.

Knows token ids and transformers; knows nothing about books.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..distribution import PRICES

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

WIDTH = 256
# Standard deviation of the embeddings: what the transformer's own initialization expects.
_EMBEDDING_STD = 0.04


@dataclass(frozen=True)
class PretrainSettings:
    """How the base is trained.

    Args:
        layers: transformer layers of width 256.
        epochs: times that every document is read.
        row_tokens: documents are packed, whole, into rows of this many tokens.
        batch_rows: rows in a step.
        learning_rate: peak, with warm-up over 3 % and a cosine to zero.
        word_share: share of the words whose prediction is trained; the head over all words is half of the work.
        price_weight: how much more a price token's loss counts than a word's.
        train_words: whether words' embeddings change too; frozen, a word that no synthetic book has keeps its place
            among those that have been seen.
        seed: of weights and order.
    """

    layers: int = 3
    epochs: float = 1.0
    row_tokens: int = 192
    batch_rows: int = 32
    learning_rate: float = 2e-3
    word_share: float = 0.25
    price_weight: float = 8.0
    train_words: bool = False
    seed: int = 0


def initial_embeddings(tokenizer: PreTrainedTokenizerBase, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Vectors of all tokens: words from wordllama's 256-dimensional ones, numbers so that near ones are alike.

    Returns:
        The vectors, shape (tokens, 256), float32, and which rows are words (bool), the rest being numbers, bytes and
        signs.
    """
    import wordllama

    # The wheel ships the weights, but `load()` alone looks for them in another folder and tries to download.
    vectors = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__ or "").parent, disable_download=True)
    texts = [
        tokenizer.convert_tokens_to_string([token]) for token in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    ]
    is_word = np.array([len(text.strip()) > 1 and text.strip().isalpha() for text in texts])
    rng = np.random.default_rng(seed)
    table = rng.normal(0, _EMBEDDING_STD, (len(texts), WIDTH))
    words = np.flatnonzero(is_word)
    known = vectors.embed([texts[index].strip() for index in words], norm=False)
    # All words at one length: a frequent word's vector is no longer than a rare one's as input.
    known = known - known.mean(0)
    known /= np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-6)
    table[words] = known * _EMBEDDING_STD * math.sqrt(WIDTH)

    centres = np.linspace(0, math.log1p(PRICES), 32)
    position = np.log1p(np.arange(PRICES))[:, None]
    smooth = np.exp(-0.5 * ((position - centres) / 0.25) ** 2) @ rng.normal(0, 1, (32, WIDTH))
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True)
    noise = rng.normal(0, 0.2 / math.sqrt(WIDTH), smooth.shape)
    numbers = tokenizer.convert_tokens_to_ids([str(number) for number in range(PRICES)])
    table[numbers] = (smooth + noise) * _EMBEDDING_STD * math.sqrt(WIDTH)
    return table.astype(np.float32), is_word


def build_model(
    tokenizer: PreTrainedTokenizerBase, embeddings: NDArray[Any], settings: PretrainSettings
) -> LlamaForCausalLM:
    """A Llama with tied embeddings and grouped queries, its embeddings given, everything else at random."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(settings.seed)
    config = LlamaConfig(
        vocab_size=len(embeddings),
        hidden_size=WIDTH,
        intermediate_size=704,
        num_hidden_layers=settings.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.get_input_embeddings().weight.data.copy_(torch.from_numpy(embeddings))
    return model


def pack_rows(lengths: Sequence[int], row_tokens: int, seed: int) -> list[list[int]]:
    """Documents in random order, as many whole ones in a row as fit."""
    order = np.random.default_rng(seed).permutation(len(lengths))
    rows: list[list[int]] = [[]]
    room = row_tokens
    for document in order.tolist():
        length = min(lengths[document], row_tokens)
        if length > room:
            rows.append([])
            room = row_tokens
        rows[-1].append(document)
        room -= length
    return rows


class PackedDocuments(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Rows of whole documents, positions from 0 in each, so that none sees another.

    `labels` are the tokens to predict at each place, -100 elsewhere; `weights` what each prediction counts.
    """

    def __init__(
        self, tokens: NDArray[Any], ends: NDArray[Any], is_price: NDArray[Any], pad: int, settings: PretrainSettings
    ) -> None:
        self.tokens, self.starts, self.ends = tokens, np.concatenate([[0], ends[:-1]]), ends
        self.rows = pack_rows((ends - self.starts).tolist(), settings.row_tokens, settings.seed)
        sampled = np.random.default_rng(settings.seed).random(len(tokens)) < settings.word_share
        self.weights = np.where(is_price, settings.price_weight, sampled).astype(np.float32)
        # A document's first token follows nothing.
        self.weights[self.starts] = 0
        self.row_tokens, self.pad = settings.row_tokens, pad

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        spans = [slice(self.starts[d], min(self.ends[d], self.starts[d] + self.row_tokens)) for d in self.rows[index]]
        lengths = [span.stop - span.start for span in spans]
        rest = self.row_tokens - sum(lengths)
        ids = np.concatenate([*(self.tokens[span] for span in spans), np.full(rest, self.pad)]).astype(np.int64)
        weights = np.concatenate([*(self.weights[span] for span in spans), np.zeros(rest, np.float32)])
        # The place before a token predicts it.
        weights = np.append(weights[1:], np.float32(0))
        labels = np.where(weights > 0, np.append(ids[1:], self.pad), -100)
        positions = np.concatenate([np.arange(length) for length in [*lengths, rest]])
        values = {"input_ids": ids, "labels": labels, "weights": weights, "position_ids": positions}
        return {name: torch.from_numpy(value) for name, value in values.items()}


def price_places(tokenizer: PreTrainedTokenizerBase, tokens: NDArray[Any]) -> NDArray[Any]:
    """Which tokens are prices: numbers after a dollar sign; shape and order of `tokens`."""
    dollars = tokenizer.convert_tokens_to_ids(["$", "Ġ$"])
    numbers = tokenizer.convert_tokens_to_ids([str(number) for number in range(PRICES)])
    return np.isin(tokens, numbers) & np.append(False, np.isin(tokens[:-1], dollars))


def pretrain(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    tokens: NDArray[Any],
    ends: NDArray[Any],
    is_word: NDArray[Any],
    out: Path,
    settings: PretrainSettings,
    device: str | None = None,
) -> float:
    """Train the base on documents and save it to `out` in bfloat16; goes on from the last checkpoint beside it.

    Args:
        tokens: all documents' token ids, one after another.
        ends: where each document ends in `tokens`.
        is_word: rows of the embeddings that stay as they are, unless `settings.train_words`.

    Returns:
        The mean training loss.
    """
    from transformers import Trainer, TrainingArguments
    from transformers.trainer_utils import get_last_checkpoint

    on_gpu = device != "cpu" and torch.cuda.is_available()
    weight = model.get_input_embeddings().weight
    if not settings.train_words:
        learns = torch.from_numpy(~is_word)[:, None]
        weight.register_hook(lambda gradient: gradient * learns.to(gradient.device))

    class PretrainTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
            """Weighted cross-entropy, its logits made only where there is something to predict."""
            hidden = model.get_decoder()(inputs["input_ids"], position_ids=inputs["position_ids"], use_cache=False)
            there = inputs["labels"] >= 0
            logits = model.get_output_embeddings()(hidden.last_hidden_state[there]).float()
            losses = torch.nn.functional.cross_entropy(logits, inputs["labels"][there], reduction="none")
            weights = inputs["weights"][there]
            return (losses * weights).sum() / weights.sum()

    state = out.with_name(out.name + ".checkpoints")
    trainer = PretrainTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(state),
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch_rows,
            learning_rate=settings.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=0.03,
            weight_decay=0.0,
            adam_beta2=0.95,
            bf16=on_gpu or torch.cpu._is_avx512_bf16_supported(),
            use_cpu=not on_gpu,
            seed=settings.seed,
            logging_steps=25,
            save_strategy="steps",
            save_steps=200,
            save_total_limit=2,
            report_to="none",
            disable_tqdm=False,
            dataloader_num_workers=4 if on_gpu else 0,
            remove_unused_columns=False,
        ),
        train_dataset=PackedDocuments(tokens, ends, price_places(tokenizer, tokens), tokenizer.pad_token_id, settings),
    )
    result = trainer.train(resume_from_checkpoint=get_last_checkpoint(str(state)) if state.is_dir() else None)
    trainer.model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return float(result.training_loss)

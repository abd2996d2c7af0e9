"""The memory that a training run needs, part by part, from the sizes of its model.

Follows what the libraries allocate: bitsandbytes' 4-bit blocks, the trained weights and their gradients in float32,
the optimizer's states, the tensors that a Llama block keeps for the backward pass, and TRL's head, which scores in
tiles and never holds the logits of a whole batch. The tests compare each with real tensors.

The count of a block's tensors is that of Korthikanti et al., "Reducing Activation Recomputation in Large Transformer
Models" (arXiv 2205.05198), done again for Llama: RMSNorm, a gated feed-forward part, grouped keys and values, an
attention kernel that keeps no scores, and frozen weights, whose inputs are not needed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .model_shape import ModelShape

FLOAT32 = 4
# bitsandbytes' quantize_4bit: one scale for 64 weights; with double quantization a byte each and a float32 for 256 of
# them, and for each matrix their mean and the table of the 16 values.
_BLOCK, _NESTED_BLOCK, _TABLES = 64, 256, 4 + 16 * FLOAT32
# TRL's fused head (trl/kernels/chunked_logprob.py): tiles of 4,096 tokens by 32,768 words.
_TILE_TOKENS, _TILE_WORDS = 4096, 32768
# Without Triton its backward pass holds this many tensors of a tile's size: the tile, logits twice, log-probabilities,
# probabilities, gradient, two intermediate results, and a mask of a byte each.
_TILE_COPIES = 8.25
# Tokens of an answer: a price, and the end. With digits for tokens it is up to two more, which changes nothing.
_ANSWER_TOKENS = 2
# A CUDA context with the kernels of torch, cuBLAS and bitsandbytes, and what the allocator rounds up.
_GPU_RESERVE = 1 << 30
# The interpreter and the libraries of a training run: measured, torch, transformers, peft, TRL and datasets loaded.
_CPU_RESERVE = 650 << 20
# States of each optimizer: bits each, how many. Of `optim` names in transformers; any other is counted as AdamW.
_OPTIMIZERS = {
    "adamw_torch": (32, 2), "adamw_torch_fused": (32, 2), "paged_adamw_32bit": (32, 2), "paged_adamw": (32, 2),
    "adamw_bnb_8bit": (8, 2), "adamw_8bit": (8, 2), "paged_adamw_8bit": (8, 2), "adamw_torch_8bit": (8, 2),
    "adamw_torch_4bit": (4, 2), "ademamix": (32, 3), "paged_ademamix_32bit": (32, 3), "ademamix_8bit": (8, 3),
    "paged_ademamix_8bit": (8, 3), "lion_32bit": (32, 1), "paged_lion_32bit": (32, 1), "lion_8bit": (8, 1),
    "paged_lion_8bit": (8, 1), "sgd": (32, 0), "adagrad": (32, 1), "rmsprop": (32, 1), "rmsprop_bnb": (32, 1),
    "rmsprop_bnb_32bit": (32, 1), "rmsprop_bnb_8bit": (8, 1),
}  # fmt: skip
_ADAMW = (32, 2)
# bitsandbytes keeps the states of smaller tensors in 32 bits; of larger ones a scale for 256 values.
_LEAST_8BIT, _STATE_BLOCK = 4096, 256


@dataclass(frozen=True)
class Memory:
    """Bytes of each part of a training run's peak.

    Args:
        weights: the base model.
        adapter: LoRA weights; 0 in full tuning.
        gradients: of the trained weights.
        optimizer: its states.
        activations: what the forward pass keeps for the backward pass.
        logits: of the positions that are scored, as many at a time as the loss makes.
        working: the largest intermediate results of the backward pass, and one dequantized matrix.
        reserve: what is there before any tensor: a GPU's context, or the libraries.
    """

    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    working: int
    reserve: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(asdict(self).values())


@dataclass(frozen=True)
class Batch:
    """What one device works on at a time.

    Args:
        sequences: their number.
        tokens: of each, padding included.
        checkpointing: whether activations are computed again in the backward pass instead of kept.
        on_gpu: a GPU computes in 16 bits, a CPU in 32.
        own_loss: that of `trainer.PriceTrainer`, which makes logits where any answer of the batch is; TRL's makes them
            where the answers are on a GPU, and everywhere on a CPU.
        double_quantization: of 4-bit weights' scales.
        optimizer: transformers' `optim`.
        devices: that share the work, each with a whole model.
    """

    sequences: int
    tokens: int
    checkpointing: bool
    on_gpu: bool
    own_loss: bool = False
    double_quantization: bool = True
    optimizer: str = "adamw_torch"
    devices: int = 1

    @property
    def all_tokens(self) -> int:
        """Tokens of the whole batch."""
        return self.sequences * self.tokens

    @property
    def bytes(self) -> int:
        """Of a number that it computes with."""
        return 2 if self.on_gpu else FLOAT32

    @property
    def scored(self) -> int:
        """Positions for which the head computes logits."""
        if self.own_loss:
            return self.sequences * min(self.tokens - 1, self.sequences * _ANSWER_TOKENS)
        return self.sequences * (_ANSWER_TOKENS if self.on_gpu else self.tokens - 1)


def estimate_memory(shape: ModelShape, batch: Batch) -> Memory:
    """The peak of one device's memory."""
    trained = shape.trainable * FLOAT32
    layer = layer_activations(shape, batch)
    kept = shape.layers * layer
    if batch.checkpointing:
        kept = shape.layers * batch.all_tokens * shape.width * _stream(shape, batch) + layer
    return Memory(
        weights=trained if shape.full else frozen_weights(shape, batch),
        adapter=0 if shape.full else trained,
        # Several processes also hold the buckets in which they exchange them.
        gradients=trained * (2 if batch.devices > 1 else 1),
        optimizer=sum(optimizer_state(size, batch.optimizer) for size in shape.trained),
        # The final norm, and what the head reads.
        activations=kept + batch.all_tokens * shape.width * (FLOAT32 + batch.bytes),
        logits=_logits(shape, batch),
        working=_working(shape, batch),
        reserve=_GPU_RESERVE if batch.on_gpu else _CPU_RESERVE,
    )


def frozen_weights(shape: ModelShape, batch: Batch) -> int:
    """Bytes of a frozen base: 4-bit matrices with their scales, the rest as it computes."""
    packed = sum(quantized_matrix(size, batch.double_quantization) for size in shape.quantized)
    return packed + (shape.parameters - sum(shape.quantized)) * batch.bytes


def quantized_matrix(size: int, double_quantization: bool = True) -> int:
    """Bytes of one 4-bit weight matrix of `size` numbers."""
    blocks = -(-size // _BLOCK)
    scales = blocks * FLOAT32 + 16 * FLOAT32
    if double_quantization:
        scales = blocks + -(-blocks // _NESTED_BLOCK) * FLOAT32 + _TABLES
    return -(-size // 2) + scales


def optimizer_state(size: int, optimizer: str) -> int:
    """Bytes that an optimizer keeps for one trained tensor of `size` numbers."""
    if optimizer == "adafactor":  # rows and columns only; a square matrix
        return 2 * round(size**0.5) * FLOAT32
    bits, states = _OPTIMIZERS.get(optimizer, _ADAMW)
    if bits == 32 or size < _LEAST_8BIT:
        return size * FLOAT32 * states
    return (size * bits // 8 + -(-size // _STATE_BLOCK) * FLOAT32) * states


def knows_optimizer(optimizer: str) -> bool:
    """Whether the states of an optimizer are known; they are counted as AdamW's otherwise."""
    return optimizer in _OPTIMIZERS or optimizer == "adafactor"


def layer_activations(shape: ModelShape, batch: Batch) -> int:
    """Bytes that one transformer block keeps for the backward pass.

    For a token, with width h, feed-forward width i, q of the queries and k of the keys, and b bytes a number: two norms
    keep their input in float32 (8h); attention its queries, keys, values, result and the softmax's sum (b(2q + 2k), or,
    where padding makes transformers repeat keys and values and needs a mask, b(4q + tokens)); the gated product its
    three factors (3bi). An adapter needs its input, and with dropout a copy of it and a mask, for each layer that
    carries one. Trained weights need the input of each.
    """
    h, b = shape.width, batch.bytes
    keys = shape.queries if batch.sequences > 1 else shape.keys
    token = 2 * h * FLOAT32 + 2 * FLOAT32
    token += b * (2 * shape.queries + 2 * keys) + shape.heads * FLOAT32
    token += b * batch.tokens if batch.sequences > 1 else 0
    token += 3 * b * shape.inner
    if shape.full:
        token += 2 * h * _stream(shape, batch) + 2 * h * b + b * shape.inner
    # CUDA keeps a dropout mask as a byte a number, the CPU as a number.
    mask = 1 if batch.on_gpu else b
    inputs = {}
    for layer in shape.lora[: len(shape.lora) // max(shape.layers, 1)]:
        token += layer.rank * b
        if layer.dropout:
            token += layer.inputs * (b + mask)
        elif layer.reads != "attention result":  # attention keeps that already
            inputs[layer.reads] = layer.inputs * b
    return (token + sum(inputs.values())) * batch.all_tokens


def _stream(shape: ModelShape, batch: Batch) -> int:
    """Bytes of a number between two blocks: trained weights are float32, and so is what is added up from them."""
    return FLOAT32 if shape.full else batch.bytes


def _logits(shape: ModelShape, batch: Batch) -> int:
    if batch.own_loss:
        # Logits and their gradient; of the answers also probabilities, their logarithms and gradients.
        answers = batch.sequences * _ANSWER_TOKENS * shape.vocabulary * FLOAT32
        return 2 * batch.scored * shape.vocabulary * batch.bytes + 3 * answers
    tile = min(batch.scored, _TILE_TOKENS) * min(shape.vocabulary, _TILE_WORDS) * batch.bytes
    hidden = batch.scored * shape.width * FLOAT32
    weight = shape.vocabulary * shape.width * FLOAT32 if shape.head_trained else 0
    return round(tile * (1 if batch.on_gpu else _TILE_COPIES)) + hidden + weight


def _working(shape: ModelShape, batch: Batch) -> int:
    """Gradients within a block, and a dequantized matrix, or the trained weights' copies in 16 bits."""
    gradients = batch.all_tokens * (3 * shape.inner + 2 * shape.width) * batch.bytes
    if shape.quantized:
        return gradients + max(shape.quantized) * batch.bytes
    return gradients + (shape.trainable * batch.bytes if shape.full and batch.on_gpu else 0)

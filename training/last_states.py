"""A Llama's hidden state at the end of each of many sequences, without the arithmetic whose result nobody reads.

What all sequences begin with is read once, and the last layer works on the last tokens only: with three layers that
saves more than a third. Where the processor multiplies in bfloat16, so may the linear layers; what lies between them
stays in float32, which keeps prices within cents. Knows the layers of `LlamaForCausalLM`; knows nothing about prices.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache, LlamaForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.models.llama.modeling_llama import rotate_half

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Pair = tuple[torch.Tensor, torch.Tensor]


def can_read(model: PreTrainedModel) -> bool:
    """Whether `LastStates` knows this model; any other takes the plain forward pass."""
    return type(model) is LlamaForCausalLM and model.config._attn_implementation == "sdpa"


def bf16_helps(model: PreTrainedModel) -> bool:
    """Whether a model in float32 sits on a processor with instructions for bfloat16."""
    if model.device.type != "cpu" or model.dtype != torch.float32:
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


class LastStates:
    """Reads the last hidden state of every row of a batch.

    Args:
        model: one that it `can_read`.
        bf16: multiply in bfloat16 in the linear layers.
    """

    def __init__(self, model: PreTrainedModel, bf16: bool = False) -> None:
        self._decoder = model.get_decoder()
        # In the last layer most of the work is gone, and its rounding would show most.
        *layers, last = self._decoder.layers
        self._layers = [*(_in_bf16(layer) if bf16 else layer for layer in layers), last]

    def begin(self, tokens: torch.Tensor) -> DynamicCache:
        """Keys and values of one row of tokens, shape (1, width): what many rows begin with."""
        cache = DynamicCache()
        hidden = self._decoder.embed_tokens(tokens)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        rotation = self._decoder.rotary_emb(hidden, position_ids=places[None])
        for layer in self._layers:
            hidden = layer(hidden, position_embeddings=rotation, past_key_values=cache)
        return cache

    def __call__(self, tokens: torch.Tensor, last: torch.Tensor, beginning: DynamicCache | None) -> torch.Tensor:
        """The normalised state of each row's last token, shape (rows, hidden).

        Args:
            tokens: shape (rows, width), padded on the right: a causal model reads nothing after the last token.
            last: index of each row's last token.
            beginning: what stands before every row, by `begin`.
        """
        width, device = tokens.shape[1], tokens.device
        shared = _Shared(beginning) if beginning else None
        before = shared.length if shared else 0
        hidden = self._decoder.embed_tokens(tokens)
        places = torch.arange(before, before + width, device=device)
        rotation: Pair = self._decoder.rotary_emb(hidden, position_ids=places[None])
        keys = torch.arange(before + width, device=device)
        mask = (keys <= places[:, None])[None, None] if shared else None
        for layer in self._layers[:-1]:
            hidden = layer(hidden, attention_mask=mask, position_embeddings=rotation, past_key_values=shared)
        mask = (keys <= before + last[:, None])[:, None, None]
        return self._decoder.norm(_last_layer(self._layers[-1], hidden, last, rotation, mask, shared)[:, 0])


class _Shared:
    """In the place of a cache: puts the shared keys and values before every row's own, and keeps none of those."""

    def __init__(self, beginning: DynamicCache) -> None:
        self._layers = beginning.layers
        self.length: int = beginning.get_seq_length()

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> Pair:
        layer = self._layers[layer_idx]
        return _after(layer.keys, keys), _after(layer.values, values)


def _after(shared: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    return torch.cat([shared.expand(len(own), -1, -1, -1), own], dim=2)


def _last_layer(
    layer: Any, hidden: torch.Tensor, last: torch.Tensor, rotation: Pair, mask: torch.Tensor, shared: _Shared | None
) -> torch.Tensor:
    """A decoder layer with keys and values of all tokens, and queries of the last ones; shape (rows, 1, hidden)."""
    attention = layer.self_attn

    def heads(states: torch.Tensor) -> torch.Tensor:
        return states.unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)

    rows = torch.arange(len(hidden), device=hidden.device)
    normed = layer.input_layernorm(hidden)
    keys, values = _rotate(heads(attention.k_proj(normed)), rotation), heads(attention.v_proj(normed))
    if shared:
        keys, values = shared.update(keys, values, attention.layer_idx)
    cosine, sine = (part[0, last][:, None] for part in rotation)
    queries = _rotate(heads(attention.q_proj(normed[rows, last][:, None])), (cosine, sine))
    attended, _ = sdpa_attention_forward(attention, queries, keys, values, mask, scaling=attention.scaling)
    hidden = hidden[rows, last][:, None] + attention.o_proj(attended.flatten(2))
    return hidden + layer.mlp(layer.post_attention_layernorm(hidden))


def _rotate(states: torch.Tensor, rotation: Pair) -> torch.Tensor:
    """Rotary positions on states of shape (rows, heads, width, size)."""
    cosine, sine = (part[:, None] for part in rotation)
    return states * cosine + rotate_half(states) * sine


def _in_bf16(layer: Any) -> Any:
    """A copy of a layer whose linear maps multiply in bfloat16; between those of the MLP the states stay in it."""
    layer = copy.deepcopy(layer).eval()
    for parent in (layer.self_attn, layer.mlp):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear:
                inner = name in ("gate_proj", "up_proj")
                setattr(parent, name, _Bf16Linear(child, torch.bfloat16 if inner else torch.float32))
    return layer


class _Bf16Linear(torch.nn.Module):
    def __init__(self, linear: torch.nn.Linear, result: torch.dtype) -> None:
        super().__init__()
        self._linear, self._result = linear.to(torch.bfloat16), result

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return self._linear(states.to(torch.bfloat16)).to(self._result)

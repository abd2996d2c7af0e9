"""The sizes of a language model and of what is trained of it, from its config alone.

The model is built on torch's meta device and peft puts the adapter on, so that the counts are the real ones and no
weight is loaded, downloaded or allocated. Knows transformers, peft and what bitsandbytes quantizes; knows no data.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

# Meta's published config.json of each (huggingface.co/meta-llama), and tables 1 and 3 of "The Llama 3 Herd of Models"
# (arXiv 2407.21783): for a dry run where the hub cannot be reached or the licence is not accepted yet.
_LLAMA: dict[str, Any] = {"vocab_size": 128256, "num_key_value_heads": 8}
KNOWN_CONFIGS: dict[str, dict[str, Any]] = {
    "meta-llama/Llama-3.2-1B": _LLAMA
    | {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32}
    | {"head_dim": 64, "tie_word_embeddings": True},
    "meta-llama/Llama-3.2-3B": _LLAMA
    | {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24}
    | {"head_dim": 128, "tie_word_embeddings": True},
    "meta-llama/Llama-3.1-8B": _LLAMA
    | {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32}
    | {"head_dim": 128, "tie_word_embeddings": False},
}
# The linear layers of a Llama block that read the same tensor.
_INPUTS = {
    "q_proj": "attention", "k_proj": "attention", "v_proj": "attention", "o_proj": "attention result",
    "gate_proj": "feed-forward", "up_proj": "feed-forward", "down_proj": "feed-forward inner",
}  # fmt: skip


@dataclass(frozen=True)
class LoraLayer:
    """One linear layer that carries an adapter; layers with the same `reads` in a block read the same tensor."""

    reads: str
    inputs: int
    outputs: int
    rank: int
    dropout: float


@dataclass(frozen=True)
class ModelShape:
    """Sizes of a model, in parameters and elements, and what is trained of it.

    Args:
        parameters: of the base model, a tied head counted once.
        trained: size of each trained tensor.
        quantized: size of each weight matrix that is kept in 4 bits.
        linear: parameters of all linear layers but the head.
        lora: layers with an adapter; empty for full tuning.
        head_trained: whether the output embeddings are.
        width, inner, layers, heads, vocabulary: of the transformer; `queries` and `keys` are the widths of the
            attention's queries, and of its keys or values.
    """

    parameters: int
    trained: tuple[int, ...]
    quantized: tuple[int, ...]
    linear: int
    lora: tuple[LoraLayer, ...]
    head_trained: bool
    width: int
    inner: int
    layers: int
    heads: int
    queries: int
    keys: int
    vocabulary: int

    @property
    def trainable(self) -> int:
        """Number of trained parameters."""
        return sum(self.trained)

    @property
    def full(self) -> bool:
        """Whether all of the model is trained."""
        return not self.lora and self.trainable == self.parameters


def known_config(base_model: str) -> PretrainedConfig | None:
    """The published sizes of a preset's base model; None for any other."""
    from transformers import LlamaConfig

    known = KNOWN_CONFIGS.get(base_model)
    return LlamaConfig(**known) if known else None


def read_config(folder: Path) -> PretrainedConfig:
    """The config in a model's folder.

    Raises:
        InputError: none there, or one that cannot be read.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no readable model config ({_first_line(error)})") from error


def read_shape(
    config: PretrainedConfig, lora: Mapping[str, Any] | None, quantization: Mapping[str, Any] | None = None
) -> ModelShape:
    """The sizes of a config's model with its adapter.

    Args:
        config: of a causal language model.
        lora: `LoraConfig` arguments; None where all parameters are trained.
        quantization: `BitsAndBytesConfig` arguments.

    Raises:
        InputError: not a causal language model, an adapter that does not fit it, or full tuning of 4-bit weights.
    """
    import torch
    from transformers import AutoModelForCausalLM

    quantization = quantization or {}
    in_4bit = bool(quantization.get("load_in_4bit"))
    if in_4bit and lora is None:
        raise InputError("weights in 4 bits cannot all be trained; pass quantization.load_in_4bit=false with lora=null")
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise InputError(f"the base model is no causal language model ({_first_line(error)})") from error
    parameters = sum(parameter.numel() for parameter in model.parameters())
    head = model.get_output_embeddings()
    linear = {
        name: module.weight.numel()
        for name, module in model.named_modules()
        if type(module) is torch.nn.Linear and module is not head
    }
    quantized = _quantized(model, quantization) if in_4bit else ()
    layers = () if lora is None else _add_lora(model, lora)
    text = config.get_text_config()
    heads = text.num_attention_heads
    head_width = getattr(text, "head_dim", None) or text.hidden_size // heads
    return ModelShape(
        parameters=parameters,
        trained=tuple(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        quantized=quantized,
        linear=sum(linear.values()),
        lora=layers,
        head_trained=_head_trained(model),
        width=text.hidden_size,
        inner=getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
        layers=text.num_hidden_layers,
        heads=heads,
        queries=heads * head_width,
        keys=(getattr(text, "num_key_value_heads", None) or heads) * head_width,
        vocabulary=text.vocab_size,
    )


def _head_trained(model: PreTrainedModel) -> bool:
    head = model.get_output_embeddings()
    return head is not None and any(parameter.requires_grad for parameter in head.parameters())


def _quantized(model: PreTrainedModel, quantization: Mapping[str, Any]) -> tuple[int, ...]:
    """The weights that transformers hands to bitsandbytes: every linear layer's but the head's and those left out."""
    import torch
    from transformers.quantizers.base import get_keys_to_not_convert
    from transformers.quantizers.quantizers_utils import should_convert_module

    left_out = quantization.get("llm_int8_skip_modules") or get_keys_to_not_convert(model)
    return tuple(
        module.weight.numel()
        for name, module in model.named_modules()
        if type(module) is torch.nn.Linear and should_convert_module(name, left_out)
    )


def _add_lora(model: PreTrainedModel, lora: Mapping[str, Any]) -> tuple[LoraLayer, ...]:
    """Put an adapter on the model, in place, and describe it.

    Raises:
        InputError: settings that peft refuses, or that do not fit the model.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    try:
        # How the adapter starts does not change its size, and some ways of it need the weights.
        settings = LoraConfig(**{"task_type": "CAUSAL_LM", **lora, "init_lora_weights": False})
    except (TypeError, ValueError) as error:
        raise InputError(f"the lora settings are refused: {_first_line(error)}") from error
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            get_peft_model(model, settings, low_cpu_mem_usage=True)
    except (TypeError, ValueError) as error:  # such as target modules that the base model has not
        raise InputError(f"the lora settings do not fit the base model: {_first_line(error)}") from error
    layers = []
    for name, module in model.named_modules():
        rank = getattr(module, "r", None)
        if isinstance(rank, dict) and hasattr(module, "lora_A") and rank:
            last = name.rsplit(".", 1)[-1]
            dropout = getattr(module.lora_dropout["default"], "p", 0.0)
            layers.append(
                LoraLayer(
                    _INPUTS.get(last, last), module.in_features, module.out_features, rank["default"], float(dropout)
                )
            )
    return tuple(layers)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

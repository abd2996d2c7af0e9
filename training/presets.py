"""Presets: base model, quantization, LoRA and SFT settings of a fine-tuning run, and how to override them.

Settings keep the names of the libraries that read them: `quantization` is a `BitsAndBytesConfig`, `lora` a
`LoraConfig`, `sft` a TRL `SFTConfig`. Only the libraries know which names exist; a wrong one is refused when they are
built. What no library has is in `recipe`.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import InputError
from .evidence import EvidenceSettings

# QLoRA as published (arXiv 2305.14314) with this method's settings.
_PUBLISHED: dict[str, Any] = {
    "content_tokens": 160,
    "quantization": {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": "bfloat16",
    },
    "lora": {
        "r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.1,
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
    },
    "sft": {
        "num_train_epochs": 4,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 16,
        "optim": "paged_adamw_32bit",
        "learning_rate": 1e-4,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.03,
        "weight_decay": 0.001,
        "max_grad_norm": 0.3,
        "bf16": True,
        # The limit of the content bounds the length: nothing may cut the answer off.
        "max_length": None,
        "seed": 42,
        "logging_steps": 10,
        # Shares of all steps. What validates is also saved, so that the best can be kept.
        "eval_strategy": "steps",
        "eval_steps": 0.1,
        "save_strategy": "steps",
        "save_steps": 0.1,
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_mae",
        "greater_is_better": False,
    },
    "recipe": {},
}
_OWN: dict[str, dict[str, Any]] = {
    "llama-3.2-1b": {"base_model": "meta-llama/Llama-3.2-1B"},
    "llama-3.2-3b": {"base_model": "meta-llama/Llama-3.2-3B"},
    "llama-3.1-8b": {"base_model": "meta-llama/Llama-3.1-8B"},
    # A model of a few million parameters: float32 is faster on most CPUs, batches are cheap, and it needs more change.
    # What it reads, and how it learns, is what helped a small price history most: docs/training-log.md.
    "embedded": {
        "base_model": "embedded",
        "content_tokens": 64,
        "quantization": {"bnb_4bit_compute_dtype": "float32"},
        "lora": {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05},
        "sft": {
            "per_device_train_batch_size": 16,
            "gradient_accumulation_steps": 1,
            "learning_rate": 2e-3,
            "num_train_epochs": 8,
            "max_grad_norm": 1.0,
            "bf16": False,
        },
        "recipe": {"evidence": {}, "target_width": 0.3, "price_jitter": 0.7},
    },
}
PRESETS = tuple(_OWN)
TRACKERS = ("wandb", "tensorboard")


class Recipe(BaseModel):
    """What this project adds to the published method; all of it off is that method.

    Args:
        evidence: what other methods' estimates stand in the prompts; None for the book's text alone.
        target_width: standard deviation, in the logarithm of the price, of soft targets around the true price; 0 for
            the true price alone.
        price_jitter: standard deviation of the logarithm of a random factor by which, in most rows, all prices of a
            prompt and its answer are multiplied; it teaches to read evidence whatever the level of prices.
        early_stopping: validations without a better one after which training ends; None for never.
        validation_books: at most so many books of the validation split are measured.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    evidence: EvidenceSettings | None = None
    target_width: float = Field(0.0, ge=0, le=2)
    price_jitter: float = Field(0.0, ge=0, le=2)
    early_stopping: int | None = Field(None, ge=1)
    validation_books: int = Field(2000, ge=0)


class FinetuneSettings(BaseModel):
    """All settings of one fine-tuning run.

    Args:
        base_model: `embedded`, a hub id or a folder.
        content_tokens: token limit of a book's content.
        quantization: `BitsAndBytesConfig` arguments.
        lora: `LoraConfig` arguments; None trains all weights.
        sft: `SFTConfig` arguments.
        recipe: what no library has.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    preset: str
    base_model: str
    base_revision: str | None = None
    content_tokens: int
    quantization: dict[str, Any]
    lora: dict[str, Any] | None
    sft: dict[str, Any]
    recipe: Recipe = Recipe()

    @property
    def quantized(self) -> bool:
        """Whether the base is rounded to NF4 for training."""
        return bool(self.quantization.get("load_in_4bit"))


def load_settings(preset: str, config: Path | None = None, overrides: Sequence[str] = ()) -> FinetuneSettings:
    """A preset, changed by a YAML file and by `name=value` overrides such as `lora.r=16`, in this order.

    Raises:
        InputError: an unknown preset or setting, an unreadable file, or a malformed override.
    """
    if preset not in _OWN:
        raise InputError(f"there is no preset {preset!r}; choose one of {', '.join(PRESETS)}")
    values = _merge(copy.deepcopy(_PUBLISHED), {"preset": preset, **_OWN[preset]})
    if config is not None:
        try:
            loaded = yaml.safe_load(config.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise InputError(
                f"the settings file {config} cannot be read as YAML; correct it or leave it out"
            ) from error
        if not isinstance(loaded, dict):
            raise InputError(f"the settings file {config} must hold names and values, such as `lora: {{r: 16}}`")
        values = _merge(values, loaded)
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--set takes name=value, such as lora.r=16, not {override!r}")
        try:
            value = yaml.safe_load(text)
        except (ValueError, yaml.YAMLError) as error:
            raise InputError(f"--set {name}: {text!r} is not a value") from error
        # YAML 1.1 reads 1e-4 as text.
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                value = float(value)
        for part in reversed(name.strip().split(".")):
            value = {part: value}
        values = _merge(values, value)
    try:
        return FinetuneSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"the setting {'.'.join(map(str, first['loc']))!r} is wrong: {first['msg'].lower()}"
        ) from error


def check_trackers(names: Sequence[str]) -> None:
    """Refuse a tracker that is not known.

    Raises:
        InputError: as said.
    """
    if unknown := set(names) - set(TRACKERS):
        raise InputError(f"there is no tracker {sorted(unknown)[0]!r}; choose one of {', '.join(TRACKERS)}")


def _merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, dict by dict."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = copy.deepcopy(value)
    return base

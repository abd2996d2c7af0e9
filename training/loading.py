"""A model folder, or a plain causal language model, into memory and ready to score.

An adapter trained on NF4 weights belongs to those: the base is rounded to NF4 and back with bitsandbytes, and the
adapter merged into the result, which gives the logits of the quantized model at the speed of a plain one.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .calibration import Calibration
from .errors import InputError
from .evidence import Evidence
from .last_states import bf16_helps
from .model_folder import ModelFolder, PricerConfig, find_base, find_model, fingerprint_weights
from .prompt import PromptBuilder
from .scoring import PriceScorer

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# For a plain model without a pricer.json: the method's own limit.
DEFAULT_CONTENT_TOKENS = 160


@dataclass(frozen=True)
class Pricer:
    """A loaded model, its tokenizer, and what its folder says about it; `fingerprint` names its weights.

    `model` is None where a server runs it (`describe_pricer`).
    """

    name: str
    revision: str | None
    path: Path
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    config: PricerConfig
    calibration: Calibration | None
    fingerprint: str
    evidence: Evidence | None = None

    def prompt_builder(self) -> PromptBuilder:
        """What makes the prompts that this model was trained on."""
        return PromptBuilder(self.tokenizer, self.config.content_tokens, self.evidence)

    @cached_property
    def scorer(self) -> PriceScorer:
        """What reads price distributions off the model; a plain model is left in its own precision."""
        return PriceScorer(self.model, self.tokenizer, bf16=self.config.preset != "none" and bf16_helps(self.model))


def choose_device(device: str | None = None) -> torch.device:
    """`device`, or the first GPU, or the CPU.

    Raises:
        InputError: no such device here.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"there is no device {device!r} here; try 'cpu'") from error
    return chosen


def load_pricer(
    name: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: torch.dtype | None = None,
    in_4bit: bool = False,
) -> Pricer:
    """Load a pricer by name: `embedded`, a model folder, a hub id, or a plain causal language model.

    Args:
        dtype: of the weights; float32 on a CPU and bfloat16 on a GPU where None.
        in_4bit: keep the base in the 4 bits that it was tuned in, and the adapter beside it: a quarter of the memory,
            and slower.

    Raises:
        InputError: no such model, one that cannot be read, a base model other than the adapter's, or one that was not
            tuned in 4 bits and is asked for in them.
    """
    path = find_model(name, revision)
    folder = ModelFolder(path)
    if in_4bit and not (folder.adapter.exists() and (path / "pricer.json").exists() and folder.config.quantized):
        raise InputError(f"{name} was not tuned on weights in 4 bits and cannot be loaded in them; leave that out")
    if not (path / "pricer.json").exists() and (path / "config.json").exists():
        model, tokenizer = load_base(path, choose_device(device), dtype)
        config = PricerConfig(base_model=str(name), content_tokens=DEFAULT_CONTENT_TOKENS)
        return Pricer(str(name), revision, path, model.eval(), tokenizer, config, None, fingerprint_weights(path))

    config = folder.config
    if not config.base_model:
        raise InputError(f"{name} holds baselines only, no language model; tune one with `bookpricer train`")
    if folder.weights.exists():
        model, tokenizer = load_base(folder.weights, choose_device(device), dtype)
        own = fingerprint_weights(folder.weights)
    else:
        base = find_base(config.base_model, config.base_revision)
        if fingerprint_weights(base) != config.base_fingerprint:
            raise InputError(f"{name} was trained on another {config.base_model} than the one at hand; train it again")
        model, tokenizer = load_base(base, choose_device(device), dtype, in_4bit=in_4bit)
        own = ""
    if config.quantized and not in_4bit:
        round_to_nf4(model)
    if folder.adapter.exists():
        own = fingerprint_weights(folder.adapter)
        from peft import PeftModel

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                model = PeftModel.from_pretrained(model, str(folder.adapter))
                # Merged into the packed weights, the adapter would be rounded, too.
                model = model if in_4bit else model.merge_and_unload()
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise InputError(f"the adapter in {path} cannot be loaded ({_first_line(error)})") from error
    return _pricer(name, revision, folder, config, model.eval(), tokenizer, own)


def describe_pricer(name: str | Path, *, revision: str | None = None) -> Pricer:
    """As `load_pricer`, without the weights: for a server that has them.

    A folder that holds no more than a tokenizer is enough.

    Raises:
        InputError: no such model, or one that cannot be read.
    """
    path = find_model(name, revision)
    folder = ModelFolder(path)
    if not (path / "pricer.json").exists():
        config = PricerConfig(base_model=str(name), content_tokens=DEFAULT_CONTENT_TOKENS)
        return Pricer(str(name), revision, path, None, load_tokenizer(path), config, None, "")
    config = folder.config
    if not config.base_model:
        raise InputError(f"{name} holds baselines only, no language model; tune one with `bookpricer train`")
    whole = folder.weights.exists()
    tokens = folder.weights if whole else find_base(config.base_model, config.base_revision, only="*.json")
    weights = folder.weights if whole else folder.adapter
    own = fingerprint_weights(weights) if weights.exists() else ""
    return _pricer(name, revision, folder, config, None, load_tokenizer(tokens), own)


def _pricer(
    name: str | Path,
    revision: str | None,
    folder: ModelFolder,
    config: PricerConfig,
    model: PreTrainedModel | None,
    tokenizer: PreTrainedTokenizerBase,
    own: str,
) -> Pricer:
    """With all that belongs to the model: `own` is the fingerprint of its adapter, or of its own weights."""
    calibration = Calibration.load(folder.calibration) if folder.calibration.exists() else None
    fingerprint = f"{config.base_fingerprint[:16]}-{own[:16]}"
    evidence = Evidence.load(config.evidence, folder.baselines) if config.evidence else None
    return Pricer(str(name), revision, folder.path, model, tokenizer, config, calibration, fingerprint, evidence)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model's folder.

    Raises:
        InputError: none there, or unreadable.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no readable tokenizer ({_first_line(error)})") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(
    folder: Path, device: torch.device, dtype: torch.dtype | None = None, *, in_4bit: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model and its tokenizer, in `dtype`, or float32 on a CPU and bfloat16 on a GPU.

    With `in_4bit` its linear weights are packed as NF4 with double quantization, as QLoRA's base has them.

    Raises:
        InputError: a folder that holds none, or damaged files.
    """
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    tokenizer = load_tokenizer(folder)
    dtype = dtype or (torch.float32 if device.type == "cpu" else torch.bfloat16)
    packed = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    try:
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            **({"quantization_config": packed, "device_map": {"": device}} if in_4bit else {}),
            local_files_only=True,
            use_safetensors=True,
        )
    except Exception as error:  # transformers and safetensors raise many kinds for a damaged folder
        raise InputError(f"{folder} holds no readable language model ({_first_line(error)})") from error
    return model if in_4bit else model.to(device), tokenizer


@torch.no_grad()
def round_to_nf4(model: PreTrainedModel) -> None:
    """Round every linear weight but the head's to NF4 with double quantization, in place, as QLoRA's base has them."""
    # On CPUs with bf16 the import warns of an optional kernel package that nothing here uses.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    head = model.get_output_embeddings()
    for module in model.modules():
        if isinstance(module, torch.nn.Linear) and module is not head:
            packed, state = quantize_4bit(module.weight.data, quant_type="nf4", compress_statistics=True)
            module.weight.data.copy_(dequantize_4bit(packed, state))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

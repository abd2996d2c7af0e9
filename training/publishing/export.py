"""A pricer as a plain language model: the adapter merged into its base, for vLLM, llama.cpp, transformers and others.

The merged weights are those that `load_pricer` prices with: an adapter that was trained on NF4 weights goes into those,
dequantized. Beside them lie `pricer.json` and `calibration.json`, by which Book Pricer still knows unit, currency,
prompt and intervals, and which other programs do not look at; and the baselines that the prompts' evidence comes from,
where the model was trained with any.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import InputError
from ..loading import load_pricer
from ..model_folder import ModelFolder, PricerConfig, check_new, find_model, new_folder
from .licences import LICENCE_FILES, licence_advice, licence_of
from .model_card import CARD, build_card, is_local

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# The largest weights file: one that any file system, upload and download takes.
SHARD = "4GB"
# Copied as the base has them, so that no version of a library rewrites them.
_TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model", "added_tokens.json",
    "vocab.json", "merges.txt",
)  # fmt: skip
_REPORTS = ("training.json", "evaluation.json")

Say = Callable[[str], None]


def export_model(
    name: str | Path,
    out: Path,
    *,
    dtype: str = "bfloat16",
    revision: str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    shard: str = SHARD,
    say: Say = lambda sentence: None,
) -> Path:
    """Write a model folder's language model, whole, as safetensors, `config.json` and tokenizer, with a card.

    It is loaded, merged and written in `dtype`, a layer at a time: memory is needed for the model once (measured: 1.25
    times the size of the files).

    Args:
        name: a model folder, a hub id or `embedded`.
        out: the folder to make; it appears only when it is whole.
        dtype: `float32`, `bfloat16` or `float16`; in float32 prices stay as they are.
        device: where to merge.
        overwrite: replace an earlier export.
        shard: the largest weights file.
        say: told what the base model's licence asks for.

    Returns:
        `out`.

    Raises:
        InputError: no such model or precision, a model without a language model, or an `out` that may not be written.
    """
    if dtype not in DTYPES:
        raise InputError(f"there is no precision {dtype!r} to export in; choose one of {', '.join(DTYPES)}")
    source = find_model(name, revision)
    _check_target(source, out, overwrite)
    pricer = load_pricer(name, revision=revision, device=device, dtype=DTYPES[dtype])
    # Where the tokenizer came from: the base model's folder, where this one holds an adapter.
    origin = Path(pricer.tokenizer.name_or_path)
    with new_folder(out, overwrite) as work:
        try:
            _write_model(pricer.model, work, shard)
            _copy_tokenizer(origin, work)
            _copy_about(source, origin, pricer.config, work)
            config = pricer.config.model_copy(
                update={"base_model": _public_name(pricer.config.base_model), "quantized": False}
            )
            for baseline in config.evidence.needed if config.evidence else ():
                shutil.copytree(ModelFolder(source).baselines / baseline, ModelFolder(work).baselines / baseline)
            if pricer.calibration is not None:
                pricer.calibration.save(ModelFolder(work).calibration)
            ModelFolder(work).write_config(config)
            (work / CARD).write_text(build_card(work, out.resolve().name), encoding="utf-8")
            for path in work.iterdir():
                if path.is_file():
                    path.chmod(0o644)  # safetensors keeps its files from a server that runs as another user
        except InputError:
            raise
        except Exception as error:  # safetensors has its own kind for a full disk
            if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] != "safetensors":
                raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise InputError(f"{out} could not be written ({reason}); make room, or choose another place") from error
    if config.evidence:
        say(f"{ModelFolder(out).baselines} holds what its prompts need, prices of single training books among it")
    if advice := licence_advice(out.resolve().name, licence_of(config.base_model)):
        say(advice)
    return out


def _check_target(source: Path, out: Path, overwrite: bool) -> None:
    """Refuse to replace anything but an earlier export, and the model itself.

    Raises:
        InputError: as said.
    """
    if out.resolve() == source.resolve():
        raise InputError(f"{out} is the model itself; choose another folder")
    check_new(out, overwrite)
    if out.is_dir() and any(out.iterdir()) and ModelFolder(out).weights != out:
        raise InputError(
            f"{out} is a model folder, not an export of one, and will not be replaced; choose another name"
        )


def _write_model(model: PreTrainedModel, out: Path, shard: str) -> None:
    """Weights and configurations, which older readers know, too."""
    # Servers take their defaults from here: the base's sampling (Llama's has temperature 0.6) is not for prices.
    generation = model.generation_config
    generation.do_sample = False
    for name in ("temperature", "top_p", "top_k", "min_p", "typical_p"):
        if hasattr(generation, name):
            setattr(generation, name, None)
    model.save_pretrained(out, max_shard_size=shard)
    path = out / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(_with_old_names(config), indent=2) + "\n", encoding="utf-8")


def _with_old_names(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration of transformers 5 that says the same in the names of 4, which vLLM and llama.cpp may read.

    A reader that does not know `rope_parameters` would fall back to another rotation, and price wrongly.
    """
    rope = config.get("rope_parameters")
    if isinstance(rope, dict) and "rope_theta" in rope:
        rest = {key: value for key, value in rope.items() if key != "rope_theta"}
        config["rope_theta"] = rope["rope_theta"]
        config["rope_scaling"] = rest if rest.get("rope_type", "default") != "default" else None
    config["torch_dtype"] = config["dtype"]
    return config


def _copy_tokenizer(origin: Path, out: Path) -> None:
    for name in _TOKENIZER_FILES:
        if (origin / name).is_file():
            shutil.copyfile(origin / name, out / name)
    path = out / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    if settings.get("tokenizer_class") == "TokenizersBackend":
        # Version 5's name for the same class.
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    for name in ("backend", "is_local", "local_files_only", "name_or_path"):
        settings.pop(name, None)
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _copy_about(source: Path, origin: Path, config: PricerConfig, out: Path) -> None:
    """The figures of the run, and the licence that came with the base."""
    for name in _REPORTS:
        path = ModelFolder(source).report / name
        if path.is_file():
            ModelFolder(out).report.mkdir(exist_ok=True)
            # Not where the base lay on this machine.
            text = path.read_text(encoding="utf-8")
            text = text.replace(json.dumps(config.base_model), json.dumps(_public_name(config.base_model)))
            (ModelFolder(out).report / name).write_text(text, encoding="utf-8")
    for name in LICENCE_FILES:
        if (origin / name).is_file():
            shutil.copyfile(origin / name, out / name)
    if notice := licence_of(config.base_model).notice:
        (out / "NOTICE").write_text(notice, encoding="utf-8")


def _public_name(base_model: str) -> str:
    return Path(base_model).name if is_local(base_model) else base_model

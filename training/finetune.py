"""QLoRA fine-tuning: priced books in, a model folder out. Needs the extra `train`.

Knows settings, data and TRL; what the trained adapter is good for, `loading` and `scoring` know.
"""

from __future__ import annotations

import inspect
import json
import logging
import statistics
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .calibration import MIN_BOOKS, Calibration
from .dataset import PricedBook, prompt_rows
from .errors import InputError
from .evaluation import price_errors
from .loading import choose_device, load_pricer, load_tokenizer
from .measuring import book_distributions, measure_model
from .model_folder import ModelFolder, PricerConfig, find_base, fingerprint_weights, new_folder
from .presets import FinetuneSettings
from .prompt import PromptBuilder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from trl import SFTTrainer

Say = Callable[[str], None]


def finetune(
    settings: FinetuneSettings,
    splits: Mapping[str, Sequence[PricedBook]],
    out: Path,
    *,
    currency: str = "USD",
    unit: float = 1.0,
    data_fingerprint: str | None = None,
    demonstration: bool = False,
    device: str | None = None,
    overwrite: bool = False,
    say: Say = print,
) -> dict[str, Any]:
    """Tune a base model on the training split and write the model folder, calibrated on the calibration split.

    Args:
        settings: what to train and how.
        splits: priced books by split: `train`, `calibration` and `test`.
        out: the model folder to make; it appears only when it is whole.
        currency, unit: what one model dollar stands for.
        device: where to train; the first GPU or the CPU where None.
        say: where progress goes, a sentence at a time.

    Returns:
        The report that is also written to `report/training.json`: settings, losses, parameter counts.

    Raises:
        InputError: unusable settings or base model, no training books, or an `out` that may not be written.
    """
    _need_trainer()
    if not splits.get("train"):
        raise InputError("there are no books to train on; give a catalogue with more priced books")
    with new_folder(out, overwrite) as work:
        folder = ModelFolder(work)
        base = find_base(settings.base_model, settings.base_revision)
        tokenizer = load_tokenizer(base)
        trainer = build_trainer(settings, base, tokenizer, splits["train"], folder.report, device)
        trainable = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
        say(f"training {trainable:,} LoRA parameters on {len(splits['train']):,} books")
        result = trainer.train()
        # The name that a user gave, not where it lies on this machine.
        trainer.model.peft_config["default"].base_model_name_or_path = settings.base_model
        trainer.model.save_pretrained(folder.adapter)
        # peft's template of a card, with nothing filled in.
        (folder.adapter / "README.md").unlink(missing_ok=True)
        folder.report.mkdir(exist_ok=True)
        report = {
            "settings": settings.model_dump(),
            "trainable_parameters": trainable,
            "steps": result.global_step,
            "train_loss": result.training_loss,
            "losses": [
                {key: entry[key] for key in ("step", "loss", "learning_rate") if key in entry}
                for entry in trainer.state.log_history
                if "loss" in entry
            ],
        }
        (folder.report / "training.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        folder.write_config(
            PricerConfig(
                preset=settings.preset,
                base_model=settings.base_model,
                base_revision=settings.base_revision,
                base_fingerprint=fingerprint_weights(base),
                quantized=bool(settings.quantization.get("load_in_4bit")),
                content_tokens=settings.content_tokens,
                currency=currency,
                unit=unit,
                data_fingerprint=data_fingerprint,
                demonstration=demonstration,
            )
        )
        del trainer
        _calibrate(folder, splits.get("calibration", ()), device, say)
    return report


def _calibrate(folder: ModelFolder, books: Sequence[PricedBook], device: str | None, say: Say) -> None:
    """Fit the intervals on books that training did not see; without enough of them the model's own stay."""
    if len(books) < MIN_BOOKS:
        say(f"not calibrated: {len(books)} calibration books, {MIN_BOOKS} needed; intervals are the model's own")
        return
    pricer = load_pricer(folder.path, device=device)
    say(f"calibrating on {len(books):,} books")
    distributions = book_distributions(pricer, books)
    Calibration.fit(distributions, [priced.units for priced in books]).save(folder.calibration)


def evaluate_split(
    model: Path, splits: Mapping[str, Sequence[PricedBook]], device: str | None = None
) -> dict[str, Mapping[str, float | None]]:
    """Errors on the test split, in units, beside those of the training books' median for each; empty without books."""
    books = splits.get("test", ())
    if not books:
        return {}
    actual = [priced.units for priced in books]
    constant = statistics.median(priced.units for priced in splits["train"])
    return {
        "model": measure_model(model, books, device=device),
        "constant (median)": price_errors([constant] * len(actual), actual),
    }


def build_trainer(
    settings: FinetuneSettings,
    base: Path,
    tokenizer: PreTrainedTokenizerBase,
    books: Sequence[PricedBook],
    output: Path,
    device: str | None = None,
) -> SFTTrainer:
    """TRL's trainer over an NF4 base with a fresh LoRA adapter, its loss on the completion only.

    Raises:
        InputError: a setting that the libraries do not know or refuse.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    chosen = choose_device(device)
    quantization = _build(BitsAndBytesConfig, "quantization", settings.quantization)
    lora = _build(LoraConfig, "lora", {"task_type": "CAUSAL_LM", **settings.lora})
    arguments = _build(
        SFTConfig,
        "sft",
        {
            "output_dir": str(output),
            "completion_only_loss": True,
            "activation_checkpointing": chosen.type != "cpu",
            "use_cpu": chosen.type == "cpu",
            "logging_steps": 10,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": False,
            **settings.sft,
        },
    )
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base,
            dtype=torch.float32 if chosen.type == "cpu" else torch.bfloat16,
            quantization_config=quantization if settings.quantization.get("load_in_4bit") else None,
            device_map={"": chosen},
            use_safetensors=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the base model {settings.base_model} cannot be loaded: {str(error).splitlines()[0]}"
        ) from error
    rows = list(prompt_rows(books, PromptBuilder(tokenizer, settings.content_tokens)))
    try:
        trainer = SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=lora,
        )
    except ValueError as error:  # such as target modules that the base model has not
        raise InputError(f"the settings do not fit the base model: {str(error).splitlines()[0]}") from error
    # TRL casts the adapter to bfloat16 over a quantized base; its optimizer needs the precision of float32.
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return trainer


def _build(kind: type, section: str, values: Mapping[str, Any]) -> Any:
    """A library's configuration object, its complaints turned into one sentence."""
    known = inspect.signature(kind).parameters
    if unknown := set(values) - set(known):
        raise InputError(f"there is no setting {section}.{sorted(unknown)[0]} in {kind.__name__}")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise InputError(f"the {section} settings are refused: {str(error).splitlines()[0]}") from error


def _need_trainer() -> None:
    """Say how to install what training needs, and keep the libraries' routine warnings from the user.

    Raises:
        InputError: the extra `train` is not installed.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import datasets  # noqa: F401
            import trl  # noqa: F401
    except ImportError as error:
        raise InputError(f"training needs the extra 'train' ({error}): pip install 'bookpricer[train]'") from error

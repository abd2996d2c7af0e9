"""QLoRA fine-tuning: priced books in, a model folder out. Needs the extra `train`.

Knows settings, data, folders and their order; how a step is trained, `trainer` knows, and what the trained adapter is
good for, `loading` and `scoring`. All that is made lies in a work folder beside the target until the model is whole, so
that a run which was stopped goes on where it was.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .baselines import BASELINES
from .blend import BLENDED, MIN_FIT_BOOKS
from .calibration import MIN_BOOKS, Calibration
from .companions import fit_companions
from .dataset import SplitBooks, prompt_rows
from .errors import InputError
from .evidence import Evidence, training_lines
from .loading import choose_device, load_pricer, load_tokenizer
from .measuring import book_distributions
from .model_folder import ModelFolder, PricerConfig, check_new, find_base, fingerprint_weights, move_folder
from .presets import FinetuneSettings
from .prompt import PromptBuilder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from .trainer import PriceTrainer

Say = Callable[[str], None]


@dataclass
class TrainingRun:
    """Where a run lies until its model is whole: beside the target, under a name that `--resume` finds again."""

    out: Path
    folder: ModelFolder = field(init=False)

    def __post_init__(self) -> None:
        self.work = self.out.parent / f".{self.out.name}.training"
        self.folder = ModelFolder(self.work / "model")
        self.checkpoints = self.work / "checkpoints"
        self._mark = self.work / "made-from.json"

    @property
    def interrupted(self) -> bool:
        """Whether an earlier run lies here that can go on."""
        return self._mark.is_file()

    def baselines_there(self, data: SplitBooks) -> Path | None:
        """Where `bookpricer baselines` has fitted them on the same data, for the model to join them."""
        target = ModelFolder(self.out)
        if not (self.out / "pricer.json").is_file() or not target.baselines.is_dir():
            return None
        config = target.config
        there = (config.base_model, config.data_fingerprint, config.currency, config.unit)
        return target.baselines if there == ("", data.fingerprint, data.currency, data.unit) else None

    def start(self, mark: Mapping[str, Any], resume: bool, overwrite: bool) -> None:
        """Make the work folder, or find that of an interrupted run with the same settings and data.

        Raises:
            InputError: there is an interrupted run and neither flag says what to do with it, none to resume, or one of
                other settings or data.
        """
        text = json.dumps(mark, indent=1, sort_keys=True)
        if resume:
            if not self.interrupted:
                raise InputError(f"there is no interrupted training of {self.out}; start one without --resume")
            if self._mark.read_text(encoding="utf-8") != text:
                raise InputError(
                    f"the interrupted training of {self.out} had other settings or data; give the same to --resume, or "
                    "--overwrite to start anew"
                )
            return
        if self.interrupted and not overwrite:
            raise InputError(
                f"an interrupted training of {self.out} can go on: pass --resume, or --overwrite to start anew"
            )
        shutil.rmtree(self.work, ignore_errors=True)
        try:
            self.folder.path.mkdir(parents=True)
            self._mark.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"{self.out} cannot be written ({error.strerror}); choose another place") from error

    def finish(self) -> None:
        """Put the model where it belongs, and remove everything else."""
        move_folder(self.folder.path, self.out)
        shutil.rmtree(self.work, ignore_errors=True)


def finetune(
    settings: FinetuneSettings,
    data: SplitBooks,
    out: Path,
    *,
    baselines: bool = True,
    demonstration: bool = False,
    track: Sequence[str] = (),
    device: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    say: Say = print,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
) -> dict[str, Any] | None:
    """Tune a base model on the training split and write the model folder, calibrated on the calibration split.

    Under `accelerate launch` every process calls it alike; the first one writes.

    Args:
        settings: what to train and how.
        data: the books.
        out: the model folder to make; it appears only when it is whole.
        baselines: fit into it the classic baselines, the comparables and the blend that cross-check the model; the
            baselines that the prompts' evidence needs are fitted in any case.
        track: where the curves go beside the report: `wandb`, `tensorboard`.
        device: where to train; the first GPU or the CPU where None.
        resume: go on after the last checkpoint of an interrupted run with the same settings and data.
        overwrite: replace a model, or an interrupted run, that is there.
        say: where sentences about the way go.
        progress: called with the steps done, all steps, and the latest measures, after each step.

    Returns:
        The report that is also written to `report/training.json`: settings, curves, parameter counts; None in every
        process but the first.

    Raises:
        InputError: unusable settings or base model, no training books, or an `out` that may not be written.
        TrainingStoppedError: training cannot go on; says whether it can be resumed.
    """
    _need_trainer(track)
    if not data.splits.get("train"):
        raise InputError("there are no books to train on; give a catalogue with more priced books")
    run = TrainingRun(out)
    check_new(out, overwrite or run.baselines_there(data) is not None)
    from accelerate import PartialState

    processes = PartialState(cpu=choose_device(device).type == "cpu")
    base = find_base(settings.base_model, settings.base_revision)
    if processes.is_main_process:
        mark = {"settings": settings.model_dump(mode="json"), "data": data.fingerprint, "baselines": baselines}
        run.start(mark, resume, overwrite)
        _fit_baselines(run, settings, data, baselines, say)
    processes.wait_for_everyone()
    tokenizer = load_tokenizer(base)
    rows, validation = _prompts(run, settings, data, tokenizer)
    trainer = build_trainer(
        settings, base, tokenizer, rows, run.checkpoints,
        validation=validation, logging_dir=out.with_name(f"{out.name}-logs"), track=track, device=device,
    )  # fmt: skip
    report = _train(trainer, settings, data, run, resume, say if processes.is_main_process else _silent, progress)
    if "wandb" in track:
        import wandb

        wandb.finish()  # or it would have its say when the program ends
    _write_weights(trainer, run.folder, settings)
    if processes.is_main_process:
        run.folder.write_config(
            PricerConfig(
                preset=settings.preset,
                base_model=settings.base_model,
                base_revision=settings.base_revision,
                base_fingerprint=fingerprint_weights(base),
                # Weights that were all tuned are no longer the rounded ones.
                quantized=settings.quantized and settings.lora is not None,
                content_tokens=settings.content_tokens,
                currency=data.currency,
                unit=data.unit,
                data_fingerprint=data.fingerprint,
                demonstration=demonstration,
                evidence=settings.recipe.evidence,
            )
        )
        del trainer
        _finish(run, settings, data, baselines, device, say)
        run.finish()
    processes.wait_for_everyone()
    return report if processes.is_main_process else None


def _fit_baselines(run: TrainingRun, settings: FinetuneSettings, data: SplitBooks, every: bool, say: Say) -> None:
    """Fit the baselines, and estimate the training books out of fold for evidence and cross-check; once for a run."""
    from .baselines.fitting import RESULTS, fit_baselines
    from .baselines.out_of_fold import FOLDS, out_of_fold

    evidence = settings.recipe.evidence
    needed = evidence.needed if evidence else ()
    kinds = {name: kind for name, kind in BASELINES.items() if every or name in needed}
    there = run.baselines_there(data)
    if there and not run.folder.baselines.exists():
        shutil.copytree(there, run.folder.baselines)
    if kinds and not (run.folder.baselines / RESULTS).is_file():
        say(f"fitting {len(kinds)} baselines")
        shutil.rmtree(run.folder.path)  # what a run that was killed left of them
        fit_baselines(data.splits, run.folder.path, currency=data.currency, unit=data.unit, kinds=kinds)
    estimated = dict.fromkeys([*(evidence.baselines if evidence else ()), *(BLENDED if every else ())])
    if estimated and not _estimates_file(run).is_file():
        say(f"estimating the training books out of fold, in {FOLDS} parts")
        books = data.splits["train"]
        estimates = out_of_fold(
            {name: BASELINES[name] for name in estimated},
            [priced.book for priced in books],
            [priced.units for priced in books],
        )
        part = _estimates_file(run).with_suffix(".part")
        part.write_text(json.dumps({name: values.tolist() for name, values in estimates.items()}), encoding="utf-8")
        part.replace(_estimates_file(run))


def _estimates_file(run: TrainingRun) -> Path:
    return run.work / "out-of-fold.json"


def _read_estimates(run: TrainingRun) -> dict[str, NDArray[np.float64]]:
    read = json.loads(_estimates_file(run).read_text(encoding="utf-8"))
    return {name: np.array(values) for name, values in read.items()}


def _prompts(
    run: TrainingRun, settings: FinetuneSettings, data: SplitBooks, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[dict[str, str]], ValidationRows]:
    """TRL's rows of the training split and of the validation split, each with the evidence that belongs to it."""
    evidence, lines = None, None
    if settings.recipe.evidence:
        evidence = Evidence.load(settings.recipe.evidence, run.folder.baselines)
        lines = training_lines(settings.recipe.evidence, evidence.baselines, _read_estimates(run))
    plain = PromptBuilder(tokenizer, settings.content_tokens)
    rows = list(prompt_rows(data.splits["train"], plain, lines=lines))
    books = data.splits.get("validation", ())[: settings.recipe.validation_books]
    told = PromptBuilder(tokenizer, settings.content_tokens, evidence)
    return rows, ValidationRows(list(prompt_rows(books, told)), [priced.units for priced in books])


@dataclass(frozen=True)
class ValidationRows:
    """Rows that are measured while training goes on, and their prices in units."""

    rows: Sequence[Mapping[str, str]] = ()
    units: Sequence[float] = ()


def _train(
    trainer: PriceTrainer,
    settings: FinetuneSettings,
    data: SplitBooks,
    run: TrainingRun,
    resume: bool,
    say: Say,
    progress: Callable[[int, int, Mapping[str, float]], None] | None,
) -> dict[str, Any]:
    """Train to the end, writing report and curves on the way; what stops it leaves the last good checkpoint."""
    import torch
    from safetensors import SafetensorError

    from .trainer import Progress, TrainingStoppedError, last_complete_checkpoint, plot_curves

    trainable = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    report: dict[str, Any] = {
        "settings": settings.model_dump(mode="json"),
        "books": {name: len(books) for name, books in data.splits.items()},
        "trainable_parameters": trainable,
    }

    def write(history: Sequence[Mapping[str, float]]) -> None:
        names = ("step", "epoch", "loss", "learning_rate", "grad_norm", "eval_loss", "eval_mae")
        report["curves"] = [
            {name: entry[name] for name in names if name in entry}
            for entry in history
            if {"loss", "eval_loss", "eval_mae"} & set(entry)
        ]
        run.folder.report.mkdir(exist_ok=True)
        (run.folder.report / "training.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        plot_curves(report["curves"], run.folder.report / "training.png")

    checkpoint = last_complete_checkpoint(run.checkpoints) if resume else None
    kind = "LoRA parameters" if settings.lora is not None else "parameters"
    say(
        f"training {trainable:,} {kind} on {len(data.splits['train']):,} books"
        + (f", from step {checkpoint.name.rpartition('-')[2]} on" if checkpoint else "")
    )
    trainer.add_callback(Progress(progress or (lambda *_: None), write))
    start = time.perf_counter()
    go_on = "the last good checkpoint is kept: go on with --resume"
    try:
        result = trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError as error:
        raise InputError(
            "the memory of the device is too small for this training: lower sft.per_device_train_batch_size and raise "
            "sft.gradient_accumulation_steps as much"
        ) from error
    except (OSError, SafetensorError) as error:
        raise TrainingStoppedError(f"the training cannot be written ({error}); free some room; {go_on}") from error
    except RuntimeError as error:
        # What torch raises when a file cannot be written, and nothing tells it from other errors but its words.
        if "PytorchStreamWriter" not in str(error) and "file write failed" not in str(error):
            raise
        raise TrainingStoppedError(f"the training cannot be written; free some room; {go_on}") from error
    report |= {
        "steps": result.global_step,
        "train_loss": result.training_loss,
        "seconds": round(time.perf_counter() - start, 1),
        "best_step": trainer.state.best_global_step,
        "best_mae": trainer.state.best_metric,
    }
    if trainer.is_world_process_zero():
        write(trainer.state.log_history)
    return report


def _write_weights(trainer: PriceTrainer, folder: ModelFolder, settings: FinetuneSettings) -> None:
    """The adapter, or the whole model with its tokenizer where all weights were trained; every process calls it."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    target = folder.weights if settings.lora is None else folder.adapter
    if settings.lora is not None:
        # The name that a user gave, not where it lies on this machine.
        model.peft_config["default"].base_model_name_or_path = settings.base_model
    if trainer.is_fsdp_enabled:  # each process holds a shard
        trainer.save_model(str(target))
    elif trainer.is_world_process_zero():
        model.save_pretrained(target)
    if trainer.is_world_process_zero():
        # peft's template of a card, with nothing filled in, and the trainer's pickled arguments.
        for name in ("README.md", "training_args.bin"):
            (target / name).unlink(missing_ok=True)
        if settings.lora is None:
            trainer.processing_class.save_pretrained(target)


def _finish(
    run: TrainingRun, settings: FinetuneSettings, data: SplitBooks, every: bool, device: str | None, say: Say
) -> None:
    """Fit on the calibration split what training did not see: the intervals, and the blend of the cross-check."""
    books = data.splits.get("calibration", ())
    if len(books) < MIN_BOOKS:
        say(f"not calibrated: {len(books)} calibration books, {MIN_BOOKS} needed; intervals are the model's own")
        return
    pricer = load_pricer(run.folder.path, device=device)
    say(f"calibrating on {len(books):,} books")
    distributions = book_distributions(pricer, books)
    Calibration.fit(distributions, [priced.units for priced in books]).save(run.folder.calibration)
    if not every:
        return
    say("indexing the comparable books and fitting the cross-check's blend")
    estimates = _read_estimates(run)
    blended = fit_companions(
        run.folder,
        data.splits["train"],
        books,
        baselines={name: BASELINES[name].load(run.folder.baselines / name) for name in estimates},
        estimates=estimates,
        distributions=distributions,
    )
    if not blended:
        say(f"no cross-check: {len(data.splits['train'])} training books, {MIN_FIT_BOOKS} needed")


def build_trainer(
    settings: FinetuneSettings,
    base: Path,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Mapping[str, str]],
    output: Path,
    *,
    validation: ValidationRows | None = None,
    logging_dir: Path | None = None,
    track: Sequence[str] = (),
    device: str | None = None,
) -> PriceTrainer:
    """TRL's trainer over an NF4 base with a fresh LoRA adapter, its loss on the completion only.

    Args:
        rows: prompts and completions to train on.
        output: where checkpoints go.
        validation: rows to measure; without any, nothing is measured on the way and no checkpoint is the best.
        logging_dir, track: where and to what curves are sent.

    Raises:
        InputError: a setting that the libraries do not know or refuse.
    """
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import (
        AutoModelForCausalLM,
        BitsAndBytesConfig,
        EarlyStoppingCallback,
        PrinterCallback,
        TrainerCallback,
    )
    from trl import SFTConfig

    from .trainer import PriceTrainer, as_float32

    validation = validation or ValidationRows()
    chosen = choose_device(device)
    quantization = _build(BitsAndBytesConfig, "quantization", settings.quantization)
    lora = None
    if settings.lora is not None:
        lora = _build(LoraConfig, "lora", {"task_type": "CAUSAL_LM", **settings.lora})
    elif settings.quantized:
        raise InputError("weights in 4 bits cannot all be trained; pass quantization.load_in_4bit=false with lora=null")
    unvalidated = {"eval_strategy": "no", "load_best_model_at_end": False, "metric_for_best_model": None}
    arguments = _build(
        SFTConfig,
        "sft",
        {
            "output_dir": str(output),
            "completion_only_loss": True,
            "activation_checkpointing": chosen.type != "cpu",
            "use_cpu": chosen.type == "cpu",
            "report_to": [name for name in track if name != "tensorboard"] or "none",
            "run_name": output.parent.name.removeprefix(".").removesuffix(".training"),
            "restore_callback_states_from_checkpoint": True,
            "disable_tqdm": True,
            # A loss that is no number must be seen.
            "logging_nan_inf_filter": False,
            **settings.sft,
            **({} if validation.rows else unvalidated),
        },
    )
    sharded = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    try:
        model = AutoModelForCausalLM.from_pretrained(
            base,
            # All weights are trained in full precision; frozen ones are in that of the arithmetic.
            dtype=torch.float32 if chosen.type == "cpu" or lora is None else quantization.bnb_4bit_compute_dtype,
            quantization_config=quantization if settings.quantized else None,
            # FSDP places the shards itself.
            device_map=None if sharded else {"": arguments.device},
            use_safetensors=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"the base model {settings.base_model} cannot be loaded: {str(error).splitlines()[0]}"
        ) from error
    callbacks: list[TrainerCallback] = []
    if settings.recipe.early_stopping and validation.rows:
        callbacks.append(EarlyStoppingCallback(settings.recipe.early_stopping))
    if "tensorboard" in track:
        from tensorboardX import SummaryWriter
        from transformers.integrations import TensorBoardCallback

        callbacks.append(TensorBoardCallback(SummaryWriter(logdir=str(logging_dir))))
    try:
        trainer = PriceTrainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_list([dict(row) for row in rows]),
            eval_dataset=Dataset.from_list([dict(row) for row in validation.rows]) if validation.rows else None,
            processing_class=tokenizer,
            peft_config=lora,
            callbacks=callbacks,
            target_width=settings.recipe.target_width,
            price_jitter=settings.recipe.price_jitter,
            validation=([row["prompt"] for row in validation.rows], validation.units),
        )
    except ValueError as error:  # such as target modules that the base model has not
        raise InputError(f"the settings do not fit the base model: {str(error).splitlines()[0]}") from error
    # It prints what the callbacks tell.
    trainer.remove_callback(PrinterCallback)
    if not sharded:  # which wants one type in each shard
        as_float32(trainer.model)
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


def _need_trainer(track: Sequence[str]) -> None:
    """Say how to install what training needs, and keep the libraries' routine warnings from the user.

    Raises:
        InputError: the extra `train`, or the one of a tracker, is not installed.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import datasets  # noqa: F401
            import trl  # noqa: F401
    except ImportError as error:
        raise InputError(f"training needs the extra 'train' ({error}): pip install 'bookpricer[train]'") from error
    for tracker, (module, extra) in {"wandb": ("wandb", "wandb"), "tensorboard": ("tensorboardX", "train")}.items():
        if tracker in track and importlib.util.find_spec(module) is None:
            raise InputError(f"tracking with {tracker} needs the extra '{extra}': pip install 'bookpricer[{extra}]'")


def _silent(sentence: str) -> None:
    pass

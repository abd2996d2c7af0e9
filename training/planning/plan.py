"""A plan before the spend: what a training run will train, how long, in how much memory, and on which GPU it fits.

Made from settings, a model's config and the token counts of the books; loads no weights and trains nothing. The sizes
are `model_shape`'s, the bytes `memory`'s, the seconds `duration`'s; this module puts them together and into words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from ..cleaning import book_content
from ..dataset import PricedBook
from ..errors import InputError
from ..model_folder import EMBEDDED, find_config, find_tokenizer
from ..presets import FinetuneSettings
from ..prompt import ContentCutter, build_completion, build_prompt, with_evidence
from .duration import BANDWIDTH_SHARE, LAUNCH, UTILISATION, cpu_seconds, cpu_step_seconds, gpu_seconds
from .hardware import GPUS, Gpu, find_gpu, gpu_at_hand, main_memory, measure_cpu
from .memory import Batch, estimate_memory, knows_optimizer
from .model_shape import ModelShape, known_config, read_config, read_shape

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PretrainedConfig

GIB = 2**30
# Books whose tokens are counted: more would tell the mean no better.
_SAMPLE = 20_000


class TrainingPlan(BaseModel):
    """What a run will do and need. Bytes and seconds; sentences in `notes` and `warnings`.

    Args:
        sizes_from: the model's config, or its published numbers.
        method: `QLoRA`, `LoRA` or `full tuning`.
        parameters: of the base model; `trainable` of them, or beside them, are trained.
        tokens: of one epoch, without padding; `longest` of one example.
        epochs, steps, batch: passes over the examples, optimizer steps, and examples of a step on all devices.
        memory: bytes of each part on one device, and their `total`.
        device: `cpu` or a GPU's name; `devices` of them share the work.
        device_memory: bytes of one device.
        fits: whether the run fits into that; None where it is unknown.
        smallest_gpu: the first on the list that it fits on; None if there is none.
        seconds: of training alone; None where the device's speed is unknown.
    """

    model_config = ConfigDict(frozen=True)

    preset: str
    base_model: str
    sizes_from: str
    method: str
    parameters: int
    trainable: int
    examples: int
    mean_tokens: float
    longest: int
    tokens: int
    epochs: float
    steps: int
    batch: int
    checkpointing: bool
    optimizer: str
    memory: dict[str, int]
    device: str
    devices: int
    device_memory: int
    fits: bool | None
    smallest_gpu: str | None
    seconds: float | None
    notes: list[str]
    warnings: list[str]


def plan_run(
    settings: FinetuneSettings, books: Sequence[PricedBook], *, gpu: str | None = None, devices: int = 1
) -> TrainingPlan:
    """The plan of `bookpricer train … --dry-run`: finds the config and the tokenizer, counts tokens, plans.

    Where the hub cannot be reached, a preset's published sizes stand in for its config, and the embedded tokenizer for
    its own; `notes` say so.

    Args:
        settings: of the run.
        books: the training split.
        gpu: a GPU's name, `cpu` or `cuda`; the device at hand where None.
        devices: processes that share the work, as `accelerate launch` starts them.

    Raises:
        InputError: no books, no such GPU or base model, or settings that do not fit it.
    """
    if not books:
        raise InputError("there are no books to train on; give a catalogue with more priced books")
    from tokenizers import Tokenizer

    folder: Path | None = None
    notes = []
    try:
        folder = find_config(settings.base_model, settings.base_revision)
        tokenizer = Tokenizer.from_file(str(find_tokenizer(settings.base_model, settings.base_revision)))
    except InputError as error:
        if known_config(settings.base_model) is None:
            raise
        notes.append(f"planned without the hub: {error}")
        notes.append("tokens are counted with the embedded tokenizer, which makes more of them than the model's own")
        tokenizer = Tokenizer.from_file(str(find_tokenizer(EMBEDDED)))
    sample = books[:: max(1, len(books) // _SAMPLE)]
    max_length = int(_sft(settings, "max_length", 1024) or 0)
    lengths = token_lengths(usual_rows(settings, sample, tokenizer), tokenizer, max_length)
    if not lengths:
        raise InputError(f"no example fits into sft.max_length={max_length}; raise it, or lower content_tokens")
    plan = plan_training(
        settings,
        folder,
        round(len(books) * len(lengths) / len(sample)),
        sum(lengths) / len(lengths),
        gpu,
        longest=max(lengths),
        devices=devices,
    )
    return plan.model_copy(update={"notes": [*notes, *plan.notes]})


def plan_training(
    settings: FinetuneSettings,
    config_folder: Path | None,
    examples: int,
    mean_tokens: float,
    gpu: str | None = None,
    *,
    longest: int | None = None,
    devices: int = 1,
) -> TrainingPlan:
    """The plan of a run over examples whose number and tokens are known.

    Args:
        settings: of the run.
        config_folder: that holds the base model's config.json; its published sizes where None.
        examples: rows of the training split.
        mean_tokens: of a row: prompt, answer and end.
        gpu: a GPU's name or `cpu`; the device at hand where None.
        longest: tokens of the longest row; `sft.max_length` where None.
        devices: that share the work.

    Raises:
        InputError: no such GPU or base model, or settings that do not fit it.
    """
    config, source = _config(settings, config_folder)
    shape = read_shape(config, settings.lora, settings.quantization)
    target = _target(gpu)
    longest = longest or int(_sft(settings, "max_length", 1024) or math.ceil(mean_tokens))
    notes: list[str] = []
    rows, row_tokens = float(examples), mean_tokens
    if _sft(settings, "packing", False):
        room = int(_sft(settings, "max_length", 1024))
        rows = math.ceil(examples / max(1, int(room / mean_tokens)))
        row_tokens = longest = room
        notes.append("packed: the number of steps depends on how the books fill the packs, and is estimated")
    schedule = count_steps(settings, int(rows), devices)
    per_device = int(_sft(settings, "per_device_train_batch_size"))
    accumulated = int(_sft(settings, "gradient_accumulation_steps"))
    softened = bool(settings.recipe.target_width or settings.recipe.price_jitter)
    batch = Batch(
        sequences=per_device,
        tokens=longest,
        checkpointing=_checkpoints(settings, target is not None),
        on_gpu=target is not None,
        own_loss=target is None or softened,
        double_quantization=bool(settings.quantization.get("bnb_4bit_use_double_quant")),
        optimizer=str(_sft(settings, "optim")),
        devices=devices,
    )
    memory = estimate_memory(shape, batch)
    on_gpu = replace(batch, on_gpu=True, own_loss=softened, checkpointing=_checkpoints(settings, True))
    needed = estimate_memory(shape, on_gpu).total
    # Padding goes up to the longest of a batch, so that a batch of one has none.
    grouped = per_device == 1 or _sft(settings, "train_sampling_strategy") == "group_by_length"
    usual = replace(batch, tokens=math.ceil(row_tokens if grouped else longest))
    seconds = _seconds(shape, usual, target, schedule)
    available = target.memory if target else main_memory()
    notes += _notes(batch, target, seconds)
    warnings = _warnings(settings, target)
    return TrainingPlan(
        preset=settings.preset,
        base_model=settings.base_model,
        sizes_from=source,
        method="full tuning" if shape.full else "QLoRA" if shape.quantized else "LoRA",
        parameters=shape.parameters,
        trainable=shape.trainable,
        examples=examples,
        mean_tokens=round(mean_tokens, 1),
        longest=longest,
        tokens=round(examples * mean_tokens),
        epochs=round(schedule.epochs, 2),
        steps=schedule.steps,
        batch=per_device * accumulated * devices,
        checkpointing=batch.checkpointing,
        optimizer=batch.optimizer,
        memory={**asdict(memory), "total": memory.total},
        device=target.name if target else "cpu",
        devices=devices,
        device_memory=available,
        fits=memory.total <= available if available else None,
        smallest_gpu=next((name for name, listed in GPUS.items() if needed <= listed.memory), None),
        seconds=seconds,
        notes=notes,
        warnings=warnings,
    )


class Schedule(NamedTuple):
    """Optimizer steps of a run, batches of one device, and passes over the examples."""

    steps: int
    batches: int
    epochs: float


def count_steps(settings: FinetuneSettings, rows: int, devices: int = 1) -> Schedule:
    """The schedule as transformers' `Trainer` makes it of epochs or `max_steps`, batches, accumulation and devices.

    Raises:
        InputError: not one whole batch, where only those count.
    """
    size = int(_sft(settings, "per_device_train_batch_size"))
    accumulated = int(_sft(settings, "gradient_accumulation_steps"))
    drop_last = bool(_sft(settings, "dataloader_drop_last"))
    batches = rows // size if drop_last else math.ceil(rows / size)
    batches = batches // devices if drop_last else math.ceil(batches / devices)
    if not batches:
        raise InputError(f"{rows} examples are fewer than a batch, and sft.dataloader_drop_last leaves them out")
    updates = math.ceil(batches / accumulated)
    steps = int(_sft(settings, "max_steps"))
    if steps < 0:
        steps = math.ceil(float(_sft(settings, "num_train_epochs")) * updates)
    whole, rest = divmod(steps, updates)
    done = whole * batches + min(rest * accumulated, batches)
    return Schedule(steps, done, done / batches)


def usual_rows(
    settings: FinetuneSettings, books: Sequence[PricedBook], tokenizer: Tokenizer
) -> Iterator[dict[str, str]]:
    """The prompt and completion of each book as they will be trained on, with evidence of the usual length."""
    evidence = settings.recipe.evidence
    contents = ContentCutter(tokenizer, settings.content_tokens).cut([book_content(priced.book) for priced in books])
    for content, priced in zip(contents, books, strict=True):
        told = with_evidence(content, evidence.example()) if evidence else content
        yield {"prompt": build_prompt(told.text), "completion": build_completion(priced.units)}


def token_lengths(rows: Iterable[Mapping[str, str]], tokenizer: Tokenizer, max_length: int) -> list[int]:
    """Tokens of each training row as TRL makes it of a prompt and a completion; rows that it drops are left out.

    Args:
        rows: prompts and completions.
        tokenizer: of the base model.
        max_length: where TRL cuts a row; 0 for no limit.
    """
    rows = list(rows)
    whole = tokenizer.encode_batch([row["prompt"] + row["completion"] for row in rows])
    lengths = [len(encoding) + 1 for encoding in whole]
    if not max_length:
        return lengths
    prompts = (len(encoding) for encoding in tokenizer.encode_batch([row["prompt"] for row in rows]))
    return [min(length, max_length) for length, prompt in zip(lengths, prompts, strict=True) if prompt < max_length]


def plan_rows(plan: TrainingPlan) -> list[tuple[str, str]]:
    """The plan as rows of a table: what, and how much."""
    share = f"{plan.trainable / plan.parameters:.2%}"
    rows = [
        ("Base model", f"{plan.base_model}, {plan.parameters:,} parameters ({plan.sizes_from})"),
        ("Trained", f"{plan.trainable:,} parameters ({share}) by {plan.method}"),
        ("Examples", f"{plan.examples:,} of {plan.mean_tokens:,.0f} tokens on average, {plan.longest:,} at most"),
        ("Tokens", f"{plan.tokens:,} an epoch, {plan.epochs:g} epochs"),
        ("Steps", f"{plan.steps:,} of {plan.batch:,} examples by {plan.optimizer}"),
    ]
    rows += [(f"Memory: {part}", format_bytes(size)) for part, size in plan.memory.items() if size and part != "total"]
    room = f" of {format_bytes(plan.device_memory)}" if plan.device_memory else ""
    count = f"{plan.devices} × " if plan.devices > 1 else ""
    rows.append(("Memory in all", f"{format_bytes(plan.memory['total'])}{room}"))
    rows.append((f"Time on {count}{plan.device}", "unknown" if plan.seconds is None else format_time(plan.seconds)))
    return [*rows, ("Verdict", verdict(plan))]


def verdict(plan: TrainingPlan) -> str:
    """Whether it fits, and the smallest GPU that it fits on, in one phrase."""
    smallest = f"the smallest GPU for it is {plan.smallest_gpu}" if plan.smallest_gpu else "no listed GPU holds it"
    if plan.fits is None:
        return smallest
    return f"{'fits' if plan.fits else 'does not fit'} on {plan.device}; {smallest}"


def format_bytes(size: int) -> str:
    """A size in the largest unit that leaves a number above one."""
    return f"{size / GIB:,.2f} GiB" if size >= GIB else f"{size / 2**20:,.1f} MiB"


def format_time(seconds: float) -> str:
    """A duration in words, as precise as an estimate is."""
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 1.5 * length:
            return f"about {seconds / length:.1f} {unit}"
    return f"about {round(seconds)} seconds" if seconds >= 1.5 else "about a second"


def _config(settings: FinetuneSettings, folder: Path | None) -> tuple[PretrainedConfig, str]:
    if folder is not None:
        return read_config(folder), "config.json"
    known = known_config(settings.base_model)
    if known is None:
        raise InputError(f"there is no config of {settings.base_model} to plan with; name a folder that holds one")
    return known, "as published"


def _sft(settings: FinetuneSettings, name: str, default: Any = None) -> Any:
    """An SFT setting, or what transformers takes where it is not set."""
    from transformers import TrainingArguments

    if name in settings.sft:
        return settings.sft[name]
    fields: Mapping[str, Any] = TrainingArguments.__dataclass_fields__
    return fields[name].default if name in fields else default


def _checkpoints(settings: FinetuneSettings, on_gpu: bool) -> bool:
    """Whether activations are computed again: as set, or by the trainer's default, on a GPU only."""
    named = (settings.sft.get(name) for name in ("activation_checkpointing", "gradient_checkpointing"))
    return bool(next((value for value in named if value is not None), on_gpu))


def _target(gpu: str | None) -> Gpu | None:
    """The GPU to plan for; None is the CPU.

    Raises:
        InputError: one that is not known, or a device that is not here.
    """
    name = (gpu or "").strip().lower()
    if not name:
        return gpu_at_hand()
    if name.startswith("cuda"):  # a device of torch's
        here = gpu_at_hand()
        if here is None:
            raise InputError(f"there is no device {gpu!r} here; name a GPU to plan for with --gpu")
        return here
    return None if name == "cpu" else find_gpu(gpu or "")


def _seconds(shape: ModelShape, batch: Batch, gpu: Gpu | None, schedule: Schedule) -> float | None:
    if gpu is None:
        speed = measure_cpu(batch.all_tokens, shape.width, shape.inner, bool(shape.quantized))
        steps = schedule.steps * cpu_step_seconds(shape, speed)
        return round(schedule.batches * cpu_seconds(shape, batch, speed) + steps, 1)
    return round(schedule.batches * gpu_seconds(shape, batch, gpu), 1) if gpu.tflops else None


def _notes(batch: Batch, gpu: Gpu | None, seconds: float | None) -> list[str]:
    notes = ["memory is the peak for the longest rows; time is training alone, without evaluation and baselines"]
    if gpu is None:
        notes.append("time is for this CPU with nothing else to do, from a short measurement of what a step is made of")
    elif seconds is not None:
        notes.append(
            f"time supposes {UTILISATION:.0%} of {gpu.tflops:g} TFLOP/s, {BANDWIDTH_SHARE:.0%} of "
            f"{gpu.bandwidth / 1e9:,.0f} GB/s and {LAUNCH * 1000:g} ms a block and pass for starting kernels; "
            "expect it within a factor of two"
        )
    if batch.devices > 1:
        notes.append(
            "memory is that of each device, which holds a whole model; FSDP would share one, and is not planned"
        )
    if not knows_optimizer(batch.optimizer):
        notes.append(f"the states of {batch.optimizer} are not known here and are counted as AdamW's")
    if batch.on_gpu and batch.optimizer.startswith("paged_"):
        notes.append("a paged optimizer moves its states to the machine's memory when the GPU's is short")
    return notes


def _warnings(settings: FinetuneSettings, gpu: Gpu | None) -> list[str]:
    if gpu is None or gpu.bfloat16:
        return []
    computes_in = str(settings.quantization.get("bnb_4bit_compute_dtype"))
    if not settings.sft.get("bf16") and "bfloat16" not in computes_in:
        return []
    return [
        f"{gpu.name} does not compute in bfloat16; add --set sft.bf16=false --set sft.fp16=true "
        "--set quantization.bnb_4bit_compute_dtype=float16"
    ]

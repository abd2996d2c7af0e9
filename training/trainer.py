"""TRL's `SFTTrainer` for prices: soft targets, the error of the price beside the loss, checkpoints that can be trusted.

Knows tensors, tokenizers and TRL; knows nothing about books or folders of models. Needs the extra `train`.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from .distribution import PRICES
from .errors import BookPricerError, InputError
from .price_tokens import PriceTrie
from .scoring import PriceScorer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# In a checkpoint, when all of its files are written: a process that is killed may leave one half-written.
_COMPLETE = "complete"
_IGNORED = -100
# Share of a batch's rows whose prices are multiplied.
_JITTERED = 0.7


class TrainingStoppedError(BookPricerError):
    """Training cannot go on; says why, and what to do."""


class PriceTrainer(SFTTrainer):
    """Trains on the standardized prompts, and measures the error of the median price on validation prompts.

    Args:
        target_width: standard deviation, in the logarithm of the price, of the targets around the true price; 0 for
            the true price alone.
        price_jitter: standard deviation of the logarithm of a factor, drawn anew for most rows of each batch, by
            which all prices of a prompt and its answer are multiplied alike. With both 0 the loss is TRL's own.
        validation: standardized prompts and their prices in units; measured at each evaluation as `eval_mae`.
        kwargs: as `SFTTrainer` takes them.

    Raises:
        InputError: soft targets or jitter for a tokenizer that writes prices in several tokens.
    """

    def __init__(
        self,
        *,
        target_width: float = 0.0,
        price_jitter: float = 0.0,
        validation: tuple[Sequence[str], Sequence[float]] = ((), ()),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._validation = validation
        # On a CPU TRL makes the logits of every place, ten times the work; the loss is the same.
        on_cpu = self.args.device.type == "cpu" and PriceTrie.from_tokenizer(self.processing_class).single_token
        self._prices = PriceTokens(self.processing_class) if target_width or price_jitter or on_cpu else None
        self._targets = soft_targets(target_width)
        self._jitter = price_jitter
        for module in self.model.modules():
            # bitsandbytes would repack the weights at the first evaluation, for kernels that cannot train any more.
            if hasattr(module, "support_avx512bf16_for_cpu"):
                module.support_avx512bf16_for_cpu = False

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss, or the cross-entropy with soft targets over prices, its logits made at the answers only."""
        if self._prices is None or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        ids, labels = inputs["input_ids"], inputs["labels"]
        if self._jitter and model.training:
            ids, labels = self._prices.scaled(ids, labels, self._factors(len(ids)).to(ids.device))
        answers = labels[:, 1:]
        answered = answers != _IGNORED
        # The places that any row's answer is predicted from; with padding they differ from row to row.
        columns = answered.any(dim=0).nonzero().squeeze(1)
        logits = model(
            input_ids=ids, attention_mask=inputs.get("attention_mask"), use_cache=False, logits_to_keep=columns
        ).logits
        there = answered[:, columns]
        log_probabilities = logits[there].float().log_softmax(-1)
        tokens = answers[:, columns][there]
        price = self._prices.price_of(tokens)
        targets = self._targets.to(tokens.device)[price.clamp(min=0)]
        soft = -(targets * log_probabilities[:, self._prices.tokens.to(tokens.device)]).sum(dim=1)
        plain = -log_probabilities.gather(1, tokens[:, None]).squeeze(1)
        total = torch.where(price >= 0, soft, plain).sum()
        if num_items_in_batch is None:
            return total / len(tokens)
        # The count is that of all processes, whose gradients are averaged.
        return total / num_items_in_batch * self.accelerator.num_processes

    def _factors(self, rows: int) -> torch.Tensor:
        """From torch's generator, whose state a checkpoint keeps: a resumed run draws what a whole one would."""
        factors = torch.exp(self._jitter * torch.randn(rows))
        return torch.where(torch.rand(rows) < _JITTERED, factors, 1.0)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, and stop where the loss or the gradient is no number any more.

        Raises:
            TrainingStoppedError: as said.
        """
        super().log(logs, start_time)
        for name in ("loss", "grad_norm"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise TrainingStoppedError(
                    f"the {name.replace('_', ' ')} is {logs[name]} at step {self.state.global_step}: training stopped; "
                    "train again with a lower sft.learning_rate"
                )

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The validation loss, and the mean absolute error of the median price in units as `eval_mae`."""
        self._check_weights()
        metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        prompts, actual = self._validation
        if prompts:
            scorer = PriceScorer(self.accelerator.unwrap_model(self.model), self.processing_class)
            medians = [distribution.median for distribution in scorer.price_distributions(prompts)]
            metrics["eval_mae"] = float(np.abs(np.subtract(medians, actual)).mean())
            self.log({"eval_mae": metrics["eval_mae"]})
        return metrics

    def _check_weights(self) -> None:
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        if not all(bool(torch.isfinite(parameter).all()) for parameter in trained):
            raise TrainingStoppedError(
                f"the weights are no numbers any more at step {self.state.global_step}: training stopped; train again "
                "with a lower sft.learning_rate"
            )

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """None: the model folder has its own."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save a checkpoint and mark it as complete; not of weights that are no numbers, in the place of good ones."""
        self._check_weights()
        super()._save_checkpoint(model, trial)
        if self.args.should_save:
            (Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}" / _COMPLETE).touch()


class PriceTokens:
    """The tokens of the prices 0–999, where each is one, and how to find them in a prompt.

    Raises:
        InputError: a tokenizer that writes prices in several tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        trie = PriceTrie.from_tokenizer(tokenizer)
        if not trie.single_token:
            raise InputError(
                "recipe.target_width and recipe.price_jitter need a tokenizer that writes every price as one token; "
                "set them to 0 for this base model"
            )
        self.tokens = torch.tensor([sequence[0] for sequence in trie.sequences])
        self._price_of = torch.full((max(len(tokenizer), int(self.tokens.max()) + 1),), -1)
        self._price_of[self.tokens] = torch.arange(PRICES)
        signs = [tokenizer(text, add_special_tokens=False)["input_ids"][-1] for text in ("1$", "a $", "$")]
        self._signs = torch.tensor(sorted(set(signs)))

    def price_of(self, tokens: torch.Tensor) -> torch.Tensor:
        """The price that each token stands for, -1 for any other token; the shape of `tokens`."""
        return self._price_of.to(tokens.device)[tokens]

    def scaled(
        self, ids: torch.Tensor, labels: torch.Tensor, factors: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Both, shape (n, tokens), with every price behind a dollar sign times its row's factor, within 1–999."""
        price = self.price_of(ids)
        is_price = (price >= 0) & torch.isin(ids.roll(1, dims=1), self._signs.to(ids.device))
        is_price[:, 0] = False
        changed = torch.floor(price * factors[:, None] + 0.5).clamp(1, PRICES - 1).long()
        changed = self.tokens.to(ids.device)[
            torch.where(is_price & (factors[:, None] != 1), changed, price.clamp(min=0))
        ]
        return torch.where(is_price, changed, ids), torch.where(is_price & (labels != _IGNORED), changed, labels)


def soft_targets(width: float) -> torch.Tensor:
    """For each price a distribution over all prices, shape (1000, 1000), rows sum to 1.

    With a width of 0 the price itself. Else a normal distribution over the logarithm of the price, its standard
    deviation `width`, but not below half a unit: that a book sold for $30 could have cost $29 is half of what it says
    (label smoothing by distance; Gao et al., Deep Label Distribution Learning, 2017).
    """
    if not width:
        return torch.eye(PRICES)
    units = torch.arange(PRICES, dtype=torch.float64).clamp(min=0.5)
    spread = torch.maximum(torch.full_like(units, width), 0.5 / units)
    distance = (units.log()[None, :] - units.log()[:, None]) / spread[:, None]
    density = torch.exp(-0.5 * distance**2) / units
    return (density / density.sum(dim=1, keepdim=True)).float()


def last_complete_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; those that are not are removed."""
    found: list[tuple[int, Path]] = []
    for path in folder.glob("checkpoint-*"):
        if (path / _COMPLETE).exists():
            found.append((int(path.name.rpartition("-")[2]), path))
        else:
            shutil.rmtree(path)
    return max(found)[1] if found else None


class Progress(TrainerCallback):
    """Tells how far training is after each step, and keeps the curves of what was logged.

    Args:
        step: called with the steps done, all steps, and what was logged last.
        curves: called with all that was logged, whenever there is more.
    """

    def __init__(
        self,
        step: Callable[[int, int, dict[str, float]], None],
        curves: Callable[[list[dict[str, float]]], None],
    ) -> None:
        self._step = step
        self._curves = curves
        self._latest: dict[str, float] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Show what a resumed run has done."""
        self._tell(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Tell of a step."""
        self._tell(state)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Keep what was logged."""
        self._latest |= {name: value for name, value in (logs or {}).items() if isinstance(value, (int, float))}
        if state.is_world_process_zero:
            self._curves(state.log_history)

    def _tell(self, state: TrainerState) -> None:
        if state.is_world_process_zero:
            self._step(state.global_step, state.max_steps, self._latest)


def as_float32(model: torch.nn.Module) -> None:
    """Keep the trained weights in float32, which the optimizer needs; TRL casts an adapter over NF4 to bfloat16.

    A resumed run loads them as float32, so that it could not end like a whole one either.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def plot_curves(history: Sequence[dict[str, float]], path: Path) -> None:
    """A PNG of the loss, the learning rate and the validation error by step, from a trainer's log history."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), dpi=110, layout="constrained")
    panels = figure.subplots(3, 1, sharex=True)
    rows = (
        ("Loss", (("loss", "training"), ("eval_loss", "validation"))),
        ("Validation error (units)", (("eval_mae", "mean absolute error of the median"),)),
        ("Learning rate", (("learning_rate", "learning rate"),)),
    )
    for axes, (title, lines) in zip(panels, rows, strict=True):
        for (name, label), colour in zip(lines, ("#0f766e", "#b45309"), strict=False):
            points = np.array([(entry["step"], entry[name]) for entry in history if name in entry])
            if len(points):
                axes.plot(
                    *points.T,
                    color=colour,
                    linewidth=1.4,
                    marker="o" if len(points) < 40 else None,
                    markersize=3,
                    label=label,
                )
                axes.legend(frameon=False, fontsize=8)
        axes.set_ylabel(title, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("Step")
    part = path.with_suffix(".part.png")
    figure.savefig(part)
    part.replace(path)

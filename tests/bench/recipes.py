"""What each part of the training recipe gives on a price history, text alone and evidence, QLoRA and full tuning.

    python tests/bench/recipes.py DATA [WORK]

DATA is a prepared folder. Each variant is trained as `bookpricer train` does, into a folder of WORK, and measured on
the test split beside all baselines; what is there is not trained again, what was interrupted goes on. Writes
docs/results/recipes.json and the table in docs/training-log.md.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bookpricer.training.baselines import BASELINES
from bookpricer.training.baselines.report import with_block
from bookpricer.training.dataset import read_splits
from bookpricer.training.evaluation import mae_difference, mae_interval
from bookpricer.training.finetune import TrainingRun, finetune
from bookpricer.training.measuring import ask_methods, load_methods, measures
from bookpricer.training.presets import load_settings

_DOCS = Path(__file__).resolve().parents[2] / "docs"
RESULTS, PAGE = _DOCS / "results" / "recipes.json", _DOCS / "training-log.md"
BEGIN, END = "<!-- table: written by tests/bench/recipes.py -->", "<!-- end of table -->"
TEXT_ALONE = ("recipe.evidence=null", "recipe.price_jitter=0", "content_tokens=160", "sft.num_train_epochs=2")
# Longer, both learn the training books by heart. A tenth of QLoRA's learning rate, as usual where all weights move.
FULL = ("lora=null", "quantization.load_in_4bit=false", "sft.learning_rate=3e-4")
VARIANTS = {
    "text alone, QLoRA": TEXT_ALONE,
    "text alone, full tuning": (*TEXT_ALONE, *FULL),
    "evidence, QLoRA": (),
    "evidence, full tuning": (*FULL, "sft.num_train_epochs=4"),
}


def main(data: str, work: str | None = None) -> None:
    """Train and measure all variants."""
    folder = Path(work or tempfile.mkdtemp())
    read = read_splits(data)
    test = read.splits["test"]
    actual = np.array([priced.units for priced in test])
    rows, best = {}, None
    for name, overrides in VARIANTS.items():
        out = folder / name.replace(", ", "-").replace(" ", "-")
        first = best is None
        if not (out / "pricer.json").exists():
            print(f"training: {name}", file=sys.stderr, flush=True)
            settings = load_settings("embedded", overrides=overrides)
            finetune(settings, read, out, baselines=first, resume=TrainingRun(out).interrupted, say=lambda _: None)
        answers = ask_methods(load_methods(out), test).answers
        if best is None:
            baselines = {other: row for other, row in answers.items() if other in BASELINES}
            best = min(baselines, key=lambda name: abs(baselines[name].prices - actual).mean())
            rows |= {
                other: {**measures(row, actual, 0.8), "mae_interval": mae_interval(row.prices, actual)}
                for other, row in baselines.items()
            }
            reference = answers[best].prices
        report = json.loads((out / "report" / "training.json").read_text(encoding="utf-8"))
        difference, interval = mae_difference(answers["llm"].prices, reference, actual)
        rows[name] = {
            **measures(answers["llm"], actual, 0.8), "mae_interval": mae_interval(answers["llm"].prices, actual),
            "against_best_baseline": difference, "against_best_baseline_interval": interval,
            "trained_parameters": report["trainable_parameters"], "training_seconds": report["seconds"],
        }  # fmt: skip
        print(name, json.dumps(rows[name]), file=sys.stderr, flush=True)
    results = {
        "books": {name: len(books) for name, books in read.splits.items()},
        "best_baseline": best,
        "methods": rows,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(with_block(PAGE.read_text(encoding="utf-8"), table(results), BEGIN, END), encoding="utf-8")


def table(results: Mapping[str, Any]) -> str:
    """The results in Markdown."""
    lines = [
        "| method | MAE | 95 % interval | against the best baseline | intervals hold | width | trained | minutes |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in results["methods"].items():
        low, high = row["mae_interval"]
        cells = [
            BASELINES[name].title if name in BASELINES else f"**{name}**",
            f"{row['mae']:.2f}",
            f"{low:.1f} – {high:.1f}",
        ]
        if "trained_parameters" in row:
            low, high = row["against_best_baseline_interval"]
            cells += [
                f"{row['against_best_baseline']:+.2f} ({low:+.1f} to {high:+.1f})", f"{row['coverage']:.0%}",
                f"{row['interval_width']:.1f}", f"{row['trained_parameters']:,}", f"{row['training_seconds'] / 60:.0f}",
            ]  # fmt: skip
        else:
            cells += [""] * 5
        lines.append(f"| {' | '.join(cells)} |")
    books = results["books"]
    lines += [
        "",
        f"Trained on {books['train']:,} books, calibrated on {books['calibration']:,}, measured on {books['test']:,}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A plan beside the run that it is of: the embedded preset on synthetic books, on this machine's CPU.

Steps, tokens and trained parameters should be equal, memory near, and time within a factor of two on an idle machine.
"""

import json
import os
import tempfile
import threading
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

import psutil

from bookpricer.training.columns import recognise_columns
from bookpricer.training.dataset import PricedBook, read_row
from bookpricer.training.finetune import build_trainer
from bookpricer.training.loading import load_tokenizer
from bookpricer.training.model_folder import find_base
from bookpricer.training.plan import plan_run
from bookpricer.training.presets import load_settings
from bookpricer.training.synthetic import synthetic_records

BOOKS, STEPS = 160, 8


def main() -> None:
    """Plan, run, compare."""
    settings = load_settings("embedded", overrides=[f"sft.max_steps={STEPS}", "sft.disable_tqdm=true"])
    books = []
    for record in synthetic_records(BOOKS, seed=5):
        cleaned, units = read_row(record, recognise_columns(record))
        books.append(PricedBook(cleaned.book, units))
    plan = plan_run(settings, books, gpu="cpu")
    base = find_base(settings.base_model)
    process, peak, done = psutil.Process(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], process.memory_info().rss)

    with tempfile.TemporaryDirectory() as work:
        trainer = build_trainer(settings, base, load_tokenizer(base), books, Path(work), device="cpu")
        watcher = threading.Thread(target=watch)
        watcher.start()
        start, used = time.perf_counter(), time.process_time()
        result = trainer.train()
        seconds, used = time.perf_counter() - start, time.process_time() - used
        done.set()
        watcher.join()
    lengths = [len(ids) for ids in trainer.train_dataset["input_ids"]]
    print(
        json.dumps(
            {
                "device": plan.device,
                "steps": result.global_step,
                "planned_steps": plan.steps,
                "trainable": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
                "planned_trainable": plan.trainable,
                "tokens": sum(lengths),
                "planned_tokens": plan.tokens,
                "memory_mib": round(peak[0] / 2**20),
                "planned_memory_mib": round(plan.memory["total"] / 2**20),
                "seconds": round(seconds, 1),
                "processor_seconds": round(used, 1),
                "planned_seconds": plan.seconds,
            }
        )
    )


if __name__ == "__main__":
    main()

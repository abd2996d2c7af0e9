"""A plan beside the run that it is of: the embedded preset on synthetic books, on this machine's CPU.

Steps and trained parameters should be equal; memory, what training adds to what is there before its first step, near;
and time within a factor of two of the run's on an idle machine, and with one thread (OMP_NUM_THREADS=1) of its
processor time on any. Validation is off: a plan does not count it.
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
from bookpricer.training.dataset import PricedBook, SplitBooks, read_row, split_books
from bookpricer.training.finetune import finetune
from bookpricer.training.planning.plan import plan_run
from bookpricer.training.presets import load_settings
from bookpricer.training.synthetic import synthetic_records

BOOKS, STEPS = 300, 12
UNVALIDATED = ("sft.eval_strategy='no'", "sft.save_strategy='no'", "sft.load_best_model_at_end=false")
# What is not there yet when training begins.
GROWING = ("gradients", "optimizer", "activations", "logits", "working")


class Watch:
    """The memory of this process from the beginning of training to its last step."""

    def __init__(self) -> None:
        self.before = self.peak = 0
        self.used = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def step(self, done: int, steps: int, _: object) -> None:
        """Called as `finetune` calls it."""
        if not self.before:
            self.before = psutil.Process().memory_info().rss
            self.used = -time.process_time()
            self._thread.start()
        if done == steps:
            self.used += time.process_time()
            self._done.set()

    def _look(self) -> None:
        while not self._done.wait(0.005):
            self.peak = max(self.peak, psutil.Process().memory_info().rss)


def main() -> None:
    """Plan, run, compare."""
    settings = load_settings("embedded", overrides=[f"sft.max_steps={STEPS}", *UNVALIDATED])
    books = []
    for record in synthetic_records(BOOKS, seed=5):
        cleaned, units = read_row(record, recognise_columns(record))
        books.append(PricedBook(cleaned.book, units))
    data = SplitBooks(split_books(books))
    plan = plan_run(settings, data.splits["train"], gpu="cpu")
    watch = Watch()
    with tempfile.TemporaryDirectory() as work:
        report = finetune(
            settings, data, Path(work) / "model", baselines=False, device="cpu", say=lambda _: None, progress=watch.step
        )
    print(
        json.dumps(
            {
                "device": plan.device,
                "steps": report["steps"],
                "planned_steps": plan.steps,
                "trainable": report["trainable_parameters"],
                "planned_trainable": plan.trainable,
                "memory_mib": round(watch.peak / 2**20),
                "planned_memory_mib": round(plan.memory["total"] / 2**20),
                "memory_grown_mib": round((watch.peak - watch.before) / 2**20),
                "planned_memory_grown_mib": round(sum(plan.memory[part] for part in GROWING) / 2**20),
                "seconds": report["seconds"],
                "processor_seconds": round(watch.used, 1),
                "planned_seconds": plan.seconds,
            }
        )
    )


if __name__ == "__main__":
    main()

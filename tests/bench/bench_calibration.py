"""Do 80 % intervals hold 80 % of real books? Over 20 random halves of the held-out books, beside baselines' intervals.

    BOOKPRICER_BENCH_MODEL=my-model BOOKPRICER_BENCH_DATA=data python tests/bench/run.py calibration

with a tuned model folder, and the prepared folder that it was tuned on.
The held-out books are those of the calibration and the test split: the model saw neither. Each half fits what it
measures on the other. The intervals around the best baseline are split-conformal too: of its absolute errors (one width
for all books), and of the errors of its log price (a width in proportion to the price). Without them, a model that
knows no real book prices the optional data folder's: its intervals are wide, and have to hold all the same.
"""

import json
import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

from bookpricer.training.baselines import load_baselines
from bookpricer.training.calibration import Calibration
from bookpricer.training.dataset import read_splits
from bookpricer.training.evaluation import interval_errors
from bookpricer.training.loading import load_pricer
from bookpricer.training.measuring import book_distributions
from bookpricer.training.model_folder import ModelFolder, find_model

SHARED = Path(os.environ.get("BOOKPRICER_SHARED", Path(__file__).resolve().parents[3] / "shared"))
HALVES, COVERAGE = 20, 0.8
CENTRAL = ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2)
BANDS = (0, 10, 20, 50, 100, 1000)


def conformal(errors: np.ndarray) -> float:
    """The finite-sample quantile of the errors that a share `COVERAGE` of new ones lies under."""
    level = min(1.0, np.ceil((len(errors) + 1) * COVERAGE) / len(errors))
    return float(np.quantile(errors, level, method="inverted_cdf"))


def around(predicted: np.ndarray, actual: np.ndarray, fit: np.ndarray, test: np.ndarray, logs: bool) -> np.ndarray:
    """Split-conformal intervals around a baseline's prices, shape (len(test), 2)."""
    change, back = (np.log1p, np.expm1) if logs else (lambda value: value, lambda value: value)
    width = conformal(abs(change(predicted[fit]) - change(actual[fit])))
    middle = change(predicted[test])
    return np.maximum(np.stack([back(middle - width), back(middle + width)], axis=1), 0)


def main() -> None:
    """Measure and print."""
    model = os.environ.get("BOOKPRICER_BENCH_MODEL", "embedded")
    data = os.environ.get("BOOKPRICER_BENCH_DATA", str(SHARED / "data" / "books_in.jsonl"))
    if not Path(data).exists():
        sys.exit(f"needs books in {data} (set BOOKPRICER_BENCH_DATA to name others)")
    pricer = load_pricer(model)
    splits = read_splits(data, currency=pricer.config.currency, unit=pricer.config.unit).splits
    books = [*splits["calibration"], *splits["test"]]
    actual = np.array([priced.units for priced in books])
    distributions = book_distributions(pricer, books)
    predicted = {
        name: np.asarray(baseline.predict([priced.book for priced in books]))
        for name, baseline in load_baselines(ModelFolder(find_model(model)).baselines).items()
    }
    ways: dict[str, list[dict[str, float]]] = {"model": [], "model, central intervals": [], "model, not calibrated": []}
    best = min(predicted, key=lambda name: abs(predicted[name] - actual).mean()) if predicted else None
    held: list[np.ndarray] = []
    draw = np.random.default_rng(0)
    for _ in range(HALVES):
        order = draw.permutation(len(books))
        fit, test = order[: len(order) // 2], order[len(order) // 2 :]
        calibration = Calibration.fit([distributions[k] for k in fit], actual[fit].tolist(), COVERAGE)
        found = {
            "model": np.array([calibration.interval(distributions[k], COVERAGE) for k in test]),
            "model, central intervals": np.array(
                [[calibration.quantile(distributions[k], level) for level in CENTRAL] for k in test]
            ),
            "model, not calibrated": np.array([distributions[k].interval(COVERAGE) for k in test]),
        }
        if best:
            for name, logs in (("absolute", False), ("log", True)):
                found[f"{best}, {name} errors"] = around(predicted[best], actual, fit, test, logs)
        for name, intervals in found.items():
            ways.setdefault(name, []).append(interval_errors(intervals, actual[test]))
        low, high = found["model"].T
        inside = np.full(len(books), np.nan)
        inside[test] = (low <= actual[test]) & (actual[test] <= high)
        held.append(inside)
    figures = {
        "books": len(books),
        "halves": HALVES,
        "median_price": round(float(np.median(actual)), 2),
        "intervals": {
            name: {
                "coverage": round(float(np.mean([row["coverage"] for row in rows])), 4),
                "coverage_sd": round(float(np.std([row["coverage"] for row in rows])), 4),
                "width": round(float(np.mean([row["interval_width"] for row in rows])), 2),
            }
            for name, rows in ways.items()
        },
        "coverage_by_price": {
            f"{low}–{high}": {
                "books": int((band := (actual >= low) & (actual < high)).sum()),
                "coverage": round(float(np.nanmean(np.array(held)[:, band])), 4),
            }
            for low, high in pairwise(BANDS)
        },
    }
    print(json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    main()

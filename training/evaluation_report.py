"""The report of an evaluation: all figures from its predictions, and the folder they are written to.

Knows predictions and files; loads no model, and asks no method.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .book import Book
from .errors import InputError
from .estimate import CLOSE
from .evaluation import (
    CONFIDENCE,
    RESAMPLES,
    Measures,
    bands,
    central_coverage,
    confidence_curve,
    interval_errors,
    mae_difference,
    mae_interval,
    price_errors,
    share_interval,
)
from .measuring import LLM, measures
from .model_folder import EMBEDDED, ModelFolder, PricerConfig, find_model
from .predictions import Answers, Predictions

FORMAT_VERSION = 1
FIGURES, PREDICTIONS, PAGE = "evaluation.json", "predictions.jsonl", "evaluation.html"
# Units of the true price, low to below high.
BAND_EDGES = (0, 10, 20, 50, 100, 200, 500, 1000)
TOP_CATEGORIES, WORST = 12, 12


def build_report(
    predictions: Predictions,
    config: PricerConfig,
    *,
    model: str,
    data: str,
    split: str | None = None,
    left_out: Mapping[str, int] | None = None,
    version: str | None = None,
    created: datetime | None = None,
) -> dict[str, Any]:
    """All figures of an evaluation, ready for JSON: what cannot be computed is None.

    Args:
        predictions: what the methods answered.
        config: what the model folder says about itself.
        model, data: names for people.
        split: the part of a prepared folder that was measured with; None where all of the data was.
        left_out: how many records of the data each rule took.
        version: of Book Pricer.
        created: when; now where None.

    Returns:
        `model`, `data`, `currency`, `unit`, `coverage`; `reference`, the method that the others are compared with, None
        without a language model; `methods`, each with its errors and their intervals; `bands` of the true price and
        `categories` with the errors of every method in them; `worst`, rows of the predictions.
    """
    reference = LLM if LLM in predictions.answers else None
    shown = shown_method(predictions)
    return {
        "format_version": FORMAT_VERSION,
        "bookpricer": version,
        "created": (created or datetime.now(UTC)).isoformat(timespec="seconds"),
        "model": {
            "name": model,
            "preset": config.preset,
            "base_model": Path(config.base_model).name if Path(config.base_model).is_absolute() else config.base_model,
            "demonstration": config.demonstration,
            "data_fingerprint": config.data_fingerprint,
        },
        "data": {
            "name": data,
            "split": split,
            "books": len(predictions.actual),
            "fingerprint": predictions.fingerprint,
            "left_out": dict(left_out or {}),
        },
        "currency": config.currency,
        "unit": config.unit,
        "coverage": predictions.coverage,
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "reference": reference,
        "methods": {name: _method_figures(predictions, name, reference) for name in predictions.answers},
        "bands": [
            {"low": low, "high": high, **_group_figures(predictions, books)}
            for low, high, books in bands(predictions.actual.tolist(), BAND_EDGES)
        ],
        "categories": [
            {"category": category, **_group_figures(predictions, books)}
            for category, books in _by_category(predictions.categories)
        ],
        "worst": [int(row) + 1 for row in worst_rows(predictions, shown)],
    }


def shown_method(predictions: Predictions) -> str:
    """The method whose errors are looked at more closely: the language model, or else the best one."""
    if LLM in predictions.answers:
        return LLM
    mae = {name: np.abs(a.prices - predictions.actual).mean() for name, a in predictions.answers.items()}
    return min(mae, key=mae.__getitem__)


def worst_rows(predictions: Predictions, method: str) -> NDArray[np.intp]:
    """Positions of the books that a method is furthest off at, the worst first."""
    error = np.abs(predictions.answers[method].prices - predictions.actual)
    return np.argsort(-error, kind="stable")[:WORST]


def contract(report: Mapping[str, Any]) -> dict[str, Measures]:
    """What `evaluate --json` prints: the measures of each method by themselves."""
    keys = ("n", "mae", "median_ae", "rmsle", "r2", "hit_rate", "coverage", "interval_width")
    return {name: {key: row[key] for key in keys} for name, row in report["methods"].items()}


def _method_figures(predictions: Predictions, name: str, reference: str | None) -> dict[str, Any]:
    answers, actual = predictions.answers[name], predictions.actual
    row: dict[str, Any] = {
        "title": predictions.method_titles.get(name, name),
        **measures(answers, actual, predictions.coverage),
        "mae_interval": mae_interval(answers.prices, actual),
        "mae_difference": None,
        "mae_difference_interval": None,
    }
    if reference and name != reference:
        row["mae_difference"], row["mae_difference_interval"] = mae_difference(
            answers.prices, predictions.answers[reference].prices, actual
        )
    coverage = row["coverage"]
    row["coverage_interval"] = None if coverage is None else share_interval(coverage, len(actual))
    row["calibration_curve"] = _calibration_curve(answers, actual)
    row["confidence_curve"] = []
    if answers.confidence is not None:
        right = np.abs(actual - answers.prices) <= CLOSE * answers.prices
        curve = confidence_curve(answers.confidence, right)
        row["confidence_curve"] = [{"confidence": said, "right": was} for said, was in curve]
    return row


def _calibration_curve(answers: Answers, actual: NDArray[np.float64]) -> list[dict[str, Any]]:
    """At each level the share of books that the calibrated intervals hold, their width, and what the model's own hold.

    Empty for a method without intervals.
    """
    return [
        {
            "level": level,
            **interval_errors(intervals, actual),
            "uncalibrated": None if answers.cdf is None else central_coverage(answers.cdf, level),
        }
        for level, intervals in answers.intervals.items()
    ]


def _group_figures(predictions: Predictions, books: NDArray[np.intp]) -> dict[str, Any]:
    """The errors of every method on some of the books."""
    actual = predictions.actual[books]
    rows = {}
    for name, answers in predictions.answers.items():
        errors = price_errors(answers.prices[books], actual)
        row: Measures = {key: errors[key] for key in ("mae", "median_ae", "hit_rate")}
        row["bias"] = float((answers.prices[books] - actual).mean())
        row |= {"coverage": None, "interval_width": None}
        if predictions.coverage in answers.intervals:
            row |= interval_errors(answers.intervals[predictions.coverage][books], actual)
        rows[name] = row
    return {"n": len(books), "methods": rows}


def _by_category(categories: Sequence[str | None]) -> list[tuple[str | None, NDArray[np.intp]]]:
    """The largest categories and the positions of their books, the largest first; books without one are under None."""
    top = [name for name, _ in Counter(categories).most_common(TOP_CATEGORIES)]
    return [(name, np.array([k for k, other in enumerate(categories) if other == name], dtype=np.intp)) for name in top]


def own_folder(name: str) -> Path | None:
    """Where the report of a model goes unless another place is named: into its folder, if that is the user's own.

    None of the embedded model and of one from the hub.
    """
    path = Path(name).expanduser()
    if name == EMBEDDED or not path.is_dir() or path.resolve() == find_model(EMBEDDED).resolve():
        return None
    return ModelFolder(path).report


def check_report(target: Path, fingerprint: str, overwrite: bool = False) -> None:
    """Refuse a folder that a report cannot go into, before hours are spent on pricing.

    A report on the same books may be replaced. What else the folder holds stays.

    Args:
        fingerprint: of the books to measure with.
        overwrite: replace a report on other books too.

    Raises:
        InputError: `target` cannot be written, or holds a report on other books and may not be overwritten.
    """
    if there := [name for name in (FIGURES, PREDICTIONS, PAGE) if (target / name).exists()]:
        try:
            same = json.loads((target / FIGURES).read_text(encoding="utf-8"))["data"]["fingerprint"] == fingerprint
        except (OSError, ValueError, KeyError, TypeError):
            same = False
        if not same and not overwrite:
            raise InputError(
                f"{target} holds an evaluation on other books ({there[0]}); pass --overwrite to replace it, or name "
                "another place with --report"
            )
    with _working_folder(target):
        pass


def save_report(target: Path, report: Mapping[str, Any], predictions: Predictions, books: Sequence[Book]) -> None:
    """Write the three files of a report: its figures, the predictions they come from, and a page for people.

    They are put into place when all are whole, in place of those of an earlier report.

    Args:
        books: those that the predictions are for, for the texts of the worst misses.

    Raises:
        InputError: the folder cannot be written.
    """
    from .evaluation_page import render_page

    page = render_page(report, predictions, books)
    text = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with _working_folder(target) as work:
        predictions.write(work / PREDICTIONS)
        (work / PAGE).write_text(page, encoding="utf-8", errors="replace")
        (work / FIGURES).write_text(text, encoding="utf-8", errors="backslashreplace")
        # The figures last: they say what the others belong to.
        for name in (PREDICTIONS, PAGE, FIGURES):
            (work / name).replace(target / name)


@contextmanager
def _working_folder(target: Path) -> Iterator[Path]:
    """A folder within `target`, which is made where it is not there and is gone again where nothing came of it.

    Raises:
        InputError: it cannot be written.
    """
    made = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".evaluation.", dir=target) as work:
            yield Path(work)
    except OSError as error:
        raise InputError(
            f"a report cannot be written to {target} ({error.strerror or error}); name another place with --report"
        ) from error
    finally:
        if made and target.is_dir() and not any(target.iterdir()):
            target.rmdir()

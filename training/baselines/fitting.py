"""Fits the baselines into a model folder, and measures them on its test split. Knows folders and numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..dataset import PricedBook
from ..errors import InputError
from ..evaluation import price_errors
from ..model_folder import ModelFolder, PricerConfig, new_folder
from . import BASELINES, Baseline

RESULTS = "results.json"
PLOTS = "plots"
_RESAMPLES = 2000


def fit_baselines(
    splits: Mapping[str, Sequence[PricedBook]],
    model: Path,
    *,
    currency: str = "USD",
    unit: float = 1.0,
    data_fingerprint: str | None = None,
    overwrite: bool = False,
    kinds: Mapping[str, type[Baseline]] | None = None,
    progress: Callable[[str], None] = lambda title: None,
) -> dict[str, Any]:
    """Fit all baselines on the training split, save them into `model/baselines/`, and measure them on the test split.

    Args:
        splits: priced books by split: `train` and `test`.
        model: a model folder, or the name of one to make; it then holds only baselines.
        currency, unit: what one model dollar stands for, for a folder to make.
        overwrite: replace the baselines that are there.
        kinds: which baselines; all where None.
        progress: told each baseline's title before it is fitted.

    Returns:
        What is also written to `baselines/results.json`: the sizes of the splits, and for each method its title, errors
        on the test split (see `price_errors`), the 95 % bootstrap interval of the mean, and seconds. Without test
        books there are no errors. `baselines/plots/` has a picture of predicted against actual prices for each.

    Raises:
        InputError: no training books, baselines that are there already, or a folder of another currency or unit.
    """
    if not splits.get("train"):
        raise InputError("there are no books to train on; give a catalogue with more priced books")
    need_extra("gensim", "matplotlib")
    folder = ModelFolder(model)
    check_target(folder, currency, unit, overwrite)
    kinds = BASELINES if kinds is None else kinds
    train, test = splits["train"], splits.get("test", ())
    books, prices = [priced.book for priced in train], np.array([priced.units for priced in train])
    actual = np.array([priced.units for priced in test])
    methods: dict[str, dict[str, Any]] = {}
    with new_folder(folder.baselines, overwrite, marker=RESULTS) as work:
        for name, kind in kinds.items():
            progress(kind.title)
            start = time.perf_counter()
            baseline = kind().fit(books, prices)
            methods[name] = {"title": kind.title, "seconds": round(time.perf_counter() - start, 1)}
            baseline.save(work / name)
            if len(test):
                # What is measured is what was saved.
                predicted = kind.load(work / name).predict([priced.book for priced in test])
                methods[name] |= {**price_errors(predicted, actual), "mae_interval": mae_interval(predicted, actual)}
                (work / PLOTS).mkdir(exist_ok=True)
                plot_predictions(predicted, actual, kind.title, currency, unit, work / PLOTS / f"{name}.png")
        results = {
            "currency": currency,
            "unit": unit,
            "books": {name: len(part) for name, part in splits.items()},
            "methods": methods,
        }
        (work / RESULTS).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if not (model / "pricer.json").exists():
        folder.write_config(PricerConfig(currency=currency, unit=unit, data_fingerprint=data_fingerprint))
    return results


def check_target(folder: ModelFolder, currency: str, unit: float, overwrite: bool) -> None:
    """Refuse a folder that baselines cannot go into.

    Raises:
        InputError: it has baselines already, belongs to another currency, or is no model folder.
    """
    if folder.baselines.exists() and not overwrite:
        raise InputError(f"{folder.path} has baselines already; pass --overwrite to replace them")
    if folder.path.exists() and (not folder.path.is_dir() or any(folder.path.iterdir())):
        config = folder.config
        if (config.currency, config.unit) != (currency, unit):
            raise InputError(
                f"{folder.path} prices in {config.unit:g} {config.currency}, the data in {unit:g} {currency}; "
                "choose another folder, or the same --currency and --unit"
            )


def mae_interval(predicted: ArrayLike, actual: ArrayLike, seed: int = 0) -> list[float]:
    """The 95 % interval of the mean absolute error, by the percentile bootstrap over books (Efron, 1979)."""
    errors = np.abs(np.asarray(predicted, dtype=np.float64) - np.asarray(actual, dtype=np.float64))
    random = np.random.default_rng(seed)
    means = [errors[random.integers(0, len(errors), len(errors))].mean() for _ in range(_RESAMPLES)]
    return [round(float(bound), 4) for bound in np.quantile(means, [0.025, 0.975])]


def plot_predictions(
    predicted: NDArray[np.float64], actual: NDArray[np.float64], title: str, currency: str, unit: float, path: Path
) -> None:
    """A PNG of predicted against actual prices on logarithmic axes; the shaded band holds what is within 20 %."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    low, high = 0.8 * min(predicted.min(), actual.min()), 1.25 * max(predicted.max(), actual.max())
    line = np.array([low, high])
    axes.fill_between(line, 0.8 * line, 1.2 * line, color="#99f6e4", linewidth=0, label="within 20 %")
    axes.plot(line, line, color="#0f766e", linewidth=1)
    axes.scatter(actual, predicted, s=9, alpha=0.45, color="#334155", linewidths=0)
    error = np.abs(predicted - actual).mean()
    unit_name = currency if unit == 1 else f"{unit:g} {currency}"
    axes.set(
        xscale="log", yscale="log", xlim=line, ylim=line, aspect="equal",
        title=f"{title}: mean absolute error {error:.2f}",
        xlabel=f"Actual price ({unit_name})", ylabel=f"Predicted price ({unit_name})",
    )  # fmt: skip
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path)


def need_extra(*modules: str) -> None:
    """Say how to install what fitting needs.

    Raises:
        InputError: one of the modules is not installed.
    """
    import importlib.util

    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise InputError(f"fitting baselines needs the extra 'train' ({module}): pip install 'bookpricer[train]'")

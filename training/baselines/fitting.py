"""Fits the baselines into a model folder, and measures them on its test split. Knows folders and numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..charts import scatter, standalone
from ..dataset import PricedBook
from ..errors import InputError
from ..evaluation import mae_interval, price_errors
from ..model_folder import ModelFolder, PricerConfig, new_folder
from . import BASELINES, Baseline

RESULTS = "results.json"
PLOTS = "plots"


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
    need_extra("gensim")
    folder = ModelFolder(model)
    check_target(folder, currency, unit, overwrite)
    money = currency if unit == 1 else f"{unit:g} {currency}"
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
                chart = scatter(predicted=predicted, actual=actual, label=kind.title, unit=money)
                (work / PLOTS / f"{name}.svg").write_text(standalone(chart), encoding="utf-8")
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


def need_extra(*modules: str) -> None:
    """Say how to install what fitting needs.

    Raises:
        InputError: one of the modules is not installed.
    """
    import importlib.util

    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise InputError(f"fitting baselines needs the extra 'train' ({module}): pip install 'bookpricer[train]'")

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error

from bookpricer.training.baselines import BASELINES
from bookpricer.training.baselines.fitting import fit_baselines
from bookpricer.training.dataset import read_priced_books, split_books
from bookpricer.training.errors import InputError
from bookpricer.training.model_folder import ModelFolder, PricerConfig

FAST = {name: BASELINES[name] for name in ("mean", "median")}


def test_makes_a_model_folder_and_keeps_one(splits, tmp_path):
    told = []
    results = fit_baselines(splits, tmp_path / "m", kinds=FAST, progress=told.append)
    folder = ModelFolder(tmp_path / "m")
    assert told == ["Constant (mean)", "Constant (median)"]
    assert not folder.config.base_model and not folder.adapter.exists()
    assert json.loads((folder.baselines / "results.json").read_text()) == results
    config = folder.config.model_copy(update={"preset": "mine"})
    folder.write_config(config)
    with pytest.raises(InputError, match="--overwrite"):
        fit_baselines(splits, tmp_path / "m", kinds=FAST)
    fit_baselines(splits, tmp_path / "m", kinds={"mean": FAST["mean"]}, overwrite=True)
    assert folder.config == config and not (folder.baselines / "median").exists()


def test_refuses_no_books_and_folders_that_are_not_ours(splits, tmp_path):
    with pytest.raises(InputError, match="no books"):
        fit_baselines({"train": []}, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not a model folder"):
        fit_baselines(splits, tmp_path, kinds=FAST, overwrite=True)
    ModelFolder(tmp_path).write_config(PricerConfig(currency="PLN"))
    with pytest.raises(InputError, match="PLN"):
        fit_baselines(splits, tmp_path, kinds=FAST)


def test_without_test_books_there_are_no_errors(splits, tmp_path):
    results = fit_baselines({"train": splits["train"]}, tmp_path / "m", kinds=FAST)
    assert all("mae" not in row for row in results["methods"].values())


def test_predicting_loads_no_training_or_front_end_library(splits, tmp_path):
    kinds = {name: BASELINES[name] for name in ("word2vec", "tfidf_ridge", "neighbours")}
    fit_baselines(splits, tmp_path / "m", kinds=kinds)
    code = f"""
import sys
from pathlib import Path
from bookpricer.training.baselines import load_baselines
from bookpricer.training.book import Book
for baseline in load_baselines(Path({str(tmp_path / "m" / "baselines")!r})).values():
    baseline.predict([Book(title="Emma")])
print([name for name in ("gensim", "matplotlib", "datasets", "trl", "streamlit", "langchain") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.strip().endswith("[]")


@pytest.mark.slow
def test_real_books_are_priced_better_than_by_a_constant(shared, tmp_path):
    splits = split_books(read_priced_books(shared / "data/books_in.jsonl").books)
    methods = fit_baselines(splits, tmp_path / "m")["methods"]
    actual = [priced.units for priced in splits["test"]]
    constant = float(np.median([priced.units for priced in splits["train"]]))
    assert methods["median"]["mae"] == pytest.approx(mean_absolute_error(actual, [constant] * len(actual)))
    limits = {
        "linear_regression": 0.85, "word2vec": 0.9, "hist_gradient_boosting": 0.83, "neighbours": 0.81,
        "tfidf_ridge": 0.79, "vector_boosting": 0.77,
    }  # fmt: skip
    assert {
        name: methods[name]["mae"] < limit * methods["median"]["mae"] for name, limit in limits.items()
    } == dict.fromkeys(limits, True)

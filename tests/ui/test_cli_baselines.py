"""`bookpricer baselines` and `bookpricer evaluate`, in one process."""

import csv
import json
import os
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from sklearn import metrics

from bookpricer.training.baselines import BASELINES, load_baselines
from bookpricer.training.dataset import read_priced_books, split_books
from bookpricer.ui import cli

MODEL = os.environ.get("BOOKPRICER_TEST_MODEL", "embedded")
KEYS = {"n", "mae", "median_ae", "rmsle", "r2", "hit_rate", "coverage", "interval_width"}


def write_catalog(path, n=300, factor=1.0, seed=0):
    random = np.random.default_rng(seed)
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["Title", "Author(s)", "Blurb", "Binding", "Subject", "RRP"])
        for number in range(n):
            subject, base = [("algebra", 60), ("romance", 9), ("cookery", 30)][random.integers(3)]
            binding, times = [("Hardcover", 2), ("Paperback", 1)][random.integers(2)]
            price = base * times * factor * float(np.exp(random.normal(0, 0.1)))
            row = [
                f"{subject} {number}",
                f"Author {number % 30}",
                f"All of {subject}.",
                binding,
                subject,
                f"{price:.2f}",
            ]
            writer.writerow(row)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    source = write_catalog(folder / "books.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["bookpricer", "baselines", str(source), str(folder / "m")])
        cli.app(standalone_mode=False)
    return folder / "m"


def test_results_are_those_that_scikit_learn_computes(model):
    results = json.loads((model / "baselines" / "results.json").read_text())
    books = split_books(read_priced_books(model.parent / "books.csv").books)
    assert results["books"] == {name: len(part) for name, part in books.items()}
    actual = np.array([priced.units for priced in books["test"]])
    for name, baseline in load_baselines(model / "baselines").items():
        row, predicted = results["methods"][name], baseline.predict([priced.book for priced in books["test"]])
        error = np.abs(predicted - actual)
        expected = {
            "n": len(actual),
            "mae": metrics.mean_absolute_error(actual, predicted),
            "median_ae": metrics.median_absolute_error(actual, predicted),
            "rmsle": metrics.root_mean_squared_log_error(actual, predicted),
            "r2": metrics.r2_score(actual, predicted),
            "hit_rate": np.mean((error <= 0.2 * actual) | (error <= 40)),
        }
        assert {key: row[key] for key in expected} == pytest.approx(expected)
        low, high = row["mae_interval"]
        assert low <= row["mae"] <= high and high - low < 3 * row["mae"]
        plot = ElementTree.parse(model / "baselines" / "plots" / f"{name}.svg").getroot()
        assert len(list(plot.iter("{http://www.w3.org/2000/svg}circle"))) == len(actual)


def test_evaluate_measures_every_baseline_on_books_from_elsewhere(run, model, tmp_path):
    other = tmp_path / "other.jsonl"
    rows = [{"name": f"Topic {i}", "genre": "Unheard of", "cover": "Papyrus", "cost": i + 1} for i in range(30)]
    other.write_text("\n".join(map(json.dumps, rows)))
    status, out, _ = run("evaluate", model, other, "--json")
    measured = json.loads(out)
    assert status == 0 and list(measured) == list(BASELINES)
    assert all(set(row) == KEYS and row["n"] == 30 and row["coverage"] is None for row in measured.values())
    status, out, _ = run("evaluate", model, other)
    assert status == 0 and all(name in out for name in BASELINES)


@pytest.mark.slow
def test_evaluate_measures_the_language_model_too(run, tmp_path):
    status, out, _ = run("evaluate", MODEL, write_catalog(tmp_path / "books.csv", n=30), "--json")
    row = json.loads(out)["llm"]
    assert status == 0 and set(row) == KEYS and 0 <= row["coverage"] <= 1


def test_a_prepared_folder_is_measured_on_its_test_split(run, model, tmp_path):
    assert run("prepare", model.parent / "books.csv", tmp_path / "data", "--workers", 1)[0] == 0
    status, out, _ = run("evaluate", model, tmp_path / "data", "--json")
    results = json.loads((model / "baselines" / "results.json").read_text())["methods"]
    assert status == 0
    assert {name: row["mae"] for name, row in json.loads(out).items()} == pytest.approx(
        {name: row["mae"] for name, row in results.items()}
    )


def test_a_folder_of_baselines_prices_in_its_own_unit(run, tmp_path, monkeypatch):
    kept = {name: BASELINES[name] for name in ("median", "linear_regression")}
    monkeypatch.setattr("bookpricer.training.baselines.BASELINES", kept)
    monkeypatch.setattr("bookpricer.training.baselines.fitting.BASELINES", kept)
    source = write_catalog(tmp_path / "dong.csv", n=80, factor=1000)
    status, out, err = run("baselines", source, tmp_path / "m", "--currency", "VND", "--unit", "1000", "--json")
    assert status == 0, err
    assert json.loads(out)["methods"]["linear_regression"]["mae"] < 30
    assert "VND" in (tmp_path / "m" / "pricer.json").read_text()
    assert json.loads(run("evaluate", tmp_path / "m", source, "--json")[1])["median"]["n"] == 80
    for arguments in (
        ("baselines", source, tmp_path / "m", "--currency", "VND", "--unit", "1000"),
        ("baselines", source, tmp_path / "m", "--unit", "1000", "--overwrite"),
        ("price", "Rome", "--model", tmp_path / "m"),
        ("baselines", tmp_path / "none.csv", tmp_path / "new"),
        ("baselines", source, source),
        ("evaluate", tmp_path / "m", tmp_path / "none.csv"),
        ("evaluate", tmp_path / "nothing", source),
        ("evaluate", tmp_path / "m", tmp_path / "m"),
    ):
        status, out, err = run(*arguments)
        assert status == 2 and not out, arguments
        assert sum(line.startswith("Error: ") for line in err.splitlines()) == 1, err
    assert not (tmp_path / "new").exists()


def test_a_changed_baseline_is_one_sentence_and_exit_2(run, model, tmp_path):
    import shutil

    copy = shutil.copytree(model, tmp_path / "m")
    file = copy / "baselines" / "hist_gradient_boosting" / "model.skops"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    status, out, err = run("evaluate", copy, model.parent / "books.csv", "--json")
    assert status == 2 and not out and err.splitlines()[-1].startswith("Error: ") and "was changed" in err

"""The figures of a report, recomputed from its own predictions file with scikit-learn and by hand."""

import dataclasses
import json
import shutil
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap
from sklearn import metrics
from sklearn.calibration import calibration_curve

from bookpricer.training.baselines import BASELINES
from bookpricer.training.baselines.fitting import fit_baselines
from bookpricer.training.book import Book
from bookpricer.training.calibration import Calibration
from bookpricer.training.columns import to_book
from bookpricer.training.dataset import PricedBook
from bookpricer.training.distribution import PRICES, PriceDistribution
from bookpricer.training.errors import InputError
from bookpricer.training.evaluation import LEVELS
from bookpricer.training.evaluation_report import (
    BAND_EDGES,
    FIGURES,
    PAGE,
    PREDICTIONS,
    TOP_CATEGORIES,
    build_report,
    check_report,
    contract,
    own_folder,
    save_report,
)
from bookpricer.training.measuring import ask_methods, load_methods
from bookpricer.training.model_folder import ModelFolder, PricerConfig, find_model
from bookpricer.training.money import parse_price
from bookpricer.training.predictions import Answers, Predictions, read_predictions
from bookpricer.training.synthetic import synthetic_records


def priced_books(n, seed):
    books = [PricedBook(to_book(r), parse_price(r["price"])) for r in synthetic_records(n, seed=seed)]
    return [priced for priced in books if 0.5 <= priced.units <= 999.49]


def made_up(n=260, seed=0, coverage=0.8):
    """Predictions of a method with distributions and of two without, for books of all prices and some categories."""
    random = np.random.default_rng(seed)
    actual = np.round(np.exp(random.normal(3.3, 1, n)).clip(0.5, 999), 2)
    units = np.arange(PRICES)

    def distributions(prices):
        centers = prices * np.exp(random.normal(0, 0.3, len(prices)))
        logs = [-np.abs(np.log((units + 0.5) / (c + 0.5))) / 0.2 for c in centers]
        return [PriceDistribution.from_log_probabilities(row) for row in logs]

    others = np.exp(random.normal(3.3, 1, 200)).clip(0.5, 999)
    calibration = Calibration.fit(distributions(others), others)
    categories = [None if k % 9 == 0 else f"Category {min(int(random.exponential(5)), 19)}" for k in range(n)]
    return Predictions(
        ids=[f"B{k}" if k % 2 else "" for k in range(n)],
        titles=[f"Book {k}" for k in range(n)],
        categories=categories,
        actual=actual,
        answers={
            "llm": Answers.of_distributions(distributions(actual), actual, calibration, sorted({*LEVELS, coverage})),
            "median": Answers(np.full(n, np.median(actual))),
            "neighbours": Answers(actual * np.exp(random.normal(0, 0.4, n))),
        },
        coverage=coverage,
        method_titles={"llm": "Language model", "median": "Constant (median)", "neighbours": "Nearest neighbours"},
    )


def recompute(folder):
    """Check every figure of a report folder against its predictions file, which is read here with nothing of ours."""
    report = json.loads((folder / FIGURES).read_text(encoding="utf-8"), parse_constant=pytest.fail)
    lines = (folder / PREDICTIONS).read_text(encoding="utf-8").splitlines()
    rows = pd.json_normalize([json.loads(line, parse_constant=pytest.fail) for line in lines], sep="|")
    assert report["data"]["books"] == len(rows) and rows["row"].tolist() == list(range(1, len(rows) + 1))
    actual = rows["actual"].to_numpy()
    names = list(report["methods"])
    prices = {name: rows[f"methods|{name}|price"].to_numpy() for name in names}
    assert {column.split("|")[1] for column in rows if column.startswith("methods|")} == set(names)
    for name, row in report["methods"].items():
        check_method(row, name, rows, actual, prices, report)
    edges = list(pairwise(BAND_EDGES))
    expected = [(low, high) for low, high in edges if ((low <= actual) & (actual < high)).any()]
    assert [(band["low"], band["high"]) for band in report["bands"]] == expected
    for band in report["bands"]:
        check_group(band, rows[(band["low"] <= actual) & (actual < band["high"])], report)
    counts = rows["category"].value_counts(dropna=False)
    assert sorted((g["n"] for g in report["categories"]), reverse=True) == counts.tolist()[:TOP_CATEGORIES]
    for group in report["categories"]:
        category = group["category"]
        check_group(group, rows[rows["category"].isna() if category is None else rows["category"] == category], report)
    shown = "llm" if "llm" in names else min(names, key=lambda name: report["methods"][name]["mae"])
    errors = np.abs(prices[shown] - actual)
    worst = [row - 1 for row in report["worst"]]
    assert errors[worst].tolist() == sorted(errors, reverse=True)[: len(worst)]
    return report


def check_method(row, name, rows, actual, prices, report):
    predicted = prices[name]
    error = np.abs(predicted - actual)
    assert row["n"] == len(actual)
    assert row["mae"] == pytest.approx(metrics.mean_absolute_error(actual, predicted))
    assert row["median_ae"] == pytest.approx(metrics.median_absolute_error(actual, predicted))
    assert row["rmsle"] == pytest.approx(metrics.root_mean_squared_log_error(actual, predicted))
    assert row["r2"] == pytest.approx(metrics.r2_score(actual, predicted))
    assert row["hit_rate"] == pytest.approx(np.mean((error <= 0.2 * actual) | (error <= 40)))
    assert row["mae_interval"] == pytest.approx(paired(actual, actual, predicted, report))
    if name == report["reference"] or report["reference"] is None:
        assert row["mae_difference"] is None and row["mae_difference_interval"] is None
    else:
        reference = prices[report["reference"]]
        assert row["mae_difference"] == pytest.approx(
            metrics.mean_absolute_error(actual, predicted) - metrics.mean_absolute_error(actual, reference)
        )
        assert row["mae_difference_interval"] == pytest.approx(paired(actual, reference, predicted, report))
    low, high = (rows.get(f"methods|{name}|{end}") for end in ("low", "high"))
    if low is None:
        assert row["coverage"] is None and row["interval_width"] is None and row["calibration_curve"] == []
    else:
        assert row["coverage"] == pytest.approx(np.mean((low <= actual) & (actual <= high)))
        assert row["interval_width"] == pytest.approx(np.mean(high - low))
        assert row["coverage_interval"][0] <= row["coverage"] <= row["coverage_interval"][1]
        assert [point["level"] for point in row["calibration_curve"]] == sorted({*LEVELS, report["coverage"]})
        for point in row["calibration_curve"]:
            bounds = np.array(rows[f"methods|{name}|intervals|{point['level']}"].tolist())
            held = (bounds[:, 0] <= actual) & (actual <= bounds[:, 1])
            assert point["coverage"] == pytest.approx(held.mean())
            assert point["interval_width"] == pytest.approx(np.mean(bounds[:, 1] - bounds[:, 0]))
            cdf = rows[f"methods|{name}|cdf"]
            inner = (cdf >= (1 - point["level"]) / 2 - 1e-12) & (cdf <= (1 + point["level"]) / 2 + 1e-12)
            assert point["uncalibrated"] == pytest.approx(inner.mean())
        shares = [point["coverage"] for point in row["calibration_curve"]]
        assert shares == sorted(shares)
    if (confidence := rows.get(f"methods|{name}|confidence")) is None:
        assert row["confidence_curve"] == []
    elif row["confidence_curve"]:
        right, said = calibration_curve(
            error <= 0.2 * predicted, confidence, n_bins=min(10, len(rows) // 40), strategy="quantile"
        )
        assert [point["right"] for point in row["confidence_curve"]] == pytest.approx(right)
        assert [point["confidence"] for point in row["confidence_curve"]] == pytest.approx(said)


def paired(actual, reference, predicted, report):
    """The bootstrap interval of the difference of two mean absolute errors, both on the same resamples of books."""
    result = bootstrap(
        (actual, reference, predicted),
        lambda truth, one, other, axis: np.abs(other - truth).mean(axis) - np.abs(one - truth).mean(axis),
        paired=True, vectorized=True, n_resamples=report["resamples"], confidence_level=report["confidence"],
        method="percentile", rng=np.random.default_rng(0),
    )  # fmt: skip
    return list(result.confidence_interval)


def check_group(group, rows, report):
    actual = rows["actual"]
    assert group["n"] == len(rows) and set(group["methods"]) == set(report["methods"])
    for name, row in group["methods"].items():
        predicted = rows[f"methods|{name}|price"]
        error = np.abs(predicted - actual)
        assert row["mae"] == pytest.approx(metrics.mean_absolute_error(actual, predicted))
        assert row["median_ae"] == pytest.approx(metrics.median_absolute_error(actual, predicted))
        assert row["hit_rate"] == pytest.approx(np.mean((error <= 0.2 * actual) | (error <= 40)))
        assert row["bias"] == pytest.approx(np.mean(predicted - actual), abs=1e-9)
        if f"methods|{name}|low" in rows:
            low, high = rows[f"methods|{name}|low"], rows[f"methods|{name}|high"]
            assert row["coverage"] == pytest.approx(np.mean((low <= actual) & (actual <= high)))
            assert row["interval_width"] == pytest.approx(np.mean(high - low))
        else:
            assert row["coverage"] is None and row["interval_width"] is None


def write(folder, predictions, config=None, **named):
    books = [Book(title=title, description=f"About {title}.") for title in predictions.titles]
    report = build_report(predictions, config or PricerConfig(), **{"model": "m", "data": "d"} | named)
    save_report(folder, report, predictions, books)
    return report


@pytest.mark.parametrize("coverage", [0.8, 0.77])
def test_every_figure_is_what_scikit_learn_computes_from_the_predictions_file(tmp_path, coverage):
    written = write(tmp_path / "r", made_up(coverage=coverage), left_out={"no text": 3})
    report = recompute(tmp_path / "r")
    assert report == written
    assert report["reference"] == "llm" and len(report["categories"]) == TOP_CATEGORIES
    assert any(group["category"] is None for group in report["categories"])


def test_the_report_is_made_of_its_predictions_file_and_nothing_else(tmp_path):
    written = write(tmp_path / "r", made_up())
    titles = {name: row["title"] for name, row in written["methods"].items()}
    again = build_report(
        read_predictions(tmp_path / "r" / PREDICTIONS, 0.8, titles), PricerConfig(), model="m", data="d"
    )
    assert {**again, "created": None} == {**written, "created": None}


@pytest.mark.slow
def test_the_embedded_model_and_all_baselines_are_measured_as_scikit_learn_does(tmp_path):
    """A real evaluation, from a model folder to its report."""
    model = shutil.copytree(find_model("embedded"), tmp_path / "m", copy_function=shutil.copyfile)
    shutil.rmtree(model / "baselines")
    fit_baselines({"train": priced_books(400, seed=11)}, model)
    books = priced_books(300, seed=12)
    predictions = ask_methods(load_methods(model, device="cpu"), books)
    config = ModelFolder(model).config
    report = build_report(predictions, config, model="m", data="synthetic books")
    save_report(tmp_path / "r", report, predictions, [priced.book for priced in books])
    assert list(recompute(tmp_path / "r")["methods"]) == ["llm", *BASELINES, "cross_check"]
    page = (tmp_path / "r" / PAGE).read_text(encoding="utf-8")
    assert "A demonstration model." in page and all(kind.title in page for kind in BASELINES.values())


def test_without_a_language_model_nothing_is_compared_and_the_best_is_shown(tmp_path):
    predictions = made_up()
    answers = {name: predictions.answers[name] for name in ("median", "neighbours")}
    write(tmp_path, dataclasses.replace(predictions, answers=answers))
    assert recompute(tmp_path)["reference"] is None


@pytest.mark.parametrize("n", [1, 2])
def test_few_books_of_one_price_give_what_can_be_computed_and_no_nan(tmp_path, n):
    predictions = dataclasses.replace(
        made_up(2), **{"actual": np.array([20.0, 20.0])[:n]}, ids=["", ""][:n], titles=["A", "B"][:n],
        categories=[None, None][:n], answers={"median": Answers(np.array([25.0, 30.0])[:n])},
    )  # fmt: skip
    write(tmp_path, predictions)
    report = json.loads((tmp_path / FIGURES).read_text(), parse_constant=pytest.fail)
    row = report["methods"]["median"]
    assert row["r2"] is None and row["mae"] == (5 if n == 1 else 7.5)
    assert (row["mae_interval"] is None) == (n == 1)
    assert report["categories"] == [{"category": None, "n": n, "methods": report["categories"][0]["methods"]}]
    assert "–" in (tmp_path / PAGE).read_text(encoding="utf-8")


def test_json_keeps_the_contract():
    report = build_report(made_up(60), PricerConfig(), model="m", data="d")
    printed = contract(report)
    keys = {"n", "mae", "median_ae", "rmsle", "r2", "hit_rate", "coverage", "interval_width"}
    assert list(printed) == ["llm", "median", "neighbours"]
    assert all(set(row) == keys for row in printed.values())
    assert printed["llm"]["coverage"] is not None and printed["median"]["coverage"] is None


def test_no_path_of_this_machine_is_written(tmp_path):
    config = PricerConfig(base_model=str(tmp_path / "secret" / "base"), preset="embedded")
    report = build_report(made_up(30), config, model="m", data="d")
    assert report["model"]["base_model"] == "base" and str(tmp_path) not in json.dumps(report)


# Where reports go


def test_a_report_on_the_same_books_is_replaced_and_other_files_stay(tmp_path):
    predictions = made_up(30)
    (tmp_path / "training.json").write_text("{}")
    write(tmp_path, predictions, model="first")
    check_report(tmp_path, predictions.fingerprint)
    write(tmp_path, predictions, model="second")
    assert json.loads((tmp_path / FIGURES).read_text())["model"]["name"] == "second"
    assert {file.name for file in tmp_path.iterdir()} == {"training.json", FIGURES, PAGE, PREDICTIONS}


def test_a_report_on_other_books_is_kept_unless_told(tmp_path):
    write(tmp_path, made_up(30))
    other = made_up(31, seed=5).fingerprint
    with pytest.raises(InputError, match="--overwrite"):
        check_report(tmp_path, other)
    check_report(tmp_path, other, overwrite=True)


@pytest.mark.parametrize("text", ['{"data": "2000 synthetic books", "test": {}}', "{", "[]", "\x00"])
def test_an_evaluation_of_another_shape_is_not_replaced_unasked(tmp_path, text):
    (tmp_path / FIGURES).write_text(text)
    with pytest.raises(InputError, match="--overwrite"):
        check_report(tmp_path, "x")


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file", tmp_path / "file" / "r", "/proc/report"):
        with pytest.raises(InputError, match="cannot be written"):
            check_report(type(tmp_path)(target), "x")
    assert (tmp_path / "file").read_text() == "mine"


def test_looking_at_a_place_leaves_nothing_there(tmp_path):
    check_report(tmp_path / "r", "x")
    assert not list(tmp_path.iterdir())


def test_a_report_that_fails_leaves_the_earlier_one(tmp_path):
    predictions = made_up(30)
    write(tmp_path, predictions)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    broken = dataclasses.replace(predictions, answers={"median": Answers(np.full(30, np.nan))})
    report = build_report(predictions, PricerConfig(), model="m", data="d")
    with pytest.raises((ValueError, KeyError)):
        save_report(tmp_path, report, broken, [Book(title=title) for title in predictions.titles])
    assert before == {file.name: file.read_bytes() for file in tmp_path.iterdir()}


def test_a_folder_of_ones_own_has_a_report_and_the_embedded_model_has_not(tmp_path):
    assert own_folder(str(tmp_path)) == tmp_path / "report"
    assert own_folder("embedded") is None
    assert own_folder(str(find_model("embedded"))) is None
    assert own_folder("nobody/on-the-hub") is None

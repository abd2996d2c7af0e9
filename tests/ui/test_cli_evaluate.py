"""`bookpricer evaluate` and where its report goes, in one process."""

import json
import os
import shutil

import pytest

import bookpricer
from bookpricer.training.baselines import BASELINES
from bookpricer.training.baselines.fitting import fit_baselines
from bookpricer.training.book import Book
from bookpricer.training.dataset import PricedBook
from bookpricer.training.model_folder import find_model

MODEL = os.environ.get("BOOKPRICER_TEST_MODEL", "embedded")
KEYS = {"n", "mae", "median_ae", "rmsle", "r2", "hit_rate", "coverage", "interval_width"}
FILES = {"evaluation.json", "predictions.jsonl", "evaluation.html"}


def names(folder):
    return {file.name for file in folder.iterdir()} if folder.exists() else set()


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate") / "fitted"
    books = [PricedBook(Book(title=f"Book {k}"), 5.0 + k) for k in range(40)]
    fit_baselines({"train": books}, folder, kinds={name: BASELINES[name] for name in ("mean", "median")})
    return folder


@pytest.fixture
def model(fitted, tmp_path):
    return shutil.copytree(fitted, tmp_path / "m")


@pytest.fixture
def books(tmp_path):
    path = tmp_path / "books.csv"
    path.write_text("title,category,price\n" + "\n".join(f"Book {k},Cookery,{k + 5}" for k in range(30)) + "\n,,\n")
    return path


def test_the_report_goes_into_the_model_folder(run, model, books):
    status, out, err = run("evaluate", model, books)
    assert status == 0 and "mean" in out and "evaluation.html" in out
    assert "left out 1" in err
    assert names(model / "report") == FILES
    report = json.loads((model / "report" / "evaluation.json").read_text())
    assert report["model"]["name"] == "m" and report["data"]["name"] == "books.csv"
    assert report["data"]["books"] == 30 and sum(report["data"]["left_out"].values()) == 1
    assert report["bookpricer"] == bookpricer.__version__ and str(model.parent) not in json.dumps(report)


def test_json_is_the_contract_and_nothing_else(run, model, books):
    status, out, _ = run("evaluate", model, books, "--json")
    printed = json.loads(out)
    assert status == 0 and list(printed) == ["mean", "median"] and all(set(row) == KEYS for row in printed.values())
    figures = json.loads((model / "report" / "evaluation.json").read_text())["methods"]
    assert all(printed[name][key] == figures[name][key] for name in printed for key in KEYS)


def test_a_report_on_other_books_is_kept_and_said_so(run, model, books, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("title,price\nRome,12\nEmma,9\n")
    assert run("evaluate", model, books)[0] == 0
    kept = (model / "report" / "evaluation.json").read_bytes()
    status, out, err = run("evaluate", model, other, "--json")
    assert status == 0 and json.loads(out)["mean"]["n"] == 2
    assert "no report is written" in err and "--overwrite" in err
    assert (model / "report" / "evaluation.json").read_bytes() == kept
    assert run("evaluate", model, books)[0] == 0  # the same books: renewed unasked
    assert run("evaluate", model, other, "--overwrite")[0] == 0
    assert json.loads((model / "report" / "evaluation.json").read_text())["data"]["books"] == 2


def test_a_place_that_was_named_must_be_usable(run, model, books, tmp_path):
    assert run("evaluate", model, books, "--report", tmp_path / "new" / "r")[0] == 0
    assert names(tmp_path / "new" / "r") == FILES and not (model / "report").exists()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "evaluation.json").write_text('{"data": "other books"}')
    for target in (tmp_path / "file", "/proc/report", tmp_path / "old"):
        status, out, err = run("evaluate", model, books, "--report", target)
        assert status == 2 and not out, target
        assert sum(line.startswith("Error: ") for line in err.splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine"


def test_a_model_folder_that_cannot_be_written_is_measured_all_the_same(run, model, books):
    (model / "report").write_text("in the way")
    status, out, err = run("evaluate", model, books, "--json")
    assert status == 0 and json.loads(out)["mean"]["n"] == 30
    assert "no report is written" in err and "--report" in err


def test_one_book_and_equal_prices_print_null_and_a_table(run, model, tmp_path):
    one = tmp_path / "one.csv"
    one.write_text("title,price\nRome,12\n")
    status, out, _ = run("evaluate", model, one, "--json")
    assert status == 0 and "NaN" not in out and json.loads(out)["mean"]["r2"] is None
    status, out, _ = run("evaluate", model, one)
    assert status == 0 and "–" in out


@pytest.mark.parametrize("content", [b"", b"title,price\n", b"title,price\nRome,NaN\nEmma,nan\n", b"title,price\n,5\n"])
def test_data_without_a_priced_book_is_one_sentence(run, model, tmp_path, content):
    (tmp_path / "bad.csv").write_bytes(content)
    status, out, err = run("evaluate", model, tmp_path / "bad.csv", "--json")
    assert status == 2 and not out and err.startswith("Error: ") and err.count("\n") == 1
    assert not (model / "report").exists()


@pytest.mark.slow
def test_the_embedded_model_is_never_written_into(run, books, tmp_path):
    packaged = find_model("embedded")
    before = {str(file): file.stat().st_mtime_ns for file in packaged.rglob("*")}
    status, out, err = run("evaluate", "embedded", books)
    assert status == 0 and "intervals of llm hold" in out and "--report" in err
    assert run("evaluate", packaged, books)[0] == 0
    assert before == {str(file): file.stat().st_mtime_ns for file in packaged.rglob("*")}
    status, out, _ = run("evaluate", MODEL, books, "--report", tmp_path / "r", "--json")
    assert status == 0 and names(tmp_path / "r") == FILES
    assert json.loads(out)["llm"]["coverage"] is not None

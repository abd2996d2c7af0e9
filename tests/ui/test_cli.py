"""The command line: prices, catalogues, bad input."""

import json
import os

import pytest

MODEL = os.environ.get("BOOKPRICER_TEST_MODEL", "embedded")


def test_price_in_words_and_as_json(run):
    status, out, _ = run("price", "A History of Rome, hardcover, 480 pages", "--model", MODEL)
    assert status == 0 and "USD" in out and "80% interval" in out
    status, out, _ = run("price", "A History of Rome, hardcover, 480 pages", "--model", MODEL, "--json")
    estimate = json.loads(out)
    assert status == 0 and estimate["low"] <= estimate["price"] <= estimate["high"]
    assert "distribution" not in estimate
    out = run("price", '{"title": "Rome"}', "--model", MODEL, "--json", "--distribution")[1]
    assert len(json.loads(out)["distribution"]) == 1000


def test_price_reads_a_file_and_standard_input(run, tmp_path):
    file = tmp_path / "book.json"
    file.write_text('{"title": "A History of Rome", "format": "Hardcover"}')
    by_file = json.loads(run("price", file, "--model", MODEL, "--json")[1])
    by_input = json.loads(run("price", "-", "--model", MODEL, "--json", stdin=file.read_bytes())[1])
    assert by_file == by_input


def test_catalog_reports_rows_without_a_price_and_exits_1(run, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("title,price\nRome,3\n,4\nEmma,\n")
    status, out, err = run("catalog", source, tmp_path / "out.csv", "--model", MODEL)
    assert status == 1 and "2 of 3" in out and "row 2 is not priced" in err
    status, out, _ = run("catalog", source, tmp_path / "out2.csv", "--model", MODEL, "--json")
    assert status == 1 and [entry["row"] for entry in json.loads(out)["rejected"]] == [2]
    source.write_text("title\nRome\n")
    assert run("catalog", source, tmp_path / "out.csv", "--model", MODEL, "--overwrite")[0] == 0


def test_catalog_adds_quantiles(run, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("title\nRome\n")
    assert run("catalog", source, tmp_path / "out.csv", "--model", MODEL, "--quantiles", "0.1,0.9")[0] == 0
    assert (tmp_path / "out.csv").read_text().splitlines()[0].endswith("reason,price_q10,price_q90")
    for bad in ("high", "0.5,2"):
        status, _, err = run("catalog", source, tmp_path / "out2.csv", "--quantiles", bad)
        assert status == 2 and "between 0 and 1" in err


def test_a_backend_that_is_away_or_none_is_said(run):
    status, _, err = run("price", "Rome", "--backend", "http://127.0.0.1:9/v1")
    assert status == 1 and "is away" in err
    status, _, err = run("price", "Rome", "--backend", "somewhere")
    assert status == 2 and "no backend" in err


def test_demo_shows_the_table_and_the_errors(run):
    status, out, _ = run("demo")
    assert status == 0 and "constant" in out and "random" in out and "synthetic" in out
    shown = json.loads(run("demo", "--json")[1])
    assert shown["errors"]["embedded model"]["mae"] < shown["errors"]["constant (median)"]["mae"]
    assert len(shown["books"]) >= 20


BAD_FILES = {
    "missing.csv": None,
    "empty.csv": b"",
    "blank.csv": b"\n \n",
    "folder.csv": "folder",
    "picture.csv": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40,
    "zipped.jsonl": b"PK\x03\x04" + bytes(range(256)) * 40,
    "no-title.csv": b"Shoe,Size\nred,42\n",
    "strange.xyz": b"title\nRome\n",
    "array.json": b'[{"title": "Rome"}]',
}


@pytest.mark.parametrize("command", ["catalog", "train"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_source_is_one_sentence_and_exit_2(run, tmp_path, command, name):
    content = BAD_FILES[name]
    if content == "folder":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    status, out, err = run(command, tmp_path / name, tmp_path / "out.csv")
    assert status == 2 and not out
    assert err.startswith("Error: ") and err.count("\n") == 1
    assert not (tmp_path / "out.csv").exists()


def test_odd_text_is_priced_or_rejected_row_by_row(run, tmp_path):
    source = tmp_path / "odd.jsonl"
    rows = [
        {"title": "Ten megabytes", "description": "word " * 2_000_000},
        {"title": "One long word", "description": "x" * 10_000_000},
        {"title": "NUL\0bytes", "description": ["\0\0"]},
        {"title": "📚🐍", "description": ["😀" * 100]},
        {"title": "كتاب عن التاريخ", "description": ["مرحبا بالعالم"]},
        {"title": "", "description": []},
        {"title": None},
        {"title": 12, "author": [["x"]], "details": "{broken", "categories": {"a": "b"}},
    ]
    source.write_bytes(b"\n".join(json.dumps(row).encode() for row in rows) + b'\n{"title": "cut off\n\xff\xfe\n')
    status, _, _ = run("catalog", source, tmp_path / "out.jsonl", "--model", MODEL)
    out = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert status == 1
    assert [row["status"] for row in out] == ["priced"] * 5 + ["rejected"] * 2 + ["priced"] + ["rejected"] * 2
    assert all(row["reason"] for row in out if row["status"] == "rejected")
    assert out[2]["title"] == "NUL\0bytes"


@pytest.mark.parametrize(
    "arguments",
    [
        ("price", "Rome", "--model", "no such folder"),
        ("price", "Rome", "--model", "nobody/no-such-model"),
        ("price", "Rome", "--model", __file__),
        ("price", "Rome", "--device", "quantum"),
        ("price", "{broken"),
        ("price", "nothing.txt"),
        ("price", ""),
        ("train", "{books}", "{tmp}/m", "--preset", "gpt"),
        ("train", "{books}", "{tmp}/m", "--set", "lora.size=3"),
        ("train", "{books}", "{tmp}/m", "--set", "sft.learning_rates=3"),
        ("train", "{books}", "{tmp}/m", "--set", "nonsense"),
        ("train", "{books}", "{tmp}/m", "--config", "{tmp}/none.yaml"),
        ("train", "{books}", "{tmp}"),
        ("train", "{books}", "{books}/m"),
        ("train", "{books}", "{tmp}/m", "--set", "base_model=nobody/no-such-model"),
        ("train", "{books}", "{tmp}/m", "--unit", "1e6"),
        ("catalog", "{books}", "{books}"),
        ("catalog", "{books}", "/proc/out.csv"),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_2(run, tmp_path, arguments):
    books = tmp_path / "books.csv"
    books.write_text("title,price\n" + "\n".join(f"Book {number},{number + 5}" for number in range(60)))
    filled = [argument.replace("{books}", str(books)).replace("{tmp}", str(tmp_path)) for argument in arguments]
    status, out, err = run(*filled)
    assert status == 2 and not out
    assert sum(line.startswith("Error: ") for line in err.splitlines()) == 1
    assert len(err.splitlines()[-1]) < 400
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("folder", ["empty", "foreign", "torn", "later"])
def test_a_folder_that_is_no_model_is_refused(run, tmp_path, folder):
    model = tmp_path / folder
    model.mkdir()
    if folder == "foreign":
        (model / "notes.txt").write_text("mine")
    elif folder == "torn":
        (model / "pricer.json").write_text('{"format_version": 1')
    elif folder == "later":
        (model / "pricer.json").write_text(
            '{"format_version": 99, "preset": "x", "base_model": "embedded", "base_fingerprint": "",'
            ' "quantized": true, "content_tokens": 160}'
        )
    status, out, err = run("price", "Rome", "--model", model)
    assert status == 2 and not out and err.startswith("Error: ") and err.count("\n") == 1


def test_a_changed_base_model_is_refused(run, tmp_path):
    import shutil

    from bookpricer.training.model_folder import find_model

    model = tmp_path / "model"
    shutil.copytree(find_model(MODEL), model)
    config = json.loads((model / "pricer.json").read_text())
    config["base_fingerprint"] = "0" * 64
    (model / "pricer.json").write_text(json.dumps(config))
    status, _, err = run("price", "Rome", "--model", model)
    assert status == 2 and "another" in err

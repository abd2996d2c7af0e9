"""Preparation end to end on small catalogues; the tokenizer is a small one made for tests."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookpricer.training import prepare as preparing
from bookpricer.training.dataset import PricedBook, read_priced_books, split_books, work_of
from bookpricer.training.errors import InputError
from bookpricer.training.prepare import PrepareSettings, prepare
from bookpricer.training.price_mentions import without_prices
from bookpricer.training.sources import open_catalog, open_hub

WORDS = [
    *("history", "novel", "garden", "rome", "midnight", "algebra", "cats", "dragon"),
    *("river", "stone", "letter", "winter", "island", "machine", "music"),
]


def record(number: int, **fields):
    rng = random.Random(number)
    text = " ".join(rng.choices(WORDS, k=60))
    return {
        "title": f"The {' '.join(rng.sample(WORDS, 3))} {number}", "author": {"name": f"Author {number % 50}"},
        "description": [text], "features": [], "categories": ["Books", "Fiction"], "details": "{}",
        "price": f"{rng.uniform(3, 90):.2f}", "parent_asin": f"T{number:07d}", **fields,
    }  # fmt: skip


def written(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture(scope="session")
def tokenizer(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    small.backend_tokenizer.save(str(path))
    return path


@pytest.fixture
def run(tokenizer, tmp_path):
    def runner(records, name="d", workers=1, overwrite=False, **options):
        source = records if not isinstance(records, list) else written(tmp_path / "books.jsonl", records)
        catalog = open_catalog(source) if not hasattr(source, "rows") else source
        folder = tmp_path / name
        report = prepare(catalog, folder, PrepareSettings(tokenizer, **options), workers=workers, overwrite=overwrite)
        return folder, report

    return runner


def rows_of(folder):
    return [row for file in sorted((folder / "data").glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


def test_counts_what_each_rule_takes_and_keeps_the_whole_book(run):
    records = [
        *(record(number) for number in range(200)),
        record(1),  # the same identifier
        record(2, parent_asin="X"),  # the same text
        record(3, parent_asin="Y", description=record(3)["description"][0] + " ends"),  # nearly
        record(300, price=None), record(301, price="10 - 20"), record(302, price="4 €"), record(303, price=5000),
    ]  # fmt: skip
    folder, report = run(records)
    assert report["rows"] == 207 and report["books"] == 200 and sum(report["splits"].values()) == 200
    assert report["rejected"] == {
        "no price": 1, "a range of prices": 1, "a price in another currency": 1,
        "price outside of the model's range": 1,
    }  # fmt: skip
    assert report["duplicates"] == {"same identifier": 1, "same text": 1, "nearly the same text": 1}
    assert sum(report["histograms"]["tokens"]["before"]) == 203
    assert sum(report["histograms"]["price_units"]["after"]) == 200
    assert report == json.loads((folder / "report.json").read_text()) | {
        "histograms": report["histograms"]
    }  # tuples in memory, lists on disk
    row = next(row for row in rows_of(folder) if row["parent_asin"] == "T0000005")
    assert row["description"] == record(5)["description"] and row["price"] == float(record(5)["price"])
    assert row["prompt"].endswith("Answer: $") and row["completion"] == str(int(row["units"] + 0.5))


def test_a_prepared_folder_loads_with_datasets_and_with_train(run, tmp_path):
    import datasets

    folder, report = run([record(number) for number in range(300)])
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in loaded.items()} == report["splits"]
    priced = read_priced_books(folder)
    assert priced.fingerprint == report["fingerprint"] and (priced.currency, priced.unit) == ("USD", 1)
    splits = split_books(priced.books, seed=99)
    assert {name: len(books) for name, books in splits.items()} == report["splits"]
    assert all(isinstance(book, PricedBook) and book.book.price is None for book in priced.books)


def test_a_tiny_catalogue_loads_too(run, tmp_path):
    import datasets

    folder, _ = run([record(1)])
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert sum(map(len, loaded.values())) == 1


def test_a_lost_row_is_noticed(run):
    folder, _ = run([record(number) for number in range(50)])
    next((folder / "data").glob("train-*")).unlink()
    with pytest.raises(InputError, match="all of its books"):
        read_priced_books(folder)


def test_short_books_are_left_out_where_asked(run):
    records = [record(number, description="Short." if number % 2 else record(number)["description"])
               for number in range(40)]  # fmt: skip
    assert run(records, min_tokens=70)[1]["rejected"] == {"not more than 70 tokens": 20}
    assert run(records, name="all")[1]["rejected"] == {}


def test_two_formats_and_two_volumes_are_no_duplicates(run):
    records = [record(1, parent_asin=name, subtitle=f"{name} – 10 Mar 2016") for name in ("Paperback", "Hardcover")]
    records += [record(2, parent_asin=str(volume), subtitle=f"Volume {volume}") for volume in (1, 2)]
    assert run(records)[1]["books"] == 4


def test_balancing_levels_the_training_part_and_is_seeded(run, monkeypatch):
    monkeypatch.setattr(preparing, "BUCKET_LIMIT", 10)
    records = [record(number, price="7.50" if number % 2 else "60") for number in range(200)]
    one, other = run(records, "a", balance=True), run(records, "b", balance=True)
    again = run(records, "c", balance=True, seed=1)
    train = pq.read_table(next((one[0] / "data").glob("train-*")))["units"].to_numpy()
    assert (train == 7.5).sum() == 10 and (train == 60).sum() > 60
    assert one[1]["fingerprint"] == other[1]["fingerprint"] != again[1]["fingerprint"]
    assert one[1]["balanced_out"] > 0 and "balanced" in (one[0] / "README.md").read_text()


def test_shards_hold_all_rows_in_equal_parts(run, monkeypatch):
    monkeypatch.setattr(preparing, "_SHARD_ROWS", 40)
    monkeypatch.setattr(preparing, "CHUNK_ROWS", 30)
    folder, report = run([record(number) for number in range(300)])
    files = sorted((folder / "data").glob("train-*"))
    sizes = [pq.read_metadata(file).num_rows for file in files]
    assert len(files) > 3 and sum(sizes) == report["splits"]["train"] and max(sizes) <= 40
    assert files[0].name == f"train-00000-of-{len(files):05d}.parquet"


def test_processes_and_chunks_change_nothing(run, monkeypatch):
    records = [record(number) for number in range(2500)]
    assert run(records, "a", workers=2)[1]["fingerprint"] == run(records, "b")[1]["fingerprint"]


def test_an_interrupted_preparation_goes_on_and_looks_never_whole(run, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "CHUNK_ROWS", 50)
    records = [record(number) for number in range(200)]
    whole = run(records, "whole")[1]["fingerprint"]
    made = []
    real = preparing._ChunkMaker._records

    def failing(self, rows, counts):
        made.append(len(rows))
        if len(made) == 3:
            raise KeyboardInterrupt
        return real(self, rows, counts)

    monkeypatch.setattr(preparing._ChunkMaker, "_records", failing)
    with pytest.raises(KeyboardInterrupt):
        run(records)
    assert not (tmp_path / "d").exists()
    with pytest.raises(InputError):
        read_priced_books(tmp_path / "d")
    _, report = run(tmp_path / "books.jsonl")
    assert len(made) == 5 and report["fingerprint"] == whole
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_other_settings_start_again(run, tmp_path, monkeypatch):
    records = [record(number) for number in range(20)]
    monkeypatch.setattr(preparing, "_write_splits", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(records)
    monkeypatch.undo()
    assert run(records, unit=2.0)[1]["unit"] == 2.0


def test_refuses_to_replace_what_it_did_not_make(run, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.doc").write_text("x")
    for overwrite in (False, True):
        with pytest.raises(InputError):
            run([record(1)], overwrite=overwrite)
    run([record(1)], "e")
    assert run([record(2)], "e", overwrite=True)[1]["rows"] == 1


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([{"title": "Emma", "weight": 3}], "price, list price, rrp"),
        ([{"price": 3, "weight": 3}], "title, book title"),
        ([{"title": "Emma", "price": "150000"}], "--unit"),
    ],
)
def test_says_what_would_do(run, records, words):
    with pytest.raises(InputError, match=words) as error:
        run(records)
    assert "\n" not in str(error.value)


def test_streams_a_data_set_in_the_hubs_layout(run, tmp_path):
    import pyarrow as pa

    repository = tmp_path / "repository"
    (repository / "meta").mkdir(parents=True)
    records = [record(number) for number in range(100)]
    pq.write_table(pa.Table.from_pylist(records[:60]), repository / "meta" / "full-00000-of-00002.parquet")
    pq.write_table(pa.Table.from_pylist(records[60:]), repository / "meta" / "full-00001-of-00002.parquet")
    pq.write_table(pa.Table.from_pylist(records[:7]), repository / "few.parquet")
    (repository / "README.md").write_text(
        "---\nconfigs:\n- config_name: meta\n  data_files:\n  - split: full\n    path: meta/full-*.parquet\n"
        "- config_name: few\n  data_files:\n  - split: a\n    path: few.parquet\n"
        "  - split: b\n    path: few.parquet\n---\n"
    )
    catalog = open_hub(str(repository), config="meta")
    assert catalog.split == "full"
    assert run(catalog)[1]["books"] == 100
    assert run(open_hub(str(repository), config="few", split="b"), "few")[1]["books"] == 7
    for options, words in (({}, "config"), ({"config": "few"}, "--split"), ({"config": "few", "split": "c"}, "a, b")):
        with pytest.raises(InputError, match=words) as error:
            open_hub(str(repository), **options)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="cannot be opened"):
        open_hub("owner/there-is-none")


# What people write around a price.
MENTIONS = st.sampled_from(
    ["${}", "US$ {}", "Rs. {}", "₹{}", "{} dollars", "list price: {}", "List Price {} USD", "EUR {}", "{} €", "MRP {}",
     "now only ${}!", "price of ${}", "(${})", "{} zł", "was ${} now ${}", "<b>$</b>{}", "&#36;{}", "$[{}]", "{}/-"]
)  # fmt: skip
PRICES = st.one_of(st.integers(1, 999).map(float), st.integers(100, 99900).map(lambda cents: cents / 100))
PLACES = st.sampled_from(["title", "subtitle", "description", "features", "categories", "store", "details", "author"])


def spelled(price: float) -> str:
    return f"{price:.0f}" if price.is_integer() else f"{price:.2f}"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(PRICES, MENTIONS, PLACES, st.booleans()), min_size=1, max_size=15), st.integers(0, 3)
)  # fmt: skip
def test_nothing_but_the_completion_holds_the_price(tokenizer, tmp_path_factory, books, seed):
    folder = tmp_path_factory.mktemp("leak")
    records = []
    for number, (price, mention, place, named) in enumerate(books):
        text = f"{WORDS[number]} {mention.replace('{}', spelled(price))} and more"
        value = {"List Price": spelled(price), "Edition": text} if place == "details" else text
        title = f"{WORDS[number]} {WORDS[-number]}" + (f", the ${spelled(price)} Question" if named else "")
        records.append({"title": title, "author": "Ann", "description": "A novel.", "price": price, place: value})
    catalog = open_catalog(written(folder / "a.jsonl", records))
    try:
        prepare(catalog, folder / "d", PrepareSettings(tokenizer, seed=seed))
    except InputError as error:
        assert "its own price" in str(error)
        return
    works = {}
    for file in (folder / "d" / "data").glob("*.parquet"):
        for row in pq.read_table(file).to_pylist():
            price = spelled(row["price"])
            label = {"price", "units", "completion", "tokens", "parent_asin"}
            shown = json.dumps({key: value for key, value in row.items() if key not in label}, ensure_ascii=False)
            for word in ("${}", "Rs. {}", "₹{}", "{} dollars", "rice {}", "{} €", "MRP {}", "{}/-", "{} zł", "$[{}]"):
                assert word.replace("{}", price) not in shown
            assert "." not in price or price not in shown
            work = work_of(
                read_priced_books(folder / "d").books[0].book.with_(title=row["title"], author=row["author"])
            )
            assert works.setdefault(work, file.name) == file.name


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(
            st.sampled_from("ABC"), st.sampled_from("XY"), st.sampled_from(["", " (Vol 1)", ": New", " [PB]"]),
            st.integers(0, 10**6),
        ),
        min_size=1, max_size=40, unique_by=lambda book: book[3],
    ),
    st.integers(0, 5),
)  # fmt: skip
def test_no_title_and_author_stand_in_two_splits(tokenizer, tmp_path_factory, books, seed):
    folder = tmp_path_factory.mktemp("splits")
    records = [record(number, title=f"The {title} Book{tail}", author=author) for title, author, tail, number in books]
    prepare(open_catalog(written(folder / "a.jsonl", records)), folder / "d", PrepareSettings(tokenizer, seed=seed))
    splits = {}
    for priced in read_priced_books(folder / "d").books:
        splits.setdefault(work_of(priced.book), set()).add(priced.split)
    assert all(len(names) == 1 for names in splits.values())


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        ("for $12.99 today", 1), ("Rs. 300 only", 1), ("list price 20 dollars", 1), ("List Price: 20", 1),
        ("MRP 300", 1),
        ("49,90 zł", 1), ("150.000đ", 1), ("300/-", 1), ("$10-$20", 1), ("was $15, now $10", 2), ("EUR 12,99", 1),
        ("now 12.99", 1), ("from 1999 to 2004", 0), ("320 pages", 0), ("Prices 1950", 0), ("at 7.30 one evening", 0),
        ("a $5 million empire", 0), ("20% off", 0), ("PHP 8 Objects", 0), ("lose 20 pounds", 0), ("only 250 pages", 0),
        ("Price\n6. Invoices", 0), ("4.5 stars", 0), ("try 3 times", 0),
    ],
)  # fmt: skip
def test_a_price_is_told_from_other_numbers(text, mentions):
    left, found = without_prices(text)
    assert found == mentions and (mentions or left == text)


@pytest.mark.parametrize(
    "title", ["The $100 Startup", "Europe on 5 Dollars a Day", "The $64 Tomato", "1984", "Catch-22"]
)
def test_a_sum_that_is_a_name_stays_in_a_title(title):
    assert without_prices(title, title=True) == (title, 0)


@pytest.mark.parametrize("title", ["Emma - $12.99", "Emma (Rs. 300)", "Emma $5", "Emma, the $4.99 Paperback"])
def test_a_price_goes_from_a_title(title):
    assert without_prices(title, title=True)[1] == 1


@given(
    st.lists(st.sampled_from(["$", "12.99", "5", "Rs.", " ", "price", "only", "€", "a", "-", ",", "list "])).map(
        "".join
    )
)
def test_taking_prices_out_twice_is_taking_them_out_once(text):
    once, _ = without_prices(text)
    assert without_prices(once) == (once, 0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_stays_flat_on_400_000_records(tmp_path, tokenizer):
    import psutil

    from bookpricer.training.synthetic import synthetic_records

    source = written(tmp_path / "books.jsonl", synthetic_records(400_000, seed=5))
    program = "from bookpricer.ui.cli import main; main()"
    arguments = ["prepare", source, tmp_path / "d", "--tokenizer", tokenizer, "--json"]
    peak = 0
    with psutil.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            for part in [process, *process.children(recursive=True)]:
                try:
                    peak = max(peak, part.memory_info().rss)
                except psutil.Error:
                    continue
            time.sleep(0.3)
        assert process.returncode == 0
    assert peak < 1.5e9


def test_a_killed_preparation_leaves_no_data_set(tmp_path, tokenizer):
    source = written(tmp_path / "books.jsonl", (record(number) for number in range(20_000)))
    program = "from bookpricer.ui.cli import main; main()"
    arguments = [*("prepare", source, tmp_path / "d", "--tokenizer", tokenizer, "--workers", 1)]
    command = [sys.executable, "-c", program, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        work = tmp_path / ".d.preparing"
        while process.poll() is None and len(list(work.glob("chunk-*.parquet"))) < 2:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "d").exists() and list(work.glob("chunk-*.parquet"))
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert "going on after" in done.stderr
    assert json.loads(done.stdout)["rows"] == 20_000 and not work.exists()
    assert np.all([priced.units > 0 for priced in read_priced_books(tmp_path / "d").books])


@given(st.text(st.sampled_from("aeZ ,.-‘’“”–—…•™®°àâéèíñóüßÃ©€œ¹Äö")))
def test_the_short_way_round_ftfy_changes_nothing(text):
    import ftfy

    from bookpricer.training.cleaning import _mend

    assert _mend(text, Counter()) == ftfy.fix_text(text)

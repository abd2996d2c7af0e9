import csv
import json
import random

import pytest
from langchain_core.language_models import FakeListLLM
from langchain_core.runnables import RunnableLambda

from bookpricer import PricingChain
from bookpricer.chains.catalog import OUTPUT_COLUMNS, price_catalog
from bookpricer.training.errors import InputError
from bookpricer.training.server import ServerError


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


ROWS = [
    {"Author(s)": "Ann Reed", "Book Title": "Rome, a “history”", "Price": "$12.00", "Our shelf": "A\n3"},
    {"Author(s)": "", "Book Title": "", "Price": "7", "Our shelf": "B;1"},
    {"Author(s)": "Ünal 李", "Book Title": "📚 كتاب", "Price": "n/a", "Our shelf": ""},
]


def test_keeps_the_columns_and_adds_the_estimates(chain, tmp_path):
    report = price_catalog(chain, write_csv(tmp_path / "in.csv", ROWS), tmp_path / "out.csv")
    out = read_csv(tmp_path / "out.csv")
    assert list(out[0]) == [*ROWS[0], *OUTPUT_COLUMNS]
    assert [{name: row[name] for name in ROWS[0]} for row in out] == ROWS
    assert [row["status"] for row in out] == ["priced", "rejected", "priced"]
    assert (report.rows, report.priced) == (3, 2) and report.rejections == [(2, out[1]["reason"])]
    assert "no text" in out[1]["reason"] and not out[1]["price_estimate"]
    for row in (out[0], out[2]):
        assert 0 < float(row["price_low"]) <= float(row["price_estimate"]) <= float(row["price_high"])
        assert 0 <= float(row["confidence"]) <= 1 and not row["reason"]


def test_estimates_equal_those_of_the_chain(chain, tmp_path):
    price_catalog(chain, write_csv(tmp_path / "in.csv", ROWS), tmp_path / "out.csv")
    out = read_csv(tmp_path / "out.csv")
    assert float(out[0]["price_estimate"]) == pytest.approx(chain.invoke(ROWS[0]).price, abs=0.02)


def test_quantiles_are_columns(chain, tmp_path):
    source = write_csv(tmp_path / "in.csv", ROWS)
    price_catalog(chain, source, tmp_path / "out.csv", quantiles=(0.1, 0.5, 0.9, 0.975), calibration=chain.calibration)
    out = read_csv(tmp_path / "out.csv")
    names = ["price_q10", "price_q50", "price_q90", "price_q97.5"]
    assert list(out[0]) == [*ROWS[0], *OUTPUT_COLUMNS, *names]
    values = [float(out[0][name]) for name in names]
    assert values == sorted(values)
    assert values[1] == pytest.approx(float(out[0]["price_estimate"]), abs=0.02)
    assert [out[1][name] for name in names] == [""] * 4
    words = PricingChain(llm=FakeListLLM(responses=["$5"]))
    price_catalog(words, source, tmp_path / "words.csv", quantiles=(0.5,))
    assert read_csv(tmp_path / "words.csv")[0]["price_q50"] == ""
    with pytest.raises(InputError, match="between 0 and 1"):
        price_catalog(chain, source, tmp_path / "bad.csv", quantiles=(1.5,))


def test_a_server_that_is_away_ends_the_job(tmp_path):
    chain = PricingChain.from_pretrained("embedded", backend="http://127.0.0.1:9/v1")
    chain.llm.backend.server.attempts = 1
    with pytest.raises(ServerError, match="is away"):
        price_catalog(chain, write_csv(tmp_path / "in.csv", ROWS), tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == [tmp_path / "in.csv"]


def test_json_lines_keep_their_values_and_broken_ones_are_reported(chain, tmp_path):
    source = tmp_path / "in.jsonl"
    records = [
        {"title": "Rome", "categories": ["Books", "History"], "price": None},
        {"title": "Emma", "extra": {"a": 1}},
    ]
    source.write_text(
        "\n".join([json.dumps(records[0]), "{broken", "[1]", "", json.dumps(records[1])]), encoding="utf-8"
    )
    report = price_catalog(chain, source, tmp_path / "out.jsonl")
    out = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [{k: row[k] for k in record} for record, row in zip(records, [out[0], out[3]], strict=True)] == records
    assert report.rejections == [(2, "broken JSON"), (3, "not a JSON object")]
    price_catalog(chain, source, tmp_path / "out.csv")
    assert json.loads(read_csv(tmp_path / "out.csv")[3]["extra"]) == {"a": 1}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_an_interrupted_job_leaves_nothing_that_looks_whole(tmp_path, suffix):
    seen = []

    def fail_late(prompt):
        seen.append(prompt)
        if len(seen) > 1500:
            raise KeyboardInterrupt
        return "$5"

    source = write_csv(tmp_path / "in.csv", [{"title": f"Book {number}"} for number in range(3000)])
    with pytest.raises(KeyboardInterrupt):
        price_catalog(PricingChain(llm=RunnableLambda(fail_late)), source, tmp_path / f"out{suffix}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv"]


def test_an_existing_output_is_kept_unless_told_otherwise(tmp_path):
    chain = PricingChain(llm=FakeListLLM(responses=["$5"]))
    source, out = write_csv(tmp_path / "in.csv", ROWS), tmp_path / "out.csv"
    out.write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        price_catalog(chain, source, out)
    assert out.read_text() == "precious"
    price_catalog(chain, source, out, overwrite=True)
    assert len(read_csv(out)) == 3
    again = tmp_path / "again.csv"
    price_catalog(chain, out, again)
    assert list(read_csv(again)[0]) == list(read_csv(out)[0]), "pricing a priced catalogue replaces its estimates"


@pytest.mark.parametrize(
    ("out", "problem"),
    [
        ("no/such/folder/out.csv", "cannot be written"),
        ("out.xyz", "no known format"),
        (".", "format"),
        ("in.csv", "itself"),
    ],
)
def test_refuses_an_output_that_cannot_be(tmp_path, out, problem):
    chain = PricingChain(llm=FakeListLLM(responses=["$5"]))
    source = write_csv(tmp_path / "in.csv", ROWS)
    before = source.read_bytes()
    with pytest.raises(InputError, match=problem):
        price_catalog(chain, source, tmp_path / out, overwrite=True)
    assert source.read_bytes() == before


def test_memory_and_order_hold_over_many_chunks(tmp_path):
    rng = random.Random(0)
    titles = [f"{number} {'word ' * rng.randint(0, 30)}" for number in range(5000)]
    echo = PricingChain(llm=RunnableLambda(lambda prompt: "$" + prompt.to_string().split("Content: ")[1].split()[0]))
    source = write_csv(tmp_path / "in.csv", [{"title": title} for title in titles])
    done = []
    price_catalog(echo, source, tmp_path / "out.csv", progress=done.append)
    assert sum(done) == 5000 and len(done) > 1
    assert [float(row["price_estimate"]) for row in read_csv(tmp_path / "out.csv")] == list(range(5000))

"""The synthetic catalogue: the same everywhere, shaped like the data set, priced by its rules."""

import ast
import itertools
import json
import math
import os
import re
import statistics
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookpricer.training.synthetic import hedonic, synthetic_records
from bookpricer.training.synthetic.catalog import isbns
from bookpricer.training.synthetic.dice import Dice, Wheel
from bookpricer.training.synthetic.genres import GENRES
from bookpricer.training.synthetic.grammar import RULES, compile_template, expand, title_case
from bookpricer.training.synthetic.hedonic import Offer, asked_price, expected_price, explain
from bookpricer.training.synthetic.kinds import KINDS
from bookpricer.training.synthetic.people import PUBLISHERS
from bookpricer.training.synthetic.text import Writer

KEYS = {
    "main_category",
    "title",
    "subtitle",
    "author",
    "average_rating",
    "rating_number",
    "features",
    "description",
    "price",
    "images",
    "videos",
    "store",
    "categories",
    "details",
    "parent_asin",
    "bought_together",
}
NUMBERS = st.integers(min_value=0, max_value=10**9)


@pytest.fixture(scope="module")
def catalogue():
    return list(synthetic_records(20_000, seed=3))


def test_a_slice_is_the_same_as_in_the_whole_run():
    whole = list(synthetic_records(30, seed=11))
    assert list(synthetic_records(10, seed=11, start=10)) == whole[10:20]


@given(NUMBERS, st.integers(min_value=0, max_value=2**32))
def test_a_record_depends_on_seed_and_number_alone(number, seed):
    (record,) = synthetic_records(1, seed=seed, start=number)
    assert [record] == list(synthetic_records(1, seed=seed, start=number))
    assert record != next(synthetic_records(1, seed=seed + 1, start=number))


def test_the_same_with_every_hash_seed():
    script = (
        "import json; from bookpricer.training.synthetic import synthetic_records;"
        "print(json.dumps(list(synthetic_records(40, seed=7))))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert outputs == {json.dumps(list(synthetic_records(40, seed=7))).encode() + b"\n"}


def test_records_have_the_schema(catalogue):
    for record in catalogue:
        assert set(record) == KEYS
        assert record["main_category"] == "Books"
        assert record["title"].strip() and "{" not in record["title"]
        assert re.fullmatch(r"\d{1,3}\.\d\d", record["price"])
        assert record["categories"][0] == "Books" and 2 <= len(record["categories"]) <= 5
        assert isinstance(json.loads(record["details"]), dict)
        assert isinstance(record["rating_number"], int)
        assert (record["average_rating"] is None) == (record["rating_number"] == 0)
        assert record["average_rating"] is None or 1 <= record["average_rating"] <= 5
        assert all(isinstance(text, str) and "{" not in text for text in record["description"] + record["features"])
        author = record["author"]
        if isinstance(author, str):
            author = ast.literal_eval(author)
        assert author is None or set(author) == {"avatar", "name", "about"}
        assert record["store"] is None or re.search(r" \((Author|Editor)\)", record["store"])
        assert record["bought_together"] is None and record["images"] == record["videos"] == []


def test_listings_look_as_in_several_shops(catalogue):
    subtitles = [record["subtitle"] or "" for record in catalogue]
    assert any(re.fullmatch(r"Paperback – \d{1,2} [A-Z][a-z]{2} \d{4}", text) for text in subtitles)
    assert any(re.fullmatch(r"Hardcover – Import, \d{1,2} [A-Z][a-z]{2} \d{4}", text) for text in subtitles)
    assert any(re.fullmatch(r"\(German\),\w+ – .*\d{4}", text) for text in subtitles)
    assert any(re.fullmatch(r"Mass Market Paperback – [A-Z][a-z]+ \d{1,2}, \d{4}", text) for text in subtitles)
    details = [json.loads(record["details"]) for record in catalogue]
    assert {"Publisher", "Language", "ISBN 10", "ISBN 13", "Item Weight", "Dimensions", "Condition", "Reading age"} <= {
        key for entry in details for key in entry
    }
    descriptions = [" ".join(record["description"]) for record in catalogue]
    assert any("<p>" in text and "&amp;" in text for text in descriptions)
    assert any("â€" in text for text in descriptions)
    assert any(not text for text in descriptions)
    assert any(len(text.split()) > 350 for text in descriptions)
    assert any(record["features"] for record in catalogue)


def test_description_lengths_are_those_of_jacket_copy(catalogue):
    lengths = [len(" ".join(record["description"]).split()) for record in catalogue if record["description"]]
    tenths = statistics.quantiles(lengths, n=10)
    assert 110 <= tenths[4] <= 170
    assert tenths[0] >= 40 and tenths[8] <= 280


def test_no_two_descriptions_are_alike(catalogue):
    texts = [" ".join(record["description"]) for record in catalogue if record["description"]]
    assert len(set(texts)) == len(texts)


def test_the_vocabulary_is_wide(catalogue):
    words = {
        word for record in catalogue for text in record["description"] for word in re.findall(r"[a-z]+", text.lower())
    }
    assert len(words) > 7_000


def test_every_genre_occurs_under_every_name(catalogue):
    assert len(GENRES) >= 130
    seen = {record["categories"][-1] for record in itertools.chain(catalogue, synthetic_records(20_000, seed=4))}
    assert not [name for name, genre in GENRES.items() if not seen & {path[-1] for path in genre.paths}]
    assert {"Databases & Big Data", "Computer Databases", "COMPUTERS / Programming / General"} <= seen


def test_isbn_check_digits(catalogue):
    numbers = [json.loads(record["details"]) for record in catalogue]
    assert sum("ISBN 10" in details for details in numbers) > 1_000
    for details in numbers:
        if "ISBN 10" in details:
            assert _isbn10_is_valid(details["ISBN 10"])
        if "ISBN 13" in details:
            assert _isbn13_is_valid(details["ISBN 13"])


@given(NUMBERS)
def test_every_isbn_is_valid(number):
    isbn10, isbn13 = isbns(Dice(0, number))
    assert _isbn10_is_valid(isbn10) and _isbn13_is_valid(isbn13)


def _isbn10_is_valid(text):
    digits = [10 if character == "X" else int(character) for character in text]
    return len(digits) == 10 and sum((10 - place) * digit for place, digit in enumerate(digits)) % 11 == 0


def _isbn13_is_valid(text):
    digits = [int(character) for character in text.replace("-", "")]
    return len(digits) == 13 and sum(digit * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10 == 0


def test_prices_are_spread_like_a_shops(catalogue):
    prices = sorted(float(record["price"]) for record in catalogue)
    median, mean = statistics.median(prices), statistics.fmean(prices)
    assert prices[0] >= hedonic.LOWEST and prices[-1] <= hedonic.HIGHEST
    assert 17 <= median <= 26
    assert mean > 1.5 * median
    assert prices[len(prices) // 100] < 5 and prices[-len(prices) // 100] > 200
    endings = [record["price"][-2:] for record in catalogue]
    assert 0.2 < endings.count("99") / len(endings) < 0.6


OFFERS = st.builds(
    Offer,
    kind=st.sampled_from(sorted(KINDS)),
    value=st.floats(-0.8, 0.5),
    binding=st.sampled_from(["Paperback", "Hardcover", "Mass Market Paperback", "Library Binding"]),
    pages=st.none() | st.integers(16, 2000),
    tier=st.none() | st.sampled_from(sorted(PUBLISHERS)),
    volumes=st.integers(1, 8),
    colour=st.booleans(),
    large=st.booleans(),
    mark=st.sampled_from([None, "Import", "Student Edition", "Illustrated"]),
    year=st.none() | st.integers(1785, 2019),
    ratings=st.integers(0, 100_000),
    condition=st.sampled_from([None, "Used - Like New", "Used - Good", "Used - Ex-Library"]),
    signed=st.booleans(),
)


@given(OFFERS)
def test_rules_hold_for_every_offer(offer):
    price = expected_price(offer)

    def with_(**changes):
        return expected_price(replace(offer, **changes))

    assert with_(binding="Paperback") < with_(binding="Hardcover")
    assert with_(binding="Mass Market Paperback") < with_(binding="Paperback")
    assert with_(mark=None) < with_(mark="Import")
    assert with_(mark="International Edition") < with_(mark=None)
    assert with_(ratings=5_000) < with_(ratings=20) < with_(ratings=1)
    assert with_(condition="Used - Acceptable") < with_(condition="Used - Like New") < with_(condition=None)
    assert with_(pages=150) < with_(pages=600)
    assert with_(volumes=1) < with_(volumes=3) < 3 * with_(volumes=1)
    assert with_(colour=False) < with_(colour=True)
    assert with_(signed=False) < with_(signed=True)
    assert with_(tier="mass") < with_(tier="trade") < with_(tier="academic")
    assert with_(south_asian=True) < with_(south_asian=False)
    assert sum(explain(offer).values()) == pytest.approx(math.log(price))


def test_kinds_are_ordered_as_in_the_trade():
    def price(kind):
        return expected_price(Offer(kind))

    assert price("classic") < price("novel") < price("professional") < price("textbook") < price("handbook")
    assert price("children") < price("artbook") < price("monograph")
    assert price("comic") < price("omnibus")
    hardcover_monograph = expected_price(Offer("monograph", binding="Hardcover", tier="academic"))
    assert hardcover_monograph > 4 * expected_price(Offer("novel", binding="Hardcover", tier="trade"))


@given(OFFERS, st.floats(-5, 5), st.floats(0, 1, exclude_max=True))
def test_asked_prices_stay_in_range(offer, deviation, ending):
    price = asked_price(offer, deviation, ending)
    assert hedonic.LOWEST <= price <= hedonic.HIGHEST
    assert round(price, 2) == price


def test_what_a_record_shows_moves_its_price(catalogue):
    def median(chosen):
        return statistics.median(float(record["price"]) for record in catalogue if chosen(record))

    def subtitle(text):
        return median(lambda record: text in (record["subtitle"] or ""))

    assert subtitle("Mass Market") < subtitle("Paperback –") < subtitle("Hardcover")
    assert subtitle("Paperback – Import") > subtitle("Paperback –")
    assert median(lambda record: record["rating_number"] > 500) < median(lambda record: record["rating_number"] < 4)
    academic = median(lambda record: any(name in record["details"] for name in PUBLISHERS["academic"]))
    assert academic > 3 * median(lambda record: any(name in record["details"] for name in PUBLISHERS["mass"]))


def test_every_rule_can_be_spoken():
    writers = [
        Writer(Dice(1, number), genre, "novel" if genre.titles else "guide", "Ann Lee", "english", 2010)
        for number, genre in enumerate(GENRES.values())
    ]
    for writer in writers:
        writer.fixed.update(volumes="3", pages="200", title="Title", titlelow="title")
    for number, (name, templates) in enumerate(RULES.items()):
        for template in templates:
            text = expand(template, writers[number % len(writers)])
            assert text and "{" not in text, name


def test_no_sentence_claims_what_only_the_price_model_may_decide():
    texts = [
        "".join(part for part in template if isinstance(part, str)) for rule in RULES.values() for template in rule
    ]
    assert not [
        text for text in texts if re.search(r"\bsigned by|first edition\b|hardcover|paperback|volume set", text, re.I)
    ]


def test_kinds_and_genres_fit_the_other_files():
    for kind in KINDS.values():
        assert set(kind.publishers.items) <= set(PUBLISHERS)
        assert set(kind.hook + kind.body) <= set(RULES)
        expected_price(Offer("novel", binding=kind.formats.items[-1]))
    for genre in GENRES.values():
        assert set(genre.kinds.items) <= set(KINDS)
        assert len(genre.topics) >= 11 or genre.titles
        assert len(genre.nouns) >= 30 and genre.qualities


def test_a_template_inflects_its_words():
    class Echo:
        dice = Dice(0, 0)

        def word(self, name):
            return {"x": "orange", "y": "story"}[name]

    template = compile_template("{^x}: {a:x} and {a:y}, {s:y}")
    assert expand(template, Echo()) == "Orange: an orange and a story, stories"


def test_titles_are_printed_in_capitals():
    assert title_case("the art of iPad (a guide to the web)") == "The Art of iPad (A Guide to the Web)"
    assert title_case("war: a history of the end of") == "War: A History of the End Of"


def test_a_wheel_draws_by_weight():
    wheel = Wheel({"often": 3.0, "seldom": 1.0, "never": 0.0})
    draws = [wheel.draw(Dice(5, number)) for number in range(4000)]
    assert 0.7 < draws.count("often") / len(draws) < 0.8
    assert "never" not in draws

"""The page that prices one book, run by Streamlit without a browser."""

import json
import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("streamlit")

from streamlit.testing.v1 import AppTest

from bookpricer.training.errors import InputError
from bookpricer.training.estimate import PriceEstimate
from bookpricer.ui.views import one_book
from bookpricer.ui.views.charts import distribution_chart
from bookpricer.ui.views.words import money, money_range, plain, sentence

NASTY = "<script>alert(1)</script> **bold** $x^2$ [link](http://a.example) :smile: # head"


@pytest.fixture(scope="module")
def model() -> str:
    return os.environ.get("BOOKPRICER_TEST_MODEL", "embedded")


@pytest.fixture
def app(root: Path, model: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page as it first appears."""
    monkeypatch.setattr(sys, "argv", ["app.py", "--model", model, "--page", "one-book"])
    app = AppTest.from_file(str(root / "ui" / "app.py"), default_timeout=120).run()
    assert not app.exception
    return app


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click()
    app.run()
    assert not app.exception
    return app


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value.replace("\\", "") for metric in app.metric}


def markdown(app: AppTest) -> list[str]:
    """Everything on the page that Streamlit reads as Markdown."""
    labels = [element.label for kind in (app.metric, app.slider, app.number_input, app.expander) for element in kind]
    values = [element.value for kind in (app.markdown, app.caption, app.error, app.title) for element in kind]
    return [*labels, *values, *(metric.value for metric in app.metric)]


# Pricing


def test_it_says_what_to_do_and_which_model_answers(app: AppTest, model: str) -> None:
    assert any("The price will appear here" in value for value in markdown(app))
    assert any(f"Model: {plain(model)}" in value for value in markdown(app))
    assert not app.metric


def test_example_is_priced_with_interval_chart_and_content(app: AppTest) -> None:
    press(app, "book_example")
    assert app.text_input(key="book_title").value == one_book.EXAMPLE["title"]
    assert app.selectbox(key="book_format").value == "Hardcover"

    press(app, "book_price")
    shown = metrics(app)
    assert shown["Price"].startswith("$") and "–" in shown["80% interval"] and shown["Confidence"].endswith("%")
    assert any("80 of 100 such books cost between" in value for value in markdown(app))
    assert len(app.get("vega_lite_chart")) == 1
    assert one_book.EXAMPLE["title"] in app.text[0].value
    assert "416 pages" in app.code[0].value
    assert len(app.get("download_button")) == 1


def test_the_price_is_the_chains(app: AppTest, model: str) -> None:
    from bookpricer.chains.pricing import PricingChain

    app.text_area(key="listing_text").set_value(one_book.EXAMPLE_LISTING)
    press(app, "listing_price")
    estimate = PricingChain.from_pretrained(model).invoke(one_book.EXAMPLE_LISTING)
    assert metrics(app)["Price"] == money(estimate.price, estimate.currency)


def test_a_wider_coverage_gives_a_wider_interval(app: AppTest) -> None:
    press(press(app, "book_example"), "book_price")
    narrow = metrics(app)["80% interval"]
    app.slider(key="coverage").set_value(95).run()
    assert any("95 of 100 such books" in value for value in markdown(app))
    assert metrics(app)["95% interval"] != narrow


def test_probability_above_a_price(app: AppTest) -> None:
    press(press(app, "book_example"), "book_price")
    above = next(element for element in app.number_input if element.key.startswith("above"))
    above.set_value(0.0).run()
    assert any("**100 of 100** such books cost more than" in value for value in markdown(app))


def test_formats_are_compared_with_the_book_as_it_is(app: AppTest) -> None:
    press(press(app, "book_example"), "book_price")
    table = app.dataframe[0].value
    assert list(table["Format"])[:2] == ["Hardcover (this book)", "Paperback"]
    assert len(table) == len(one_book.COMPARED_FORMATS)
    assert table["Price"][0] == metrics(app)["Price"] and table["Difference"][0] == "–"


def test_clear_empties_form_and_result(app: AppTest) -> None:
    press(press(press(app, "book_example"), "book_price"), "book_clear")
    assert app.text_input(key="book_title").value == "" and app.number_input(key="book_pages").value is None
    assert not app.metric


# Listings


def test_a_pasted_record_is_read_under_any_column_names(app: AppTest) -> None:
    record = {"Book Title": "The Salt Road", "Binding": "Paperback", "No. of Pages": 212, "Price": "not known"}
    app.text_area(key="listing_text").set_value(json.dumps(record))
    press(app, "listing_price")
    assert app.text[0].value == "The Salt Road"
    assert "Paperback, 212 pages" in app.code[0].value


@pytest.mark.parametrize("text", ['{"title": ', "{" * 100_000, '{"title": "x"} and more'])
def test_bad_json_is_one_sentence(app: AppTest, text: str) -> None:
    app.text_area(key="listing_text").set_value(text)
    press(app, "listing_price")
    assert "The listing starts like JSON but is none" in app.error[0].value.replace("\\", "")
    assert not app.metric


def test_json_that_is_no_book_is_refused() -> None:
    with pytest.raises(InputError, match="starts like JSON"):
        one_book.read_listing("{1: 2}")


def test_words_are_not_taken_for_json() -> None:
    assert one_book.read_listing("[Signed] The Salt Road\nA novel").title == "[Signed] The Salt Road"


# What can go wrong


@pytest.mark.parametrize("button", ["book_price", "listing_price"])
def test_an_empty_form_says_what_to_give(app: AppTest, button: str) -> None:
    press(app, button)
    assert "title or a description" in app.error[0].value
    assert not app.metric


def test_a_missing_model_is_one_sentence(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py", "--model", str(tmp_path)])
    app = AppTest.from_file(str(root / "ui" / "app.py"), default_timeout=120).run()
    assert not app.exception
    assert "not a model folder" in app.error[0].value


def test_nothing_from_a_book_is_read_as_markup(app: AppTest) -> None:
    app.text_input(key="book_title").set_value(NASTY)
    app.text_input(key="book_author").set_value("*Someone*")
    press(app, "book_price")
    assert app.text[0].value == f"{NASTY} · *Someone*"
    assert not any("alert" in value or "Someone" in value for value in markdown(app))
    assert not any(element.allow_html for element in app.markdown)


def test_a_format_from_a_book_is_shown_as_it_is(app: AppTest) -> None:
    app.text_area(key="listing_text").set_value(json.dumps({"title": "The Salt Road", "format": "**scroll**"}))
    press(app, "listing_price")
    assert app.dataframe[0].value["Format"][0] == "**scroll** (this book)"
    assert not any("scroll" in value for value in markdown(app))


# Words and charts


def test_plain_leaves_no_markup() -> None:
    escaped = plain(NASTY + "\n- item www.a.example me@a.example")
    assert "\n" not in escaped
    assert escaped.replace("\\", "").replace("\u2060", "") == f"{NASTY} - item www.a.example me@a.example"
    for mark in ("<", "*", "$", "[", "#", "_", "`"):
        assert escaped.count(mark) == escaped.count(f"\\{mark}")
    assert "\\:\u2060smile" in escaped


def test_an_error_becomes_a_sentence() -> None:
    assert sentence(InputError("give a title")) == "Give a title\\."


@pytest.mark.parametrize(
    ("amount", "currency", "cents", "expected"),
    [
        (17.2, "USD", True, "$17.20"),
        (17.2, "USD", False, "$17"),
        (3.4, "USD", False, "$3.40"),
        (0, "USD", False, "$0"),
        (-1.5, "EUR", True, "-€1.50"),
        (1234.5, "GBP", True, "£1,234"),
        (37200, "VND", True, "37,200 VND"),
    ],
)
def test_money(amount: float, currency: str, cents: bool, expected: str) -> None:
    assert money(amount, currency, cents=cents) == expected


def test_a_range_names_a_code_once() -> None:
    assert money_range(12.4, 31, "USD", " and ") == "$12 and $31"
    assert money_range(12_400, 31_000, "VND") == "12,400 – 31,000 VND"


@pytest.mark.parametrize("center", [0, 7, 40, 400, 999])
def test_chart_shows_almost_all_of_a_distribution(center: int) -> None:
    import numpy as np

    from bookpricer.training.distribution import PriceDistribution

    distribution = PriceDistribution(np.exp(-np.abs(np.arange(1000) - center) / 5))
    low, high = (1000 * end for end in distribution.interval(0.8))
    estimate = PriceEstimate(
        price=1000 * distribution.median, low=low, high=high, coverage=0.8, method="llm", model="m",
        currency="VND", unit=1000, distribution=distribution,
    )  # fmt: skip
    chart = distribution_chart(estimate).to_dict()
    bars = max(chart["datasets"].values(), key=len)
    assert 1 < len(bars) <= 50
    assert sum(bar["probability"] for bar in bars) == pytest.approx(1, abs=0.011)
    assert bars[0]["from"] == 0 and bars[-1]["to"] >= high
    assert bars[0]["price"].endswith("VND")

"""The page as a browser reads it: with an HTML parser, and, where there is one, with a browser."""

from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bookpricer.training.book import Book
from bookpricer.training.calibration import Calibration
from bookpricer.training.distribution import PRICES, PriceDistribution
from bookpricer.training.evaluation import LEVELS
from bookpricer.training.evaluation_page import render_page
from bookpricer.training.evaluation_report import build_report
from bookpricer.training.model_folder import PricerConfig
from bookpricer.training.predictions import Answers, Predictions

# What closes whatever a text may stand in: an element, an attribute, a comment, a style, an SVG title.
ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></svg><script>alert(1)</script>",
    "{{ 7 * 7 }} {% raw %}",
    "<!-- --> ]]> &lt;b&gt;",
    "<a href='https://example.com'>\x00\u202e\ud800</a>",
]


class Elements(HTMLParser):
    """Every element with its attributes, and the text outside of styles."""

    def __init__(self):
        super().__init__()
        self.elements, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def parse(page):
    parser = Elements()
    parser.feed(page)
    parser.close()
    return parser


def predictions(titles, categories=None, intervals=True, llm=True):
    n = len(titles)
    actual = np.geomspace(5, 400, n)
    shapes = [PriceDistribution(np.exp(-np.abs(np.arange(PRICES) - p * 1.1) / (0.2 * p + 1))) for p in actual]
    calibration = Calibration(scores=tuple(np.linspace(0, 1, 50)), n=50, wide=2) if intervals else None
    answers = {"llm": Answers.of_distributions(shapes, actual, calibration, LEVELS)} if llm else {}
    answers["median"] = Answers(np.full(n, 30.0))
    return Predictions([""] * n, titles, categories or [None] * n, actual, 0.8, answers)


def page_of(rows, texts=None, **named):
    config = PricerConfig(base_model="embedded", preset="embedded", demonstration=named.pop("demonstration", False))
    report = build_report(rows, config, **{"model": "my-model", "data": "books.csv"} | named)
    texts = texts or [""] * len(rows.titles)
    books = [Book(title=t, description=d) for t, d in zip(rows.titles, texts, strict=True)]
    return render_page(report, rows, books)


def test_nothing_of_the_page_comes_from_elsewhere_or_runs():
    parsed = parse(page_of(predictions([f"Book {k}" for k in range(60)]), demonstration=True))
    tags = [tag for tag, _ in parsed.elements]
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(tags)
    for _, attributes in parsed.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href")]
    assert tags.count("svg") == 6
    policies = [a.get("content") for tag, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_book_says_is_text(attack):
    plain = parse(page_of(predictions(["Book"] * 3, ["Category"] * 3), ["Text of the book. " * 30] * 3))
    hostile = parse(
        page_of(
            predictions([attack] * 3, [attack] * 3), [attack + "Text of the book. " * 30] * 3,
            model=attack, data=attack, left_out={attack: 2},
        )
    )  # fmt: skip
    assert [tag for tag, _ in plain.elements] == [tag for tag, _ in hostile.elements]
    assert [sorted(a) for _, a in plain.elements] == [sorted(a) for _, a in hostile.elements]


@given(st.lists(st.text(max_size=60), min_size=1, max_size=3), st.text(max_size=60))
@hypothesis_settings(max_examples=40)
def test_no_title_and_no_category_makes_an_element(titles, category):
    n = len(titles)
    plain = parse(page_of(predictions([f"Book {k}" for k in range(n)], ["Category"] * n)))
    other = parse(page_of(predictions(titles, [category or None] * n)))
    assert [tag for tag, _ in plain.elements] == [tag for tag, _ in other.elements]


def test_it_says_what_it_measured_in_words():
    rows = predictions([f"Book {k}" for k in range(60)], ["Cookery"] * 59 + [None])
    text = " ".join(parse(page_of(rows, demonstration=True, split="test", left_out={"no text": 3})).text.split())
    for words in (
        "How well my-model prices books", "60 books of the test split of books.csv", "All amounts are in USD",
        "A demonstration model.", "3 no text", "Cookery", "(none)", "Error by price", "The worst misses",
        "Predicted against actual", "Do intervals hold what they promise?", "Constant", "bookpricer evaluate",
    ):  # fmt: skip
        assert words in text or words == "Constant", words
    assert "A demonstration model." not in page_of(rows)


def test_the_worst_misses_stand_with_their_text_and_not_twice_with_their_title():
    titles = [f"The Guide number {k}" for k in range(20)]
    text = parse(page_of(predictions(titles), [f"A text about matter {k}." for k in range(20)])).text
    assert "A text about matter 19." in text and "A text about matter 5." not in text
    assert "The Guide number 19 · " not in text


def test_without_intervals_or_without_a_model_the_page_says_so():
    parsed = parse(page_of(predictions(["A", "B", "C"], intervals=False)))
    assert "no calibrated intervals" in parsed.text
    parsed = parse(page_of(predictions(["A", "B", "C"], llm=False)))
    assert "no calibrated intervals" in parsed.text and "More than the model" not in parsed.text


def test_another_unit_is_named():
    rows = predictions(["A", "B"])
    report = build_report(rows, PricerConfig(currency="VND", unit=1000), model="m", data="d")
    assert "All amounts are in 1,000 VND" in parse(render_page(report, rows, [Book(title="A")] * 2)).text


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_browser_shows_it_without_errors_and_nothing_wider_than_the_screen(browser, tmp_path, width, scheme):
    titles = [f"Book {k} " + "verylongword" * (k % 3) * 6 for k in range(80)]
    file = tmp_path / "evaluation.html"
    file.write_text(page_of(predictions(titles, [ATTACKS[k % 6] for k in range(80)])), "utf-8", errors="replace")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert page.locator("svg.chart").count() == 6
    for chart in page.locator("svg.chart").all():
        assert chart.bounding_box()["width"] > 300
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # Every word of a chart lies within it.
    assert page.evaluate(
        """[...document.querySelectorAll('svg.chart')].every(chart => {
          const box = chart.getBoundingClientRect();
          return [...chart.querySelectorAll('text')].every(text => {
            const own = text.getBoundingClientRect();
            return own.left >= box.left - 1 && own.right <= box.right + 1;
          });
        })"""
    )
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    page.close()
    assert said == [] and asked == [file.as_uri()]

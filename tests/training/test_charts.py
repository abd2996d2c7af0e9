"""Charts are read back as XML: a browser would show what is there, a parser finds it."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookpricer.training.charts import MOST_POINTS, WIDTH, Bar, bars, reliability, scatter, standalone

SVG = "{http://www.w3.org/2000/svg}"


def parse(chart):
    return ElementTree.fromstring(standalone(chart))


def kinds(root, tag):
    return [element.get("class") for element in root.iter(f"{SVG}{tag}")]


def texts(root):
    return [element.text for element in root.iter(f"{SVG}text")]


def inside(root):
    """All that is drawn lies within the picture."""
    width, height = map(float, root.get("viewBox").split()[2:])
    points = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle")]
    for path in root.iter(f"{SVG}path"):
        points += [tuple(map(float, pair)) for pair in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d"))]
    return width == WIDTH and all(0 <= x <= width and 0 <= y <= height for x, y in points)


@given(st.lists(st.tuples(st.floats(0.5, 999.49), st.floats(0, 999.49), st.text()), min_size=1, max_size=20))
def test_every_book_is_a_point_inside_the_picture_whatever_its_name(books):
    actual, predicted, names = zip(*books, strict=True)
    root = parse(scatter(actual, predicted, names, label="<Errors>", unit='"USD" & more'))
    assert kinds(root, "circle") == ["point"] * len(books)
    assert len(list(root.iter(f"{SVG}title"))) == len(books)
    assert inside(root)
    assert root.get("aria-label") == "<Errors>" and 'actual price, "USD" & more' in texts(root)


def test_a_right_prediction_lies_on_the_diagonal():
    root = parse(scatter([5, 50, 500], [5, 50, 500], label="x", unit="USD"))
    aim = next(p for p in root.iter(f"{SVG}path") if p.get("class") == "aim")
    (x1, y1), (x2, y2) = (tuple(map(float, pair.split())) for pair in aim.get("d").strip("M").split("L"))
    for circle in root.iter(f"{SVG}circle"):
        x, y = float(circle.get("cx")), float(circle.get("cy"))
        assert (x - x1) / (x2 - x1) == pytest.approx((y - y1) / (y2 - y1), abs=0.002)


def test_of_many_books_some_are_drawn():
    prices = np.random.default_rng(0).uniform(1, 999, MOST_POINTS * 3)
    root = parse(scatter(prices, prices, ["x"] * len(prices), label="x", unit="USD"))
    assert len(kinds(root, "circle")) == MOST_POINTS


def test_two_lines_have_a_legend_and_one_has_none():
    line = [(0.1, 0.2), (0.9, 0.8)]
    one = parse(reliability([("first", line)], label="x", x_title="said", y_title="was"))
    two = parse(
        reliability(
            [("first", line), ("second", line)], label="x", x_title="said", y_title="was", band=[(0.1, 0, 0.3)] * 2
        )
    )
    assert "first" not in texts(one) and {"first", "second"} <= set(texts(two))
    assert kinds(two, "path").count("band") == 1 and inside(two)


@given(
    st.lists(st.tuples(st.text(max_size=20), st.floats(0, 900), st.floats(0, 90)), min_size=1, max_size=12),
    st.floats(0, 900),
)
def test_bars_stay_inside_the_picture(rows, aim):
    made = [Bar(name, value, max(value - half, 0), value + half, f"{value:.1f}") for name, value, half in rows]
    root = parse(bars(made, label="x", x_title="error", aim=aim, name_width=120))
    assert inside(root) and {row.text for row in made} <= set(texts(root))


def test_what_lies_far_out_is_an_arrow_and_its_number():
    rows = [Bar(str(k), 20 + k, 18 + k, 22 + k, str(k)) for k in range(5)] + [Bar("random", 470, 440, 500, "470.0")]
    root = parse(bars(rows, label="x", x_title="error", name_width=90))
    assert len(kinds(root, "circle")) == 5 and "470.0" in texts(root)

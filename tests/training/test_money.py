import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookpricer.training.errors import InputError
from bookpricer.training.money import PriceError, parse_number, parse_price


@pytest.mark.parametrize(
    ("cell", "price"),
    [
        ("$1,299.00", 1299),
        ("Rs. 300", 300),
        ("Rs.300", 300),
        ("Rs 1,299/-", 1299),
        ("₹ 1,299", 1299),
        ("₹1,23,456.50", 123456.5),
        ("12,99 €", 12.99),
        ("1.299,00 €", 1299),
        ("1.299 €", 1299),
        ("0.999 €", 0.999),
        ("150.000 ₫", 150_000),
        ("Rp 85.000", 85_000),
        ("Rp85.000", 85_000),
        ("1 299,00 zł", 1299),
        ("1\u202f299,50 €", 1299.5),
        ("CHF 1'299.50", 1299.5),
        ("CHF 1’299.50", 1299.5),
        ("49 PLN", 49),
        ("150,000 VND", 150_000),
        ("from $5", 5),
        ("£8.99", 8.99),
        ("US$12.99", 12.99),
        ("12.99 USD", 12.99),
        ("12.99\n", 12.99),
        ("12.345", 12.345),
        ("0,999", 0.999),
        ("0.1", 0.1),
        ("1,5", 1.5),
        ("1.234.567", 1_234_567),
        ("1,234,567", 1_234_567),
        ("1.000.000,00", 1_000_000),
        ("12.-", 12),
        ("kr 129:-", 129),
        ("R$ 29,90", 29.9),
        ("1e3", 1000),
        ("1.5E+05", 150_000),
        ("12.99 15.99", 12.99),
        ("12.99 (20% off)", 12.99),
        (7, 7),
        (7.5, 7.5),
        (Decimal("12.50"), 12.5),
        (Fraction(1, 2), 0.5),
        (np.int64(4), 4),
        (np.float32(4.5), 4.5),
    ],
)
def test_reads_prices_as_people_write_them(cell, price):
    assert parse_price(cell) == pytest.approx(price, rel=1e-12)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        *[(cell, "no price") for cell in (None, float("nan"), "", "  ", "—", "–", "-", "None", "NaN", "N/A", "free")],
        *[
            (cell, "a range of prices")
            for cell in ("10 - 20", "10-20", "$12.99 – $15.99", "$12.99 to $15.99", "10~20", "5 bis 7 €", "5 — 7")
        ],
        *[
            (cell, "not a positive price")
            for cell in (
                0,
                -5,
                math.inf,
                -math.inf,
                "0",
                "$0.00",
                "-5",
                "−5",
                "$-5",
                "-$5",
                "– 5",
                "($5.00)",
                "9" * 400,
            )
        ],
        (10**400, "not a positive price"),
        (Decimal("NaN"), "not a positive price"),
        *[
            (cell, "no number in the price")
            for cell in ("call us", "$", "²", "inf", True, False, [5], {}, b"12", "1,299.00.5", "$1.299.00", "1,2,3")
        ],
    ],
)
def test_counts_why_a_price_cannot_be_read(cell, reason):
    with pytest.raises(PriceError) as error:
        parse_price(cell)
    assert error.value.reason == reason
    assert isinstance(error.value, InputError) and len(str(error.value)) < 100


@given(st.integers(1, 10**11), st.sampled_from(["", "$", "US$ ", "£", "Rs. "]))
def test_a_price_in_american_style_reads_back(cents, sign):
    assert parse_price(f"{sign}{cents / 100:,.2f}") == pytest.approx(cents / 100)


@given(st.integers(1, 10**11), st.sampled_from([".", " ", "\u00a0", "\u202f", "'"]), st.sampled_from([" €", " zł"]))
def test_a_price_in_european_style_reads_back(cents, thousands, sign):
    text = f"{cents / 100:,.2f}".replace(",", "T").replace(".", ",").replace("T", thousands)
    assert parse_price(text + sign) == pytest.approx(cents / 100)


@given(st.floats(1e-6, 1e12))
def test_a_float_written_out_reads_back(price):
    assert parse_price(str(price)) == pytest.approx(price)


@given(
    st.one_of(
        st.text(),
        st.text("0123456789.,'-–  $€()eE+RsVND\n", max_size=30),
        st.floats(),
        st.integers(),
        st.booleans(),
        st.none(),
        st.binary(),
        st.decimals(),
        st.complex_numbers(),
        st.lists(st.integers()),
    )
)
def test_gives_a_positive_price_or_a_price_error(cell):
    try:
        price = parse_price(cell)
    except PriceError:
        return
    assert isinstance(price, float) and 0 < price < math.inf


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text", ["1 " * 500_000, "9" * 1_000_000, "1" + " " * 500_000, "-" * 500_000, "1,1." * 250_000]
)
def test_long_cells_do_not_hang(text):
    try:
        assert parse_price(text) > 0
    except PriceError as error:
        assert error.reason


def test_a_number_is_found_among_words():
    assert parse_number("about 40 dollars, not 50") == 40
    with pytest.raises(ValueError, match="no number"):
        parse_number("about forty")

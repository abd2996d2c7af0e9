import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bookpricer.training.book import FACT_NAMES, Book
from bookpricer.training.columns import _NAMES, recognise_columns, to_book, to_record


@pytest.mark.parametrize(
    ("columns", "mapping"),
    [
        (  # a shop's export
            ["Product Title", "Author(s)", "Pub. Date", "No. of Pages", "RRP (£)", "Binding", "Blurb", "EAN"],
            {
                "Product Title": "title", "Author(s)": "author", "Pub. Date": "year", "No. of Pages": "pages",
                "RRP (£)": "price", "Binding": "format", "Blurb": "description", "EAN": "parent_asin",
            },
        ),
        (  # a distributor's list
            ["ISBN-13", "TITLE", "CONTRIBUTOR", "IMPRINT", "LIST_PRICE", "BISAC Code", "Extent", "Lang"],
            {
                "ISBN-13": "parent_asin", "TITLE": "title", "CONTRIBUTOR": "author", "IMPRINT": "publisher",
                "LIST_PRICE": "price", "BISAC Code": "categories", "Extent": "pages", "Lang": "language",
            },
        ),
        (  # a library's
            ["title", "creator", "subjects", "publication year", "edition statement", "shelf mark"],
            {
                "title": "title", "creator": "author", "subjects": "categories", "publication year": "year",
                "edition statement": "edition",
            },
        ),
        (  # Goodreads'
            ["bookID", "title", "authors", "average_rating", "language_code", "num_pages", "ratings_count"],
            {
                "title": "title", "authors": "author", "average_rating": "average_rating",
                "language_code": "language", "num_pages": "pages", "ratings_count": "rating_number",
            },
        ),
        (
            ["bookTitle", "listPrice", "pageCount"],
            {"bookTitle": "title", "listPrice": "price", "pageCount": "pages"},
        ),
        (["Titel", "Autor", "Verlag", "Preis"], {
            "Titel": "title", "Autor": "author", "Verlag": "publisher", "Preis": "price",
        }),
        (["\ufefftitle", "Price_USD"], {"\ufefftitle": "title", "Price_USD": "price"}),
        (["shoe size", "", "(x)"], {}),
        ([], {}),
    ],
)  # fmt: skip
def test_knows_what_others_call_a_column(columns, mapping):
    assert recognise_columns(columns) == mapping


@pytest.mark.parametrize(
    ("columns", "field", "column"),
    [
        (["Name", "title"], "title", "title"),
        (["List Price", "price"], "price", "price"),
        (["Blurb", "Synopsis"], "description", "Blurb"),
        (["Author", "author"], "author", "author"),
        (["ISBN", "ASIN"], "parent_asin", "ISBN"),
    ],
)
def test_a_fields_own_name_wins_and_then_the_first(columns, field, column):
    found = recognise_columns(columns)
    assert [key for key, value in found.items() if value == field] == [column]


@given(st.lists(st.one_of(st.text(), st.sampled_from([name for names in _NAMES.values() for name in names]))))
def test_no_field_is_read_from_two_columns(columns):
    found = recognise_columns(columns)
    assert set(found) <= set(columns)
    assert len(set(found.values())) == len(found)
    assert set(found.values()) <= {*Book.model_fields, *FACT_NAMES}
    assert all(found[column] == column for column in columns if column in Book.model_fields)


def test_every_name_stands_for_one_field():
    names = [name for names in _NAMES.values() for name in names]
    assert len(names) == len(set(names))
    assert all(recognise_columns([name]) == {name: field} for field, names in _NAMES.items() for name in names)


def test_facts_go_into_the_details_and_win_there():
    row = {
        "title": "Emma",
        "Binding": "Hardcover",
        "Pages": 320,
        "details": '{"Format": "Paperback", "Weight": "1 kg"}',
    }
    book = to_book(row)
    assert (book.format, book.pages, book.details["Weight"]) == ("Hardcover", 320, "1 kg")


@pytest.mark.parametrize("missing", [None, "", "  ", float("nan"), np.float32("nan"), pd.NA])
def test_a_missing_fact_says_nothing(missing):
    row = {"title": "Emma", "Binding": missing, "Year": missing, "details": {"Format": "Paperback"}}
    book = to_book(row)
    assert (book.format, book.year) == ("Paperback", None)
    assert book.details == {"Format": "Paperback"}


def test_a_price_is_read_only_where_asked_for():
    assert to_book({"title": "Emma", "RRP": "10 - 20"}).price is None
    assert to_book({"title": "Emma", "RRP": "$12"}, priced=True).price == 12
    with pytest.raises(ValidationError):
        to_book({"title": "Emma", "RRP": "10 - 20"}, priced=True)


def test_a_given_mapping_is_followed():
    assert to_record({"a": "Emma", "b": "12", "c": 3}, {"a": "title", "b": "price"}) == {"title": "Emma", "price": "12"}
    assert to_book({"a": "Emma"}, {"a": "title", "b": "author"}) == Book(title="Emma")

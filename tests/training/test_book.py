import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bookpricer.training.book import _FORMATS, FACT_NAMES, Book, canonical_format

FORMATS = [name for name, _ in _FORMATS]
NAN = float("nan")
MISSING = [None, NAN, np.float32("nan"), pd.NA, pd.NaT]


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ("Jane Austen", "Jane Austen"),
        ({"avatar": None, "name": "Jane Austen", "about": []}, "Jane Austen"),
        ("{'avatar': None, 'name': 'Jane Austen', 'about': ['a']}", "Jane Austen"),
        ('{"avatar": null, "name": "Jane Austen"}', "Jane Austen"),
        (["Ann Reed", "Bo Li"], "Ann Reed, Bo Li"),
        ("[{'name': 'Ann Reed'}, {'name': 'Bo Li'}]", "Ann Reed, Bo Li"),
        (np.array(["Ann Reed", "Bo Li"]), "Ann Reed, Bo Li"),
        ("{'name': None}", ""),
        ("[collective work", "[collective work"),
        *[(missing, "") for missing in MISSING],
    ],
)
def test_reads_every_spelling_of_an_author(author, name):
    assert Book(author=author).author == name


@pytest.mark.parametrize("field", ["description", "features", "categories"])
@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("one text", ("one text",)),
        (["a", "b"], ("a", "b")),
        (("a", "b"), ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ("['a', 'b']", ("a", "b")),
        (np.array(["a", "b"]), ("a", "b")),
        (["a", None, NAN, "", "  ", "b"], ("a", "b")),
        ([["Books", "Art"], ["Books", "Maps"]], ("Books Art", "Books Maps")),
        ("[not a list] but a text", ("[not a list] but a text",)),
        ("[]", ()),
        ("", ()),
        ("   ", ()),
        *[(missing, ()) for missing in MISSING],
    ],
)
def test_reads_every_spelling_of_texts(field, value, texts):
    assert getattr(Book(**{field: value}), field) == texts


@pytest.mark.parametrize(
    ("details", "read"),
    [
        ({"Publisher": "Faber", "Pages": 320, "Weight": None}, {"Publisher": "Faber", "Pages": "320"}),
        ('{"Publisher": "Faber"}', {"Publisher": "Faber"}),
        ("{'Publisher': 'Faber'}", {"Publisher": "Faber"}),
        ({"Rank": ["1 in Art", "2 in Maps"]}, {"Rank": "1 in Art 2 in Maps"}),
        ("{}", {}),
        ("not a dict", {}),
        ("[1, 2]", {}),
        ({1: 2}, {"1": "2"}),
        *[(missing, {}) for missing in MISSING],
    ],
)
def test_reads_every_spelling_of_details(details, read):
    assert Book(details=details).details == read


@pytest.mark.parametrize("value", MISSING)
@pytest.mark.parametrize("field", sorted(Book.model_fields))
def test_a_missing_value_is_as_none_given(field, value):
    assert Book(**{field: value}) == Book()


@pytest.mark.parametrize(
    ("value", "count"),
    [("1,234", 1234), (12.0, 12), ("7", 7), ("", None), ("many", None), (math.inf, None), ([1], None), (True, None)],
)
def test_reads_the_number_of_ratings(value, count):
    assert Book(rating_number=value).rating_number == count


@pytest.mark.parametrize(("value", "stars"), [("4.5", 4.5), (4, 4.0), ("", None), ("good", None), (math.inf, None)])
def test_reads_the_average_rating(value, stars):
    assert Book(average_rating=value).average_rating == stars


@pytest.mark.parametrize(("price", "read"), [("$1,299.00", 1299), (np.int64(5), 5), ("—", None), ("None", None)])
def test_reads_the_price(price, read):
    assert Book(price=price).price == read


@pytest.mark.parametrize("price", ["10 - 20", "-5", "call us", True, 0])
def test_refuses_a_price_that_is_there_but_cannot_be_read(price):
    with pytest.raises(ValidationError):
        Book(price=price)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('pathlib').Path('{path}').touch()",
        "{{'name': __import__('pathlib').Path('{path}').touch()}}",
        "[__import__('pathlib').Path('{path}').touch()]",
        '{{"name": "".__class__}}',
    ],
)
def test_never_evaluates_a_field(tmp_path, text):
    text = text.format(path=tmp_path / "evaluated")
    book = Book(author=text, details=text, description=text, categories=text)
    assert book.author == text and book.description == (text,) and book.details == {}
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 99_999,
        "{'a':" * 19_000,
        "(" * 90_000 + ")" * 9_000,
        "[" * 900 + "]" * 900,
        "[" + "1+" * 40_000 + "1]",
        "(" + "-" * 90_000 + "1)",
        "[" + "9" * 90_000 + "]",
        "[\x00]",
        "[" * 10_000_000,
        "x" * 10_000_000,
        "a" + " " * 200_000 + "b",
        "(" * 200_000,
        "; " * 100_000,
        "1 " * 100_000,
    ],
    ids=lambda text: f"{text[:12]!r}x{len(text)}",
)
def test_hostile_texts_neither_hang_nor_raise(text):
    book = Book(title=text, subtitle=text, author=text, description=text, categories=text, details=text, store=text)
    assert book.facts is not None
    assert Book(details=dict.fromkeys(("Publisher", "Pages", "Format", "Year", "Other"), text)).facts is not None


def test_a_deeply_nested_value_does_not_end_a_run():
    nested = "deep"
    for _ in range(3000):
        nested = [nested]
    assert isinstance(Book(title=nested, author=nested, details={"a": nested}).title, str)


def test_is_frozen_and_equal_by_value():
    book = Book(title="Emma")
    with pytest.raises(ValidationError):
        book.title = "Persuasion"
    assert book == Book(title="Emma") != Book(title="Persuasion")


def test_ignores_fields_that_are_none_of_its_own():
    assert Book(title="Emma", main_category="Books", images=[{"thumb": "x"}]) == Book(title="Emma")


def facts(**said):
    return {name: said.get(name) for name in FACT_NAMES}


def said(book: Book) -> dict:
    return {name: getattr(book, name) for name in FACT_NAMES}


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (
            {"Publisher": "Penguin; 2nd edition (March 10, 2016)", "Paperback": "320 pages", "Language": "English"},
            facts(
                format="Paperback", pages=320, publisher="Penguin", year=2016, language="English", edition="2nd edition"
            ),
        ),
        (
            {"Publisher": "Penguin (March 10, 2016)", "Mass Market Paperback": "1,024 pages"},
            facts(format="Mass Market Paperback", pages=1024, publisher="Penguin", year=2016),
        ),
        ({"Publisher": "Simon & Schuster; (July 2003)"}, facts(publisher="Simon & Schuster", year=2003)),
        ({"Publisher": "(2016)"}, facts(year=2016)),
        ({"Publisher \u200f : \u200e": "Penguin"}, facts(publisher="Penguin")),
        ({"Hardcover \u200f : \u200e": "\u200e 200 pages"}, facts(format="Hardcover", pages=200)),
        ({"Library Binding": "48 pages"}, facts(format="Library Binding", pages=48)),
        ({"Board book": "1,200 pages"}, facts(format="Board book", pages=1200)),
        ({"Print length": "320 pages"}, facts(pages=320)),
        ({"PAGES": "xii, 320 p."}, facts(pages=320)),
        ({"Pages": "320.0"}, facts(pages=320)),
        ({"Pages": "0"}, facts()),
        ({"Pages": "many"}, facts()),
        ({"Binding": "Gebundene Ausgabe, hardback"}, facts(format="Hardcover")),
        ({"Format": "Scroll"}, facts(format="Scroll")),
        ({"Publication date": "2016-03-10"}, facts(year=2016)),
        ({"Year": "2016.0"}, facts(year=2016)),
        ({"Year": "MMXVI"}, facts()),
        ({"Item Condition": "Used - Good"}, facts(condition="Used - Good")),
        ({"Edition Statement": "First"}, facts(edition="First")),
    ],
)
def test_finds_facts_in_the_details(details, expected):
    assert said(Book(details=details)) == expected
    assert said(Book(details=json.dumps(details))) == expected


@pytest.mark.parametrize(
    ("subtitle", "expected"),
    [
        ("Paperback – 10 Mar 2016", facts(format="Paperback", year=2016)),
        ("Paperback – 2016", facts(format="Paperback", year=2016)),
        ("Hardcover - January 1, 2005", facts(format="Hardcover", year=2005)),
        ("Mass Market Paperback – November 2011", facts(format="Mass Market Paperback", year=2011)),
        (
            "(German),Hardcover – Import, 22 Feb 2018",
            facts(format="Hardcover", language="German", edition="Import", year=2018),
        ),
        ("(French),Paperback – 1 Jan 1999", facts(format="Paperback", language="French", year=1999)),
        ("Paperback – Large Print, August 1, 2011", facts(format="Paperback", edition="Large Print", year=2011)),
        ("Paperback – Illustrated", facts(format="Paperback", edition="Illustrated")),
        ("Paperback – Illustrated, Import", facts(format="Paperback", edition="Illustrated, Import")),
        ("Paperback – Abridged, Audiobook, Box set", facts(format="Paperback", edition="Abridged")),
        ("Perfect Paperback – 2010", facts(format="Paperback", year=2010)),
        ("Cards – 1 Oct 2015", facts(format="Cards", year=2015)),
        ("Sheet music – 1 Sep 1995", facts(format="Sheet music", year=1995)),
    ],
)
def test_reads_a_shops_edition_line_and_takes_it_out_of_the_subtitle(subtitle, expected):
    book = Book(subtitle=subtitle)
    assert said(book) == expected
    assert book.plain_subtitle == "" and book.subtitle == subtitle


@pytest.mark.parametrize(
    "subtitle",
    [
        "A Life – 1914 to 1918",
        "The Map – A Story of Love",
        "Map – A Novel",
        "The Leather Years – 1914",
        "Paper Cards – 12 Ways to win in 2020",
        "My Diary – The First Year",
        "War and Peace – Tolstoy",
        "A History of Rome",
    ],
)
def test_a_real_subtitle_with_a_dash_is_no_edition_line(subtitle):
    book = Book(subtitle=subtitle)
    assert book.plain_subtitle == subtitle
    assert book.format is None and book.edition is None and book.language is None


@pytest.mark.parametrize(
    "title", ["The Map of Love", "Diary of a Wimpy Kid", "Cards on the Table", "The Leather Boys", "Calendar Girl"]
)
def test_an_everyday_word_in_a_title_names_no_binding(title):
    assert Book(title=title).format is None


@pytest.mark.parametrize(
    ("book", "pages"),
    [
        (Book(description="A big book of 1,320 pages."), 1320),
        (Book(description="Published 2016, 320 pages"), 320),
        (Book(title="Rome, 480-page hardcover"), 480),
        (Book(description=["No number", "It has 99 pp."]), 99),
        (Book(description="In 1990 pagers were new"), None),
        (Book(description="x " * 3000 + "320 pages"), None),
    ],
)
def test_finds_the_pages_in_the_text(book, pages):
    assert book.pages == pages


def test_details_win_over_the_subtitle():
    book = Book(subtitle="Paperback – 10 Mar 2016", details={"Format": "Hardcover", "Year": "2001"})
    assert (book.format, book.year) == ("Hardcover", 2001)


@pytest.mark.parametrize("name", FORMATS)
def test_a_formats_own_name_is_canonical(name):
    assert canonical_format(name) == canonical_format(name.upper()) == name


LISTINGS = st.builds(
    Book,
    title=st.sampled_from(["Emma", "Emma (Paperback)", "Emma, 99 pages"]),
    subtitle=st.sampled_from(["", "Paperback – 10 Mar 2016", "(German),Hardcover – Import, 22 Feb 2018"]),
    details=st.dictionaries(
        st.sampled_from(
            [
                "Format",
                "FORMAT:",
                "Format ",
                "Binding",
                "Hardcover",
                "Pages",
                "pages:",
                "Publisher",
                "Year",
                "Language ",
            ]
        ),
        st.sampled_from(["Paperback", "320 pages", "Faber; 2nd edition (2001)", "12", "1999", "English"]),
    ),
)


@given(LISTINGS, st.sampled_from(FORMATS))
def test_a_changed_format_is_the_format(book, name):
    assert book.with_(format=name).format == name


@given(LISTINGS, st.integers(1, 99_999))
def test_changed_pages_are_the_pages(book, pages):
    assert book.with_(pages=pages).pages == pages


@given(LISTINGS, st.integers(1400, 2049))
def test_a_changed_year_is_the_year(book, year):
    assert book.with_(year=year).year == year


@given(LISTINGS, st.sampled_from(["language", "condition", "edition"]), st.sampled_from(["Urdu", "As new", "3rd"]))
def test_another_changed_fact_is_that_fact(book, name, value):
    assert getattr(book.with_(**{name: value}), name) == value


def test_with_changes_nothing_else():
    book = Book(title="Emma", price=12, details={"Paperback": "320 pages", "Weight": "1 kg"})
    changed = book.with_(format="Hardcover", year=1999)
    assert (changed.pages, changed.title, changed.price, changed.details["Weight"]) == (320, "Emma", 12, "1 kg")
    assert book.format == "Paperback" and book.details == {"Paperback": "320 pages", "Weight": "1 kg"}


def test_with_takes_fields_and_facts_together():
    changed = Book(title="Emma").with_(title="Persuasion", details='{"Weight": "1 kg"}', format="Hardcover")
    assert (changed.title, changed.format, changed.details["Weight"]) == ("Persuasion", "Hardcover", "1 kg")


def test_with_none_takes_a_fact_away():
    assert Book(details={"Pages:": "12", "Language": "Urdu"}).with_(pages=None, language=None).facts == Book().facts


def test_with_refuses_a_name_that_is_none():
    with pytest.raises(TypeError, match="colour"):
        Book().with_(colour="red")


@given(LISTINGS)
def test_a_book_survives_json(book):
    again = Book.model_validate_json(book.model_dump_json())
    assert again == book and again.facts == book.facts


def test_a_short_first_line_of_a_text_is_its_title():
    assert Book.from_text(" Emma\nA novel.\nIn three volumes. ") == Book(
        title="Emma", description="A novel.\nIn three volumes."
    )
    long = "A description of more than two hundred characters. " * 5
    assert Book.from_text(long) == Book(description=long)

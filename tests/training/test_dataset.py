import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookpricer.training.book import Book
from bookpricer.training.dataset import SPLITS, PricedBook, prompt_rows, read_priced_books, split_books, split_of
from bookpricer.training.errors import InputError
from bookpricer.training.prompt import PromptBuilder, build_prompt


def catalogue(folder, rows):
    path = folder / "books.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def book(price, **fields):
    return {"title": "Emma", "price": price, **fields}


def test_counts_why_records_are_not_used(tmp_path):
    rows = [
        book("$12.99"),
        book(7),
        *[book(price) for price in (None, "—", "None")],
        book("10 - 20"),
        book("-5"),
        book("call us"),
        {"title": "Emma"},
        *[book(price) for price in (0.49, 999.5, "$1,299.00")],
        *[book(price) for price in (0.5, 999.49)],
        {"title": " : ", "price": 5},
        "broken",
        "[1]",
    ]
    result = read_priced_books(catalogue(tmp_path, rows))
    assert [priced.units for priced in result.books] == [12.99, 7, 0.5, 999.49]
    assert result.rejected == {
        "no price": 4,
        "a range of prices": 1,
        "not a positive price": 1,
        "no number in the price": 1,
        "price outside of the model's range": 3,
        "no text": 1,
        "broken JSON": 1,
        "not a JSON object": 1,
    }


def test_a_unit_turns_a_currency_into_the_models_range(tmp_path):
    path = catalogue(tmp_path, [book("150,000 VND"), book("85.000 ₫"), book("2,000,000 VND")])
    result = read_priced_books(path, unit=1000)
    assert [priced.units for priced in result.books] == [150, 85]
    assert result.rejected == {"price outside of the model's range": 1}


def test_the_books_never_hold_their_price(tmp_path):
    (priced,) = read_priced_books(catalogue(tmp_path, [book("$12.99")])).books
    assert priced.book == Book(title="Emma")


@pytest.mark.parametrize("rows", [[book(None)], ["broken"], [book(5000), book("1 - 2")]])
def test_says_in_one_sentence_that_no_record_is_usable(tmp_path, rows):
    with pytest.raises(InputError, match="no usable priced book") as error:
        read_priced_books(catalogue(tmp_path, rows))
    assert "\n" not in str(error.value)


def test_the_fingerprint_is_that_of_the_books(tmp_path):
    first = read_priced_books(catalogue(tmp_path, [book(5), book(6)])).fingerprint
    assert first == read_priced_books(catalogue(tmp_path, [book(5), "broken", book(6)])).fingerprint
    others = ([book(5)], [book(6), book(5)], [book(5), book(6.5)], [book(5, title="Persuasion"), book(6)])
    assert len({first, *(read_priced_books(catalogue(tmp_path, rows)).fingerprint for rows in others)}) == 5


@given(st.text(max_size=30), st.text(max_size=30), st.text(), st.integers(0, 5))
def test_the_split_depends_on_title_and_author_only(title, author, other, seed):
    split = split_of(Book(title=title, author=author), seed)
    assert split in SPLITS
    edition = Book(title=title, author=author, subtitle=other, description=other, details={"Format": other}, price=5)
    assert split_of(edition, seed) == split


WORKS = [(f"The Garden of {name}", f"Author {name}") for name in map(str, range(200))]


@pytest.mark.parametrize(
    "edition",
    [
        "{} (Penguin Classics)",
        "{} [Hardcover]",
        "{}: A Novel",
        "{} – A Novel",
        "{} — A Novel",
        "{} - A Novel",
        "{} (Book 1): Part (2)",
        "  {} ",
        "{}!",
    ],
)
def test_editions_of_a_work_fall_into_one_split(edition):
    for title, author in WORKS:
        split = split_of(Book(title=title, author=author))
        assert split_of(Book(title=edition.format(title), author=author)) == split
        assert split_of(Book(title=edition.format(title).upper(), author=author.upper())) == split


@pytest.mark.parametrize("title", ["(500) Days {}", "{}-Day Week", ": {}", "({})", "[{}]"])
def test_works_whose_titles_look_like_editions_are_still_told_apart(title):
    splits = {split_of(Book(title=title.format(name))) for name in range(200)}
    assert splits == set(SPLITS)


def test_another_author_or_seed_may_be_another_split():
    assert {split_of(Book(title="Emma", author=str(author))) for author in range(200)} == set(SPLITS)
    assert {split_of(Book(title="Emma"), seed) for seed in range(200)} == set(SPLITS)


def test_the_shares_are_those_promised():
    generator = random.Random(1)
    count = 20_000
    splits = Counter(split_of(Book(title=f"{generator.random()}")) for _ in range(count))
    assert sum(SPLITS.values()) == pytest.approx(1)
    for split, share in SPLITS.items():
        assert splits[split] / count == pytest.approx(share, abs=0.012)


def test_splits_keep_every_book_in_order():
    books = [PricedBook(Book(title=str(number)), number) for number in range(1, 500)]
    splits = split_books(books)
    assert list(splits) == list(SPLITS)
    assert sorted(priced.units for part in splits.values() for priced in part) == list(range(1, 500))
    for name, part in splits.items():
        assert part == sorted(part, key=lambda priced: priced.units)
        assert all(split_of(priced.book) == name for priced in part)


def test_rows_hold_prompt_and_completion(small):
    books = [PricedBook(Book(title=f"Rome {number}"), number + 0.5) for number in range(7)]
    rows = list(prompt_rows(books, PromptBuilder(small, 40), batch=3))
    assert rows == [{"prompt": build_prompt(f"Rome {number}"), "completion": str(number + 1)} for number in range(7)]

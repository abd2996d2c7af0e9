import pytest

from bookpricer.chains.listing import is_listing, read_listing, read_question, same_book, with_facts
from bookpricer.training.errors import InputError


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("how much is a used 300-page hardcover on Roman history?",
         {"title": "Roman history", "format": "Hardcover", "pages": 300, "condition": "Used - Good"}),
        ("What is The Art of War by Sun Tzu worth?", {"title": "The Art of War", "author": "Sun Tzu"}),
        ("What's a hardcover of The Great Gatsby worth?", {"title": "The Great Gatsby", "format": "Hardcover"}),
        ("price of Emma by Jane Austen, paperback, 1998",
         {"title": "Emma", "author": "Jane Austen", "format": "Paperback", "year": 1998}),
        ("how much would I get for my first edition of “Dune”?", {"title": "Dune"}),
        ("What would a signed copy of Dune sell for?", {"title": "Dune"}),
        ("How much does a 500 page book about gardening cost?", {"title": "Gardening", "pages": 500}),
        ("The Name of the Rose", {"title": "The Name of the Rose"}),
    ],
)  # fmt: skip
def test_questions(question, expected):
    found = read_question(question)
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("question", ["How much is it?", "what is it worth?", "what's the price of this book?", ""])
def test_a_question_without_a_book(question):
    assert read_question(question) == {}


def test_a_pasted_listing():
    found = read_listing(
        "The Tide Cartographers: A History of Mapping\nby Ingrid Solveig Maar. Hardcover, 416 pages, "
        "2019.\nFor sailors."
    )
    assert found["title"] == "The Tide Cartographers: A History of Mapping" and found["author"] == "Ingrid Solveig Maar"
    assert (found["format"], found["pages"], found["year"]) == ("Hardcover", 416, 2019)
    assert found["description"].endswith("For sailors.")


def test_labelled_lines_and_json_and_a_question_above():
    labelled = read_listing("Title: Emma\nAuthor: Jane Austen\nBinding: Paperback\nPrice: $8\nA match is made.")
    assert labelled == {
        "title": "Emma",
        "author": "Jane Austen",
        "format": "Paperback",
        "description": "A match is made.",
    }
    assert read_listing('{"Book Title": "Emma", "Binding": "Paperback"}') == {"title": "Emma", "format": "Paperback"}
    asked = read_listing("How much is this?\nEmma by Jane Austen\nVery good condition.")
    assert asked["title"] == "Emma" and asked["condition"] == "Used - Very Good"
    with pytest.raises(InputError, match="JSON"):
        read_listing('{"title": ')


def test_what_is_a_listing():
    assert is_listing("Emma\nby Jane Austen") and is_listing("word " * 50) and not is_listing("and as a paperback?")


def test_changed_facts_change_the_words_too():
    book = {"title": "Emma", "format": "Paperback", "description": "Paperback, 320 pages."}
    changed = with_facts(book, {"format": "Hardcover"})
    assert changed["description"] == "Hardcover, 320 pages." and changed["format"] == "Hardcover"
    assert same_book(book, changed) and not same_book(book, {"title": "Rome"})

import pytest
from pydantic import ValidationError

from bookpricer.tools.arguments import BookArguments, arguments_of, validation_sentence
from bookpricer.training.book import Book


def test_arguments_make_the_book_and_the_book_the_arguments():
    given = {"title": "Emma", "author": "Jane Austen", "format": "Paperback", "pages": 320, "year": 1998,
             "condition": "Used - Good", "categories": ["Fiction"], "description": "A match is made."}  # fmt: skip
    book = BookArguments(**given).book()
    assert (book.format, book.pages, book.year, book.condition) == ("Paperback", 320, 1998, "Used - Good")
    assert arguments_of(book) == given
    assert arguments_of(Book()) == {}


def test_what_models_send_by_mistake_is_taken_where_it_is_clear():
    book = BookArguments(title=None, description="A novel.", categories="Fiction", pages="320").book()
    assert book.categories == ("Fiction",) and book.pages == 320


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"pages": "many"}, "'pages'"), ({"price": 5}, "no argument 'price'"), ({"average_rating": 9}, "less than")],
)
def test_what_is_wrong_is_said_in_a_sentence(arguments, words):
    with pytest.raises(ValidationError) as raised:
        BookArguments(**arguments)
    sentence = validation_sentence(raised.value)
    assert words in sentence and sentence.endswith("call the tool again.") and "\n" not in sentence

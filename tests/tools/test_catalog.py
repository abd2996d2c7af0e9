import pytest

from bookpricer.tools.catalog import Catalogue, look_up_tool
from bookpricer.training.book import Book
from bookpricer.training.errors import InputError


@pytest.fixture
def catalogue(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text(
        "Book title,Author(s),ISBN,Binding\nEmma,Jane Austen,978-0-14-143958-7,Paperback\n"
        "A History of Rome,Ann Reed,,Hardcover\nA History of Greece,Bo Holm,,Paperback\n,,,\n"
    )
    return Catalogue.read(file)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("jane austen emma", "Emma"),
        ("9780141439587", "Emma"),
        ("history of rome", "A History of Rome"),
        ("holm", "A History of Greece"),
    ],
)
def test_finds_by_title_author_and_code(catalogue, query, title):
    assert catalogue.find(query)[0].title == title


def test_what_is_not_there_is_not_found(catalogue):
    assert catalogue.find("gardening in Wales") == []
    tool = look_up_tool(catalogue)
    message = tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": {"query": "gardening"}})
    assert message.status == "error" and "no book of the catalogue fits" in message.text


def test_gives_arguments_for_the_other_tools(catalogue):
    tool = look_up_tool(catalogue)
    message = tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": {"query": "Emma", "k": 1}})
    assert message.artifact["books"] == [{"title": "Emma", "author": "Jane Austen", "format": "Paperback"}]


def test_a_catalogue_without_titles_is_refused(tmp_path):
    file = tmp_path / "odd.csv"
    file.write_text("colour\nred\n")
    with pytest.raises(InputError):
        Catalogue.read(file)


def test_ten_thousand_books_do_not_slow_it_down():
    catalogue = Catalogue(Book(title=f"Volume {i} of Everything", author=f"Author {i % 97}") for i in range(10_000))
    assert catalogue.find("volume 4711 everything")[0].title == "Volume 4711 of Everything"

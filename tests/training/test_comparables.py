import numpy as np
import pytest

from bookpricer.training.book import Book
from bookpricer.training.comparables import Comparables
from bookpricer.training.dataset import PricedBook
from bookpricer.training.errors import InputError

BOOKS = [
    PricedBook(Book(title="Emma", author="Jane Austen"), 8.0),
    PricedBook(Book(title="Żółć і 書 \n" + "long " * 200, author="X"), 9.0),
    PricedBook(Book(title="Algebra", author="Gil Strand"), 90.0),
    PricedBook(Book(title="", description="no title at all"), 5.0),
]


@pytest.fixture(scope="module")
def comparables():
    return Comparables.fit(BOOKS)


def test_titles_prices_and_similarities(comparables):
    [found] = comparables.find([Book(title="Emma, a novel", author="Jane Austen")], k=2, unit=1000)
    assert (found[0].title, found[0].price) == ("Emma", 8000.0) and 0.5 < found[0].similarity <= 1
    assert [len(row) for row in comparables.find([Book(title="Emma")] * 2, k=9)] == [4, 4]
    [others] = comparables.find([Book(title="Emma", author="Jane Austen")], k=1, exclude_group=True)
    assert others[0].title != "Emma"


def test_saved_and_loaded_from_mapped_memory(comparables, tmp_path):
    comparables.save(tmp_path)
    loaded = Comparables.load(tmp_path)
    assert [loaded.title(i) for i in range(4)] == [comparables.title(i) for i in range(4)]
    assert (
        loaded.title(1).startswith("Żółć і 書 long") and len(loaded.title(1).encode()) <= 300 and loaded.title(3) == ""
    )
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} == {".npy", ".json"}
    assert isinstance(loaded._titles.base, np.memmap)
    (tmp_path / "ends.npy").write_bytes((tmp_path / "ends.npy").read_bytes()[:-1] + b"\1")
    with pytest.raises(InputError, match="changed"):
        Comparables.load(tmp_path)


def test_fewer_dimensions_make_a_smaller_index(tmp_path):
    many = [PricedBook(Book(title=f"Book {i} of {i % 7}"), 5.0 + i) for i in range(50)]
    small = Comparables.fit(many, components=8)
    assert small.index._vectors.shape == (50, 8)

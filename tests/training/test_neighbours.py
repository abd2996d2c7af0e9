import numpy as np
import pytest

from bookpricer.training.book import Book
from bookpricer.training.errors import InputError
from bookpricer.training.neighbours import NeighbourIndex, groups_of
from bookpricer.training.vectors import book_vectors

WORDS = ("algebra", "romance", "cookery", "thriller", "gardening", "poems", "chess", "rivers")


def make_books(n):
    return [
        Book(title=f"{WORDS[i % 8]} and {WORDS[i // 8 % 8]} {i}", author=f"Author {i % 5}", categories=(WORDS[i % 8],))
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def index():
    return NeighbourIndex().fit(make_books(100), np.arange(100) + 1.0)


def test_finds_what_brute_force_finds(index):
    queries = make_books(130)[100:]
    similarities = book_vectors(queries) @ book_vectors(make_books(100)).T
    found = index.query(queries, k=5)
    np.testing.assert_allclose(found.similarities, -np.sort(-similarities, axis=1)[:, :5], atol=1e-4)
    np.testing.assert_array_equal(found.prices, index.prices[found.indices])


def test_an_indexed_book_is_its_own_nearest_unless_its_group_is_left_out(index):
    books = make_books(100)
    assert index.query(books, k=1).indices[:, 0].tolist() == list(range(100))
    for found in (index.query(books, k=7, exclude_group=True), index.query_own(7)):
        assert not (found.indices == np.arange(100)[:, None]).any()
        assert (found.indices >= 0).all()


def test_other_editions_are_no_neighbours_of_a_book():
    books = [
        Book(title="Emma", author="Jane Austen", subtitle="Paperback – 10 Mar 2016"),
        Book(title="Emma (Vintage Classics)", author="Jane Austen", subtitle="Hardcover – 1 May 2011"),
        Book(title="Emma: A Novel", author="Jane Austen"),
        Book(title="Algebra", author="Gilbert Strang"),
    ]
    index = NeighbourIndex().fit(books, [5.0, 20.0, 6.0, 90.0])
    found = index.query_own(3)
    assert found.indices.tolist() == [[3, -1, -1]] * 3 + [found.indices[3].tolist()]
    assert sorted(found.indices[3]) == [0, 1, 2]
    assert np.isnan(found.prices[0, 1:]).all() and (found.similarities[0, 1:] == -np.inf).all()


def test_books_without_title_and_author_are_no_editions_of_one_another():
    groups = groups_of([Book(description="chess"), Book(description="rivers"), Book(description="chess")])
    assert groups[0] == groups[2] != groups[1]


def test_fewer_books_than_asked_and_no_books(index):
    found = NeighbourIndex().fit([Book(title="Emma")], [8.0]).query([Book(), Book(title="Emma")], k=3)
    assert found.indices.shape == (2, 3) and found.prices[1, 0] == 8
    assert (found.indices[:, 1:] == -1).all()
    assert index.query([], k=3).prices.shape == (0, 3)


def test_saved_and_loaded_it_answers_the_same_from_mapped_memory(index, tmp_path):
    index.save(tmp_path)
    loaded = NeighbourIndex.load(tmp_path)
    queries = make_books(110)[90:]
    np.testing.assert_array_equal(loaded.query(queries, 4).indices, index.query(queries, 4).indices)
    assert {file.suffix for file in tmp_path.iterdir()} == {".npy", ".json"} and len(loaded) == 100


@pytest.mark.parametrize("prices", [[], [1.0, 2.0]])
def test_refuses_another_number_of_prices(prices):
    with pytest.raises(InputError, match="one price a book"):
        NeighbourIndex().fit([Book(title="Emma")], prices)


def test_many_books_are_searched_by_cluster_and_found_all_the_same(tmp_path, monkeypatch):
    from bookpricer.training import neighbours

    books, prices = make_books(3000), np.arange(3000) + 1.0
    exact = NeighbourIndex().fit(books, prices)
    monkeypatch.setattr(neighbours, "EXACT_BOOKS", 1000)
    clustered = NeighbourIndex().fit(books, prices)
    clustered.save(tmp_path)
    loaded = NeighbourIndex.load(tmp_path)
    queries = books[::100]
    wanted, found = exact.query(queries, 5), loaded.query(queries, 5)
    assert (found.indices[:, 0] == wanted.indices[:, 0]).mean() > 0.9
    np.testing.assert_allclose(found.similarities[:, 0], 1, atol=1e-3)
    np.testing.assert_array_equal(found.prices, loaded.prices[found.indices])
    own = loaded.query_own(3)
    assert own.indices.shape == (3000, 3) and not (own.indices == np.arange(3000)[:, None]).any()

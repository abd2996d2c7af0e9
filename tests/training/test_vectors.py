import numpy as np

from bookpricer.training.book import Book
from bookpricer.training.vectors import DIMENSIONS, FIELDS, book_vectors, field_texts, field_vectors, text_vectors


def test_vectors_are_unit_or_zero_and_of_their_text_alone():
    texts = ["a book about chess", "", "a much longer book about all the rivers of Europe " * 20, "\0", "😀"]
    vectors = text_vectors(texts)
    assert vectors.shape == (5, DIMENSIONS) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors[[0, 2]], axis=1), 1, atol=1e-5)
    assert not vectors[1].any()
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_array_equal(text_vectors([text])[0], vector)


def test_what_means_alike_is_alike():
    chess, openings, soup = text_vectors(["how to play chess", "chess openings for beginners", "soups and stews"])
    assert chess @ openings > chess @ soup


def test_each_field_has_its_vector():
    book = Book(title="Emma", author="Jane Austen", details={"Format": "Hardcover"})
    assert dict(zip(FIELDS, field_texts(book), strict=True)) == {
        "title": "Emma", "author": "Jane Austen", "description": "", "categories": "", "facts": "Hardcover",
    }  # fmt: skip
    vectors = field_vectors([book, Book()])
    assert vectors.shape == (2, len(FIELDS), DIMENSIONS)
    assert [bool(vector.any()) for vector in vectors[0]] == [True, True, False, False, True]
    assert not vectors[1].any()


def test_a_books_vector_weighs_its_fields():
    book = Book(title="Emma", author="Jane Austen", description="A match is made.")
    joined = book_vectors([book, book.with_(author="Gilbert Strang"), Book()])
    assert np.linalg.norm(joined, axis=1).round(4).tolist() == [1, 1, 0]
    same = FIELDS["title"] + FIELDS["description"]
    other = FIELDS["author"] * float(text_vectors(["Jane Austen"])[0] @ text_vectors(["Gilbert Strang"])[0])
    np.testing.assert_allclose(joined[0] @ joined[1], (same + other) / (same + FIELDS["author"]), atol=1e-5)


def test_a_field_of_megabytes_is_no_trouble():
    assert book_vectors([Book(description="word " * 1_000_000)]).shape == (1, len(FIELDS) * DIMENSIONS)

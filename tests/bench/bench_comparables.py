"""Milliseconds to find comparables among 250,000 books, opened from disk, and how many of the true nearest are found.

The books are 20,000 synthetic ones, each many times with the noise of another edition in its vector: what a search
costs depends on their number, not on what they are.
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from bookpricer.training import neighbours
from bookpricer.training.book import Book
from bookpricer.training.columns import to_book
from bookpricer.training.neighbours import NeighbourIndex
from bookpricer.training.synthetic import synthetic_records

REAL, BOOKS, QUERIES, K = 20_000, 250_000, 200, 6


def main() -> None:
    """Measure and print."""
    books = [to_book(record) for record in synthetic_records(REAL + QUERIES, seed=5)]
    queries = books[REAL:]
    base = NeighbourIndex().fit(books[:REAL], np.ones(REAL))
    rng = np.random.default_rng(0)
    vectors = base._vectors[rng.integers(0, REAL, BOOKS)]
    vectors = vectors + rng.normal(0, 0.02, vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = NeighbourIndex()
    index._project = lambda given: vectors if len(given) == BOOKS else base._project(given)  # type: ignore[method-assign]
    start = time.perf_counter()
    index.fit([Book(title=str(number)) for number in range(BOOKS)], np.ones(BOOKS))
    figures = {"build_s": round(time.perf_counter() - start, 1)}
    index._axes = base._axes
    with tempfile.TemporaryDirectory() as folder:
        index.save(Path(folder))
        start = time.perf_counter()
        loaded = NeighbourIndex.load(Path(folder))
        figures["open_ms"] = round(1000 * (time.perf_counter() - start))
        asked = loaded._project(queries)
        exact = neighbours._faiss().knn(asked, np.ascontiguousarray(loaded._vectors), K, metric=0)[1]
        times, hits = [], 0
        for row in range(QUERIES):
            start = time.perf_counter()
            found = loaded._search_clusters(asked[row : row + 1], K)[1]
            times.append(time.perf_counter() - start)
            hits += len(set(found[0]) & set(exact[row]))
        figures["search_ms"] = round(1000 * statistics.median(times), 2)
        figures["search_p95_ms"] = round(1000 * float(np.quantile(times, 0.95)), 2)
        times = []
        for query in queries[:100]:
            start = time.perf_counter()
            loaded.query([query], K)
            times.append(time.perf_counter() - start)
        figures["query_ms"] = round(1000 * statistics.median(times), 2)
        figures["recall_at_6"] = round(hits / (QUERIES * K), 4)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""What several methods answered for the same priced books: a row a book, in memory and as a file of JSON lines.

All figures of an evaluation are computed from these rows and from nothing else. Knows no methods and no models.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .calibration import Calibration
from .distribution import PriceDistribution
from .errors import InputError
from .estimate import CLOSE


@dataclass(frozen=True)
class Answers:
    """What one method says about n books. Only `prices` are a must.

    Args:
        prices: point prices in units, shape (n,).
        intervals: the share of true prices that they should hold -> calibrated lows and highs in units, shape (n, 2).
        cdf: the method's probability of a price at or below the true one (the probability integral transform), (n,).
        confidence: the method's probability that the true price lies within 20 % of its own, shape (n,).
        distributions: for the methods that are asked after this one; large, and no part of any figure.
    """

    prices: NDArray[np.float64]
    intervals: Mapping[float, NDArray[np.float64]] = field(default_factory=dict)
    cdf: NDArray[np.float64] | None = None
    confidence: NDArray[np.float64] | None = None
    distributions: Sequence[PriceDistribution] | None = None

    @classmethod
    def of_distributions(
        cls,
        distributions: Sequence[PriceDistribution],
        actual: Sequence[float],
        calibration: Calibration | None,
        levels: Sequence[float],
    ) -> Answers:
        """The answers of a method that gives whole distributions; without a calibration it gives no intervals."""
        prices = [distribution.median for distribution in distributions]
        intervals: dict[float, NDArray[np.float64]] = {}
        if calibration:
            intervals = {
                level: np.array([calibration.interval(distribution, level) for distribution in distributions])
                for level in levels
            }
        pairs = list(zip(distributions, prices, strict=True))
        return cls(
            prices=np.array(prices),
            intervals=intervals,
            cdf=np.array([float(d.cdf(price)) for d, price in zip(distributions, actual, strict=True)]),
            confidence=np.array([d.probability_within(price, CLOSE) for d, price in pairs]),
            distributions=distributions,
        )

    @classmethod
    def join(cls, parts: Sequence[Answers]) -> Answers:
        """The answers of one method for one book after the other, asked in parts."""
        first = parts[0]

        def one(name: str) -> NDArray[np.float64] | None:
            return None if getattr(first, name) is None else np.concatenate([getattr(part, name) for part in parts])

        return cls(
            prices=np.concatenate([part.prices for part in parts]),
            intervals={level: np.concatenate([part.intervals[level] for part in parts]) for level in first.intervals},
            cdf=one("cdf"),
            confidence=one("confidence"),
        )


@dataclass(frozen=True)
class Predictions:
    """n books with their true prices in units, and what each method, by name, answered.

    Args:
        ids: the catalogue's own identifiers, empty where a book has none.
        categories: the first that says something, None where a book has none.
        coverage: the share of true prices that the intervals named `low` and `high` in the file should hold.
        answers: one for each method, in the order of tables.
        method_titles: the methods' names for people.
    """

    ids: Sequence[str]
    titles: Sequence[str]
    categories: Sequence[str | None]
    actual: NDArray[np.float64]
    coverage: float
    answers: Mapping[str, Answers] = field(default_factory=dict)
    method_titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """A hash of the books and their prices: whether two evaluations are of the same books."""
        digest = hashlib.sha256()
        for row in zip(self.ids, self.titles, self.actual.tolist(), strict=True):
            digest.update(json.dumps(row).encode())
        return digest.hexdigest()

    def write(self, path: Path) -> None:
        """Write one JSON object a book."""
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            for number in range(len(self.actual)):
                stream.write(json.dumps(self._row(number), ensure_ascii=False, allow_nan=False) + "\n")

    def _row(self, number: int) -> dict[str, Any]:
        return {
            "row": number + 1,
            "id": self.ids[number] or None,
            "title": self.titles[number],
            "category": self.categories[number],
            "actual": float(self.actual[number]),
            "methods": {name: self._answer(answers, number) for name, answers in self.answers.items()},
        }

    def _answer(self, answers: Answers, number: int) -> dict[str, Any]:
        answer: dict[str, Any] = {"price": float(answers.prices[number])}
        if self.coverage in answers.intervals:
            answer["low"], answer["high"] = answers.intervals[self.coverage][number].tolist()
        if answers.cdf is not None:
            answer["cdf"] = float(answers.cdf[number])
        if answers.confidence is not None:
            answer["confidence"] = float(answers.confidence[number])
        if answers.intervals:
            answer["intervals"] = {str(level): row[number].tolist() for level, row in answers.intervals.items()}
        return answer


def read_predictions(path: Path, coverage: float, method_titles: Mapping[str, str] | None = None) -> Predictions:
    """Read what `Predictions.write` wrote.

    Raises:
        InputError: no such file, or another.
    """
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        answers = {name: _read_answers([row["methods"][name] for row in rows]) for name in rows[0]["methods"]}
        return Predictions(
            ids=[row["id"] or "" for row in rows],
            titles=[row["title"] for row in rows],
            categories=[row["category"] for row in rows],
            actual=np.array([row["actual"] for row in rows], dtype=np.float64),
            answers=answers,
            coverage=coverage,
            method_titles=method_titles or {},
        )
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path} does not hold the predictions of an evaluation; evaluate again") from error


def _read_answers(rows: Sequence[Mapping[str, Any]]) -> Answers:
    return Answers(
        prices=np.array([row["price"] for row in rows], dtype=np.float64),
        intervals={
            float(level): np.array([row["intervals"][level] for row in rows], dtype=np.float64)
            for level in rows[0].get("intervals", ())
        },
        cdf=np.array([row["cdf"] for row in rows]) if "cdf" in rows[0] else None,
        confidence=np.array([row["confidence"] for row in rows]) if "confidence" in rows[0] else None,
    )

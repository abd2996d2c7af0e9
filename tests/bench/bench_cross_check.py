"""The cross-check's error on real books by 5-fold cross-validation, grouped by title and author, beside its parts'.

Nested: within each fold the baselines' estimates that the blend learns from are out of fold among the other four, and
those of the fold itself come from baselines fitted on the other four. Estimates are kept in `--work`, so that a run
that was stopped goes on. A language model's part comes from a file of out-of-fold distributions, `--llm FILE.npy`,
shape (n, 1000) in the order of the books: five trainings, which this script does not do.

Intervals and flags are calibrated on one half of each fold's books and measured on the other, in turns. Needs the
optional data folder; prices are nominal dollars.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np

from bookpricer.training.baselines import BASELINES
from bookpricer.training.blend import BLENDED, NEIGHBOURS, Blend, Opinions
from bookpricer.training.book import Book
from bookpricer.training.dataset import read_priced_books
from bookpricer.training.distribution import PriceDistribution
from bookpricer.training.neighbours import NeighbourIndex, Neighbours, groups_of

SHARED = Path(os.environ.get("BOOKPRICER_SHARED", Path(__file__).resolve().parents[3] / "shared"))
FOLDS, RESAMPLES = 5, 2000


def folds_of(groups: np.ndarray, seed: int) -> np.ndarray:
    """A fold for each book, the same for all editions of a work."""
    works, numbers = np.unique(groups, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(works)) % FOLDS)[numbers]


def estimates_of(work: Path, fold: int, books: list[Book], prices: np.ndarray, groups: np.ndarray) -> dict:
    """What the parts say of a fold's books, and out of fold of the others; from `work` where it is there."""
    file = work / f"fold{fold}.npz"
    if not file.exists():
        outer = folds_of(groups, 0)
        train, test = np.where(outer != fold)[0], np.where(outer == fold)[0]
        known, asked = [books[i] for i in train], [books[i] for i in test]
        inner = folds_of(groups[train], 1 + fold)
        arrays = {"train": train, "test": test}
        for name in BLENDED:
            print(f"fold {fold}: {name}", file=sys.stderr, flush=True)
            arrays[f"test_{name}"] = BASELINES[name]().fit(known, prices[train]).predict(asked)
            arrays[f"train_{name}"] = np.zeros(len(train))
            for part in range(FOLDS):
                others, held = np.where(inner != part)[0], np.where(inner == part)[0]
                baseline = BASELINES[name]().fit([known[i] for i in others], prices[train][others])
                arrays[f"train_{name}"][held] = baseline.predict([known[i] for i in held])
        index = NeighbourIndex().fit(known, prices[train])
        for name, found in (("train", index.query_own(NEIGHBOURS)), ("test", index.query(asked, NEIGHBOURS))):
            arrays[f"prices_{name}"], arrays[f"similarities_{name}"] = found.prices, found.similarities
        work.mkdir(parents=True, exist_ok=True)
        np.savez(file, **arrays)
    return dict(np.load(file))


def opinions_of(found: dict, part: str, books: list[Book]) -> Opinions:
    """The opinions on one part of a fold."""
    prices, similarities = found[f"prices_{part}"], found[f"similarities_{part}"]
    neighbours = Neighbours(np.where(np.isnan(prices), -1, 0), similarities, prices)
    return Opinions([books[i] for i in found[part]], {n: found[f"{part}_{n}"] for n in BLENDED}, neighbours)


def interval(differences: np.ndarray) -> list[float]:
    """The 95 % interval of a mean, by the paired percentile bootstrap over books."""
    rng = np.random.default_rng(0)
    means = [differences[rng.integers(0, len(differences), len(differences))].mean() for _ in range(RESAMPLES)]
    return [round(float(q), 3) for q in np.quantile(means, [0.025, 0.975])]


def measure(blends: dict, found: dict, books: list, prices: np.ndarray, llm: list | None) -> dict:
    """Errors, coverage and flags of the blend with or without the language model, and of its parts."""
    n = len(prices)
    medians, held, flagged = np.zeros(n), np.zeros(n, bool), np.zeros(n, bool)
    parts = {name: np.zeros(n) for name in BLENDED} | ({"llm": np.zeros(n)} if llm else {})
    asked = {}
    for fold, part in found.items():
        opinions = opinions_of(part, "test", books)
        mine = None if llm is None else [llm[i] for i in part["test"]]
        asked[fold] = Opinions(opinions.books, opinions.baselines, opinions.neighbours, mine)
    for fold, part in found.items():
        blend, test = blends[fold], part["test"]
        if llm is not None:
            # On the other folds' books: each blend speaks of its own fold, which it has not seen.
            weights = []
            for other in found:
                if other != fold:
                    weights.append(blends[other].weigh(asked[other], prices[found[other]["test"]]).llm_weight)
            blend.llm_weight = float(np.mean(weights))
        distributions = blend.distributions(asked[fold])
        medians[test] = [d.median for d in distributions]
        for name in BLENDED:
            parts[name][test] = part[f"test_{name}"]
        if llm is not None:
            parts["llm"][test] = [llm[i].median for i in test]
        half = np.random.default_rng(fold).permutation(len(test)) % 2
        spreads = blend.spread(asked[fold])
        for side in (0, 1):
            rows = np.where(half == side)[0]
            blend.calibrate(asked[fold].select(rows), prices[test][rows])
            for row in np.where(half != side)[0]:
                distribution = distributions[row]
                low, high = blend.calibration.interval(distribution, 0.8)
                held[test[row]] = low <= prices[test[row]] <= high
                wide = high - low > blend.calibration.wide * max(distribution.median, 1)
                flagged[test[row]] = wide or blend.agreement(spreads[row]) == "disagree"
    errors = np.abs(medians - prices)
    others = {name: np.abs(values - prices) for name, values in parts.items()}
    others["mean of the parts"] = np.abs(np.exp(np.mean([np.log(v) for v in parts.values()], axis=0)) - prices)
    bad, twice = errors > prices, np.abs(np.log(medians / prices)) > np.log(2)
    return {
        "mae": round(float(errors.mean()), 3),
        "mae_interval": interval(errors),
        "folds": [round(float(errors[part["test"]].mean()), 3) for part in found.values()],
        "parts": {name: round(float(values.mean()), 3) for name, values in others.items()},
        "paired_difference": {name: interval(errors - values) for name, values in others.items()},
        "coverage": round(float(held.mean()), 4),
        "flagged": round(float(flagged.mean()), 4),
        "bad_among_flagged": round(float(bad[flagged].mean()), 4),
        "bad_among_others": round(float(bad[~flagged].mean()), 4),
        "off_by_factor_2_ratio": round(float(twice[flagged].mean() / twice[~flagged].mean()), 3),
        "bad_ratio": round(float(bad[flagged].mean() / bad[~flagged].mean()), 3),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--books", type=Path, default=SHARED / "data" / "books_in.jsonl")
    parser.add_argument("--work", type=Path, default=Path("build") / "cross_check")
    parser.add_argument("--llm", type=Path, help=".npy of out-of-fold distributions, shape (n, 1000)")
    given = parser.parse_args()
    if not given.books.exists():
        sys.exit(f"needs priced books in {given.books} (set BOOKPRICER_SHARED to name another data folder)")
    priced = read_priced_books(given.books).books
    books, prices = [p.book for p in priced], np.array([p.units for p in priced])
    groups = groups_of(books)
    found = {fold: estimates_of(given.work, fold, books, prices, groups) for fold in range(FOLDS)}
    blends = {
        fold: Blend().fit(opinions_of(part, "train", books), prices[part["train"]]) for fold, part in found.items()
    }
    figures = {"books": len(books), "without_llm": measure(blends, found, books, prices, None)}
    if given.llm:
        llm = [PriceDistribution(row) for row in np.load(given.llm, allow_pickle=False)]
        figures["with_llm"] = measure(blends, found, books, prices, llm)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""The cross-check's error on real books by 5-fold cross-validation, grouped by title and author, beside its parts'.

Nested: within each fold the baselines' estimates that the blend learns from are out of fold among the other four, and
those of the fold itself come from baselines fitted on the other four. `--llm` adds the language model, tuned by the
`embedded` preset once a fold, without validation: about an hour on two cores. What was made is kept in `--work`, so
that a run that was stopped goes on.

The language model's weight, intervals and flags come from one half of each fold's books and are measured on the other,
in turns, for ten random halves. Needs the optional data folder; prices are nominal dollars.
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
from bookpricer.training.dataset import PricedBook, SplitBooks, read_priced_books
from bookpricer.training.distribution import PriceDistribution
from bookpricer.training.neighbours import NeighbourIndex, Neighbours, groups_of

SHARED = Path(os.environ.get("BOOKPRICER_SHARED", Path(__file__).resolve().parents[3] / "shared"))
FOLDS, HALVES, RESAMPLES = 5, 10, 2000


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


def llm_of(work: Path, fold: int, priced: list[PricedBook], found: dict) -> list[PriceDistribution]:
    """What a language model that was tuned on the other folds says of a fold's books."""
    file = work / f"llm{fold}.npy"
    if not file.exists():
        from bookpricer.training.finetune import TrainingRun, finetune
        from bookpricer.training.loading import load_pricer
        from bookpricer.training.measuring import book_distributions
        from bookpricer.training.presets import load_settings

        model = work / f"model{fold}"
        if not model.exists():
            print(f"fold {fold}: language model", file=sys.stderr, flush=True)
            books = SplitBooks({"train": [priced[i] for i in found["train"]]})
            resume = TrainingRun(model).interrupted
            finetune(load_settings("embedded"), books, model, baselines=False, resume=resume)
        made = book_distributions(load_pricer(model), [priced[i] for i in found["test"]])
        np.save(file, np.array([distribution.probabilities for distribution in made]), allow_pickle=False)
    return [PriceDistribution(row) for row in np.load(file, allow_pickle=False)]


def measure(blends: dict, found: dict, books: list, prices: np.ndarray, llm: dict | None) -> dict:
    """Errors, coverage and flags of the blend with or without the language model, and of its parts."""
    shape = (HALVES, len(prices))
    medians, held, flagged, weights = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool), []
    parts = {name: np.zeros(len(prices)) for name in BLENDED} | ({"llm": np.zeros(len(prices))} if llm else {})
    for fold, part in found.items():
        blend, test = blends[fold], part["test"]
        told = opinions_of(part, "test", books)
        asked = Opinions(told.books, told.baselines, told.neighbours, llm[fold] if llm else None)
        for name in BLENDED:
            parts[name][test] = part[f"test_{name}"]
        if llm:
            parts["llm"][test] = [distribution.median for distribution in llm[fold]]
        for turn in range(HALVES):
            half = np.random.default_rng([fold, turn]).permutation(len(test)) % 2
            for side in (0, 1):
                known, new = np.where(half == side)[0], np.where(half != side)[0]
                if llm:
                    weights.append(blend.weigh(asked.select(known), prices[test[known]]).llm_weight)
                blend.calibrate(asked.select(known), prices[test[known]])
                checked = asked.select(new)
                distributions = blend.distributions(checked)
                doubts = blend.doubts(checked, distributions)
                for row, distribution, doubt in zip(test[new], distributions, doubts, strict=True):
                    medians[turn, row] = distribution.median
                    low, high = blend.calibration.interval(distribution, 0.8)
                    held[turn, row] = low <= prices[row] <= high
                    flagged[turn, row] = blend.agreement(doubt) == "disagree"
    errors = np.abs(medians - prices).mean(axis=0)
    others = {name: np.abs(values - prices) for name, values in parts.items()}
    others["mean of the parts"] = np.abs(np.exp(np.mean([np.log(v) for v in parts.values()], axis=0)) - prices)
    bad, twice = medians > 2 * prices, np.abs(np.log(medians / prices)) > np.log(2)
    return {
        "mae": round(float(errors.mean()), 3),
        "mae_interval": interval(errors),
        "folds": [round(float(errors[part["test"]].mean()), 3) for part in found.values()],
        "parts": {name: round(float(values.mean()), 3) for name, values in others.items()},
        "paired_difference": {name: interval(errors - values) for name, values in others.items()},
        "llm_weights": [min(weights), float(np.mean(weights)), max(weights)] if llm else None,
        "coverage": round(float(held.mean()), 4),
        "flagged": round(float(flagged.mean()), 4),
        "bad": round(float(bad.mean()), 4),
        "bad_among_flagged": round(float(bad[flagged].mean()), 4),
        "bad_among_others": round(float(bad[~flagged].mean()), 4),
        "bad_ratio": round(ratio(bad, flagged), 3),
        "bad_ratio_interval": ratio_interval(bad, flagged),
        "off_by_factor_2_ratio": round(ratio(twice, flagged), 3),
    }


def ratio(bad: np.ndarray, flagged: np.ndarray) -> float:
    """How many times as often the flagged are bad as the others."""
    return float(bad[flagged].mean() / bad[~flagged].mean())


def ratio_interval(bad: np.ndarray, flagged: np.ndarray) -> list[float]:
    """Its 95 % interval, by the percentile bootstrap over books, shape (turns, books) each."""
    rng = np.random.default_rng(0)
    drawn = (rng.integers(0, bad.shape[1], bad.shape[1]) for _ in range(RESAMPLES))
    return [round(float(q), 3) for q in np.quantile([ratio(bad[:, i], flagged[:, i]) for i in drawn], [0.025, 0.975])]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--books", type=Path, default=SHARED / "data" / "books_in.jsonl")
    parser.add_argument("--work", type=Path, default=Path("build") / "cross_check")
    parser.add_argument("--llm", action="store_true", help="with a language model, tuned five times")
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
        llm = {fold: llm_of(given.work, fold, priced, part) for fold, part in found.items()}
        figures["with_llm"] = measure(blends, found, books, prices, llm)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

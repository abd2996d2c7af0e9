"""The cross-check: the model, the baselines and the comparables on one book, as one estimate. Knows a model folder's
companions and estimates; knows no prompts and no agent.

How opinions are weighed is the business of `training.blend`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..training.baselines import BASELINES, Baseline, load_baselines
from ..training.blend import NEIGHBOURS, UNINFORMATIVE, Blend, Opinions
from ..training.book import Book
from ..training.comparables import Comparables
from ..training.distribution import PriceDistribution
from ..training.errors import InputError
from ..training.estimate import Flag, PriceEstimate
from ..training.model_folder import ModelFolder
from ..training.money import format_money

# The language model among the methods' prices.
LLM = "llm"
# How many comparables an estimate lists, and how many of the methods that are furthest off are named in words.
_SHOWN, _NAMED = 6, 2


@dataclass(frozen=True)
class Companions:
    """What a model folder holds beside its language model; empty or None where it has none."""

    baselines: Mapping[str, Baseline]
    comparables: Comparables | None
    blend: Blend | None

    @classmethod
    def load(cls, path: Path) -> Companions:
        """Those of the folder at `path`.

        Raises:
            InputError: one that cannot be read, or was changed.
        """
        folder = ModelFolder(path)
        return cls(
            load_baselines(folder.baselines),
            Comparables.load(folder.comparables) if folder.comparables.is_dir() else None,
            Blend.load(folder.blend) if folder.blend.is_dir() else None,
        )


class Parser(Protocol):
    """What makes an estimate of a distribution: a `PriceParser`."""

    def estimate(self, distribution: PriceDistribution) -> PriceEstimate:
        """The estimate of a price distribution over units."""

    def model_copy(self, *, update: Mapping[str, Any]) -> Any:
        """A copy with other settings."""


class CrossCheck:
    """Holds a model's estimates against its companions, and blends them.

    Args:
        companions: all of them.
        name: of the model, for messages.

    Raises:
        InputError: one is missing; it is named, with what makes it.
    """

    def __init__(self, companions: Companions, name: str = "this model") -> None:
        blend, comparables = companions.blend, companions.comparables
        needed = blend.baselines if blend else ()
        missing = [baseline for baseline in needed if baseline not in companions.baselines]
        if blend is None or comparables is None or missing:
            what = "blend" if blend is None else "comparables" if comparables is None else f"baseline {missing[0]!r}"
            raise InputError(f"{name} holds no {what} to cross-check with; `bookpricer train` makes all that is needed")
        self.blend, self.comparables = blend, comparables
        self.baselines = {k: v for k, v in companions.baselines.items() if k not in UNINFORMATIVE}

    def check(self, books: Sequence[Book], estimates: Sequence[PriceEstimate], parser: Parser) -> list[PriceEstimate]:
        """The cross-checked estimate of each book, from the model's own.

        Args:
            books: n books.
            estimates: the model's, n; those without a distribution are listed but not blended.
            parser: gives currency, unit and coverage; its calibration gives way to the blend's.
        """
        if not books:
            return []
        neighbours = self.comparables.index.query(books, NEIGHBOURS)
        distributions = [estimate.distribution for estimate in estimates]
        known = [distribution for distribution in distributions if distribution is not None]
        opinions = Opinions(
            books,
            {name: baseline.predict(books) for name, baseline in self.baselines.items()},
            neighbours,
            known if len(known) == len(books) else None,
        )
        blended = self.blend.distributions(opinions)
        doubts = self.blend.doubts(opinions, blended)
        unit = estimates[0].unit
        similar = self.comparables.named(neighbours.first(_SHOWN), unit)
        parser = parser.model_copy(update={"calibration": self.blend.calibration})
        results = []
        for row, (own, distribution) in enumerate(zip(estimates, blended, strict=True)):
            prices = {LLM: own.price} | {
                name: round(float(values[row]) * unit, 2) for name, values in opinions.baselines.items()
            }
            checked = parser.estimate(distribution)
            agreement = self.blend.agreement(float(doubts[row]))
            flags, warnings = [*checked.flags], [*checked.warnings]
            if agreement == "disagree":
                flags.insert(0, "disagreement")
                warnings.insert(0, f"The methods disagree: {_furthest(prices, checked.price, checked.currency)}.")
            elif "wide_interval" in flags:
                # Doubt counts the width; alone it finds fewer of the badly priced books.
                del warnings[flags.index("wide_interval")]
                flags.remove("wide_interval")
            kept: tuple[Flag, ...] = ("little_text", "currency_mismatch")
            for flag, warning in zip(own.flags, own.warnings, strict=False):
                if flag in kept:
                    flags.append(flag)
                    warnings.append(warning)
            # A warning without a flag stands after those with one.
            warnings += own.warnings[len(own.flags) :]
            results.append(
                checked.model_copy(
                    update={
                        "method": "cross_check", "baselines": prices, "comparables": similar[row],
                        "agreement": agreement, "flags": flags, "warnings": warnings,
                    }
                )
            )  # fmt: skip
        return results


def method_title(name: str) -> str:
    """A method's name for a reader."""
    return "language model" if name == LLM else BASELINES[name].title if name in BASELINES else name


def _furthest(prices: Mapping[str, float], price: float, currency: str) -> str:
    """Who is furthest off, and by how much: "Nearest neighbours says $80.00, 2.1 times the price"."""
    distances = {name: np.log(max(value, 0.01) / max(price, 0.01)) for name, value in prices.items()}
    furthest = sorted(distances, key=lambda name: -abs(distances[name]))[:_NAMED]
    return ", ".join(
        f"{method_title(name)} says {format_money(prices[name], currency)}, "
        f"{np.exp(distances[name]):.1f} times the price"
        for name in furthest
    )

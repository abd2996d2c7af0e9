"""Charts of price estimates. Knows distributions and money; knows nothing about books or models."""

from __future__ import annotations

import math
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from ...training.distribution import PriceDistribution
from ...training.estimate import PriceEstimate
from .words import axis_labels, axis_title, money, money_range

# Colours that can be read on a light and on a dark page.
_BARS, _MEDIAN = "#0d9488", "#d97706"
# What lies above is too improbable to make everything else narrower for it.
_SHOWN = 0.99
_WIDTHS, _MOST_BARS = (1, 2, 5, 10, 20, 25), 50


def distribution_chart(estimate: PriceEstimate, height: int = 220) -> alt.LayerChart:
    """Bars of probability over price, the interval shaded, the median marked.

    Raises:
        ValueError: an estimate without a distribution.
    """
    if estimate.distribution is None:
        raise ValueError("this estimate has no distribution to draw")
    bars = _bars(estimate.distribution, estimate.unit, estimate.currency)
    axis = alt.Axis(labelExpr=axis_labels(estimate.currency), grid=False, tickCount=8, labelFlush=False)
    x: dict[str, Any] = {"scale": alt.Scale(domain=[0, bars["to"].max()], nice=False), "axis": axis}
    title = axis_title(estimate.currency)

    layers: list[alt.Chart] = []
    if estimate.low is not None and estimate.high is not None and estimate.coverage is not None:
        ends = {"low": estimate.low, "high": min(estimate.high, bars["to"].max())}
        label = money_range(estimate.low, estimate.high, estimate.currency)
        layers.append(
            alt.Chart(pd.DataFrame([{**ends, "label": label}]))
            .mark_rect(color=_BARS, opacity=0.14)
            .encode(
                x=alt.X("low:Q", title=title, **x),
                x2="high",
                tooltip=alt.Tooltip("label:N", title=f"{estimate.coverage:.0%} interval"),
            )
        )
    layers.append(
        alt.Chart(bars)
        .mark_bar(color=_BARS, binSpacing=1)
        .encode(
            x=alt.X("from:Q", title=title, bin="binned", **x),
            x2="to",
            y=alt.Y("probability:Q", title=None, axis=alt.Axis(format="%", tickCount=4)),
            tooltip=[
                alt.Tooltip("price:N", title="Price"),
                alt.Tooltip("probability:Q", title="Probability", format=".1%"),
            ],
        )
    )
    label = money(estimate.price, estimate.currency)
    median = alt.Chart(pd.DataFrame([{"price": estimate.price, "label": label, "text": f"median {label}"}])).encode(
        x=alt.X("price:Q", title=title, **x), tooltip=alt.Tooltip("label:N", title="Median")
    )
    layers.append(median.mark_rule(color=_MEDIAN, strokeWidth=2))
    layers.append(
        median.mark_text(color=_MEDIAN, align="left", dx=6, dy=-8, fontWeight="bold").encode(
            y=alt.value(0), text="text:N"
        )
    )
    return alt.LayerChart(layer=layers).properties(
        height=height, padding={"top": 18, "left": 0, "right": 12, "bottom": 0}
    )


def _bars(distribution: PriceDistribution, unit: float, currency: str) -> pd.DataFrame:
    """Whole units, as many to a bar as it takes to have few bars; each unit k reaches from k - 1/2 to k + 1/2."""
    top = max(math.ceil(float(distribution.quantile(_SHOWN))), 9)
    width = next(width for width in _WIDTHS if (top + 1) / width <= _MOST_BARS)
    starts = np.arange(0, min(top + 1, len(distribution.probabilities)), width)
    ends = np.minimum(starts + width, len(distribution.probabilities))
    cumulative = np.concatenate([[0.0], np.cumsum(distribution.probabilities)])

    def label(start: int, end: int) -> str:
        first, last = (money(k * unit, currency, cents=unit < 1) for k in (start, end - 1))
        return first if first == last else f"{first} – {last}"

    return pd.DataFrame(
        {
            "from": np.maximum(starts - 0.5, 0) * unit,
            "to": (ends - 0.5) * unit,
            "probability": cumulative[ends] - cumulative[starts],
            "price": [label(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)],
        }
    )

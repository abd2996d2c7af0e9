"""Charts as SVG text: drawn for a phone's width, sharp at any, in the colours of a light or a dark page.

Knows numbers, labels and axes; knows nothing about books. Every text is escaped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

WIDTH = 400
# More points hide each other and make a page heavy; these are drawn by chance.
MOST_POINTS = 1500
# A page that shows a chart holds this once; a file of its own holds it itself.
STYLE = """
svg.chart { font: 12px system-ui, sans-serif; --ink: #334155; --faint: #64748b; --line: #cbd5e1; --mark: #0f766e;
  --other: #b45309; --band: #99f6e4; fill: var(--ink); }
@media (prefers-color-scheme: dark) { svg.chart { --ink: #e2e8f0; --faint: #94a3b8; --line: #334155; --mark: #2dd4bf;
  --other: #fbbf24; --band: #134e4a; } }
svg.chart .grid { stroke: var(--line); stroke-width: 1; fill: none; }
svg.chart .faint { fill: var(--faint); }
svg.chart .band { fill: var(--band); opacity: .6; }
svg.chart .mark { fill: var(--mark); } svg.chart .other { fill: var(--other); } svg.chart .rest { fill: var(--faint); }
svg.chart .line { stroke: var(--mark); stroke-width: 2; fill: none; }
svg.chart .line.other { stroke: var(--other); stroke-dasharray: 5 4; fill: none; }
svg.chart .line.rest { stroke: var(--faint); }
svg.chart .aim { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 2 3; fill: none; }
svg.chart .point { fill: var(--mark); fill-opacity: .45; }
"""
# What no XML file may hold.
_NO_XML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 18.0, 12.0, 40.0


@dataclass(frozen=True)
class Bar:
    """A value with its interval, and what to call it; `kind` is `mark`, `other` or `rest`."""

    label: str
    value: float
    low: float
    high: float
    text: str
    kind: str = "mark"


def scatter(
    actual: ArrayLike, predicted: ArrayLike, names: Sequence[str] = (), *, label: str, unit: str, seed: int = 0
) -> str:
    """Predicted against actual prices, shape (n,) and above 0, on logarithmic axes.

    The line is a perfect prediction, the band holds what is within 20 % of the actual price.

    Args:
        names: what each point says under the pointer.
        label: what the picture shows, for who cannot see it.
        unit: of the prices, on the axes.
    """
    x = np.asarray(actual, dtype=np.float64)
    # A logarithm has no place for a price of nothing.
    y = np.maximum(np.asarray(predicted, dtype=np.float64), min(0.5, x.min()))
    low, high = 0.8 * min(x.min(), y.min()), 1.25 * max(x.max(), y.max())
    side = WIDTH - _LEFT - _RIGHT

    def at(values: ArrayLike) -> NDArray[np.float64]:
        share = np.log(np.clip(values, low, high) / low) / math.log(high / low)
        return np.asarray(side * share)

    parts = []
    for tick in _log_ticks(low, high):
        place = float(at(tick))
        parts += _grid(_LEFT + place, _TOP, _LEFT + place, _TOP + side)
        parts += _grid(_LEFT, _TOP + side - place, _LEFT + side, _TOP + side - place)
        parts.append(_text(_LEFT + place, _TOP + side + 15, f"{tick:,g}", "faint", "middle"))
        parts.append(_text(_LEFT - 6, _TOP + side - place + 4, f"{tick:,g}", "faint", "end"))
    ends = np.geomspace(low, high, 40)
    upper, lower = at(1.2 * ends), at(0.8 * ends)
    edge = [(_LEFT + a, _TOP + side - b) for a, b in zip(at(ends), upper, strict=True)]
    edge += [(_LEFT + a, _TOP + side - b) for a, b in zip(at(ends)[::-1], lower[::-1], strict=True)]
    parts.append(f'<path class="band" d="{_path(edge)}Z"/>')
    parts.append(f'<path class="aim" d="{_path([(_LEFT, _TOP + side), (_LEFT + side, _TOP)])}"/>')
    drawn = np.arange(len(x))
    if len(x) > MOST_POINTS:
        drawn = np.sort(np.random.default_rng(seed).choice(len(x), MOST_POINTS, replace=False))
    for k in drawn.tolist():
        tip = f"<title>{_escape(names[k])}</title>" if names else ""
        parts.append(_circle(_LEFT + float(at(x[k])), _TOP + side - float(at(y[k])), 2.6, "point", tip))
    parts.append(_text(_LEFT + side / 2, _TOP + side + 33, f"actual price, {unit}", "", "middle"))
    parts.append(_text(_LEFT + 8, _TOP + 16, f"predicted price, {unit}", "", "start"))
    return _svg(parts, _TOP + side + _BOTTOM, label)


def reliability(
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    *,
    label: str,
    x_title: str,
    y_title: str,
    band: Sequence[tuple[float, float, float]] = (),
) -> str:
    """Shares that were reached over shares that were promised, both 0–1; on the diagonal a promise is kept.

    Args:
        lines: a name and its points, for the first line and perhaps a second, dashed one.
        band: (promised, low, high): the interval of the first line.
    """
    side = WIDTH - _LEFT - _RIGHT

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return _LEFT + side * point[0], _TOP + side * (1 - point[1])

    parts = []
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        x, y = at((tick, tick))
        parts += _grid(x, _TOP, x, _TOP + side) + _grid(_LEFT, y, _LEFT + side, y)
        parts.append(_text(x, _TOP + side + 15, f"{tick:.0%}", "faint", "middle"))
        parts.append(_text(_LEFT - 6, y + 4, f"{tick:.0%}", "faint", "end"))
    if band:
        edge = [at((x, low)) for x, low, _ in band] + [at((x, high)) for x, _, high in reversed(band)]
        parts.append(f'<path class="band" d="{_path(edge)}Z"/>')
    parts.append(f'<path class="aim" d="{_path([at((0, 0)), at((1, 1))])}"/>')
    for number, (name, points) in enumerate(lines):
        kind = "other" if number else "mark"
        parts.append(f'<path class="line {kind}" d="{_path([at(point) for point in points])}"/>')
        for point in points:
            tip = f"<title>{_escape(name)}: {point[1]:.1%} at {point[0]:.1%}</title>"
            parts.append(_circle(*at(point), 4, kind, tip))
        if len(lines) > 1:
            y = _TOP + 38 + 18 * number
            parts.append(f'<path class="line {kind}" d="{_path([(_LEFT + 10, y - 4), (_LEFT + 34, y - 4)])}"/>')
            parts.append(_text(_LEFT + 40, y, name, "", "start"))
    parts.append(_text(_LEFT + side / 2, _TOP + side + 33, x_title, "", "middle"))
    parts.append(_text(_LEFT + 8, _TOP + 16, y_title, "", "start"))
    return _svg(parts, _TOP + side + _BOTTOM, label)


def bars(
    rows: Sequence[Bar], *, label: str, x_title: str, aim: float | None = None, percent: bool = False, name_width: int
) -> str:
    """A value and its interval a row, on one axis from 0; what would lie far out is cut, and its number stands there.

    Args:
        aim: a value to mark through all rows.
        percent: the axis is 0–1.
        name_width: room for the labels, in pixels of 400.
    """
    row_height, left = 24, float(name_width)
    right = WIDTH - 46.0
    # One method that knows nothing must not squeeze the others into a corner.
    highs = sorted(row.high for row in rows)
    limit = 1.0 if percent else 1.05 * max((h for h in highs if h <= 2.5 * highs[len(highs) // 2]), default=highs[-1])
    limit = limit or 1.0

    def at(value: float) -> float:
        return left + (right - left) * min(value / limit, 1.0)

    height = _TOP + row_height * len(rows)
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1) if percent else _ticks(limit):
        parts += _grid(at(tick), _TOP - 4, at(tick), height)
        parts.append(_text(at(tick), height + 15, f"{tick:.0%}" if percent else f"{tick:,g}", "faint", "middle"))
    if aim is not None:
        parts.append(f'<path class="aim" d="{_path([(at(aim), _TOP - 4), (at(aim), height)])}"/>')
    for number, row in enumerate(rows):
        y = _TOP + row_height * (number + 0.5)
        parts.append(_text(left - 8, y + 4, row.label, "", "end"))
        parts.append(_text(WIDTH - 2, y + 4, row.text, "", "end"))
        if row.value <= limit:
            parts.append(f'<path class="line {row.kind}" d="{_path([(at(row.low), y), (at(row.high), y)])}"/>')
            parts.append(_circle(at(row.value), y, 4.5, row.kind))
        else:
            parts.append(
                f'<path class="{row.kind}" d="{_path([(right - 8, y - 5), (right, y), (right - 8, y + 5)])}Z"/>'
            )
    parts.append(_text((left + right) / 2, height + 33, x_title, "", "middle"))
    return _svg(parts, height + _BOTTOM, label)


def standalone(chart: str) -> str:
    """A chart as a file of its own."""
    head, _, rest = chart.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>{rest}\n'


def _escape(text: str) -> str:
    return escape(_NO_XML.sub("", text))


def _svg(parts: Sequence[str], height: float, label: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{_escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{_escape(text)}</text>'


def _circle(x: float, y: float, radius: float, kind: str, inside: str = "") -> str:
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}">{inside}</circle>'


def _grid(x1: float, y1: float, x2: float, y2: float) -> list[str]:
    return [f'<path class="grid" d="{_path([(x1, y1), (x2, y2)])}"/>']


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each decade, or fewer where they would stand too close."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        gap = min((math.log(b / a) for a, b in pairwise(ticks)), default=1.0) / math.log(high / low)
        if gap * WIDTH > 34:
            return ticks
    return ticks


def _ticks(limit: float) -> list[float]:
    """Round numbers from 0, four to eight of them."""
    raw = limit / 5
    size = 10 ** math.floor(math.log10(raw))
    step = next(step * size for step in (1, 2, 5, 10) if step * size >= raw * 0.8)
    return [round(k * step, 10) for k in range(int(limit / step) + 1)]

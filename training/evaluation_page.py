"""The page of an evaluation: one self-contained HTML file that needs no network and runs no script.

Knows figures and predictions; computes none. The template escapes everything; charts escape their own texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import charts
from .book import Book
from .cleaning import book_content, clean_text
from .evaluation import share_interval
from .evaluation_report import shown_method
from .predictions import Predictions

_TEMPLATE = Path(__file__).with_name("evaluation_page.html")
# As much of a text as tells what the book is, and as much as anyone will read of a miss.
_GLIMPSE, _WHOLE = 240, 2000


def render_page(report: Mapping[str, Any], predictions: Predictions, books: Sequence[Book]) -> str:
    """The page of a report.

    Args:
        report: of `evaluation_report.build_report`.
        predictions: those that the report was built from.
        books: those that the predictions are for, in the same order.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=_number, signed=_signed, share=_share, ratio=_ratio)
    created = datetime.fromisoformat(report["created"]).astimezone(UTC)
    shown = shown_method(predictions)
    order = sorted(report["methods"], key=lambda name: report["methods"][name]["mae"])
    others = [name for name in order if name != shown]
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        report=report,
        methods=report["methods"],
        shown=shown,
        row=report["methods"][shown],
        order=order,
        others=others,
        compared=[shown, *others[:3]],
        verdict=_verdict(report),
        created=f"{created.day} {created:%B %Y, %H:%M} UTC",
        money=_money_name(report),
        drawn=min(len(predictions.actual), charts.MOST_POINTS),
        charts={name: Markup(chart) for name, chart in _charts(report, predictions, shown, others).items()},
        style=Markup(charts.STYLE),
        misses=[_miss(report, predictions, books, shown, row - 1) for row in report["worst"]],
    )


def _charts(report: Mapping[str, Any], predictions: Predictions, shown: str, others: Sequence[str]) -> dict[str, str]:
    """All charts by name, empty where there is nothing to draw."""
    methods, money = report["methods"], _money_name(report)
    order = sorted(methods, key=lambda name: methods[name]["mae"])
    drawn = dict.fromkeys(("other_scatter", "calibration", "bands", "confidence"), "")
    drawn |= {
        "errors": charts.bars(
            [_error_bar(methods[name], "mark" if name == shown else "rest") for name in order],
            label="Mean absolute error of each method", x_title=f"mean absolute error, {money}",
            aim=methods[shown]["mae"], name_width=188,
        )
    }  # fmt: skip
    for place, name in zip(("scatter", "other_scatter"), (shown, *others[:1]), strict=False):
        drawn[place] = charts.scatter(
            predictions.actual, predictions.answers[name].prices, _tips(predictions, name),
            label=f"Predicted against actual prices, {methods[name]['title']}", unit=money,
        )  # fmt: skip
    row, n = methods[shown], report["data"]["books"]
    if curve := row["calibration_curve"]:
        lines = [("calibrated", [(point["level"], point["coverage"]) for point in curve])]
        if curve[0]["uncalibrated"] is not None:
            lines.append(("before calibration", [(point["level"], point["uncalibrated"]) for point in curve]))
        drawn["calibration"] = charts.reliability(
            lines, band=[(p["level"], *share_interval(p["coverage"], n)) for p in curve],
            label="Share of prices that the intervals hold, over the share that they should hold",
            x_title="the interval should hold", y_title="it holds",
        )  # fmt: skip
        drawn["bands"] = charts.bars(
            [_coverage_bar(band, shown) for band in report["bands"]],
            label="Share of prices that the intervals hold, by price", aim=report["coverage"], percent=True,
            x_title=f"share held, by actual price in {money}", name_width=102,
        )  # fmt: skip
    if curve := row["confidence_curve"]:
        drawn["confidence"] = charts.reliability(
            [("within 20 %", [(point["confidence"], point["right"]) for point in curve])],
            label="Share of prices within 20 %, over the confidence that was given",
            x_title="confidence that was given", y_title="prices within 20 %",
        )  # fmt: skip
    return drawn


def _error_bar(row: Mapping[str, Any], kind: str) -> charts.Bar:
    low, high = row["mae_interval"] or (row["mae"], row["mae"])
    return charts.Bar(row["title"], row["mae"], low, high, f"{row['mae']:,.1f}", kind)


def _coverage_bar(band: Mapping[str, Any], name: str) -> charts.Bar:
    share = band["methods"][name]["coverage"]
    low, high = share_interval(share, band["n"])
    return charts.Bar(f"{band['low']:g} – {band['high']:g}", share, low, high, f"{share:.0%}")


def _tips(predictions: Predictions, name: str) -> list[str]:
    prices = zip(predictions.titles, predictions.actual, predictions.answers[name].prices, strict=True)
    return [f"{title}: {actual:,.2f}, predicted {predicted:,.2f}" for title, actual, predicted in prices]


def _miss(
    report: Mapping[str, Any], predictions: Predictions, books: Sequence[Book], shown: str, number: int
) -> dict[str, Any]:
    """One book that the method shown is far off at, and what the others said of it."""
    answers = predictions.answers
    lines = book_content(books[number]).split("\n")
    # The title stands above already.
    if (title := clean_text(predictions.titles[number])) and lines[0].startswith(title):
        lines = lines[1:]
    text = " · ".join(lines)
    interval = answers[shown].intervals.get(predictions.coverage)
    return {
        "title": predictions.titles[number] or "(no title)",
        "actual": float(predictions.actual[number]),
        "price": float(answers[shown].prices[number]),
        "interval": None if interval is None else interval[number].tolist(),
        "others": [(report["methods"][name]["title"], float(a.prices[number])) for name, a in answers.items()
                   if name not in (shown, "random")],
        "glimpse": text[:_GLIMPSE],
        "rest": text[_GLIMPSE:_WHOLE],
        "cut": len(text) > _WHOLE,
    }  # fmt: skip


def _verdict(report: Mapping[str, Any]) -> dict[str, list[str]] | None:
    """Which methods are worse than the model, better, or neither beyond doubt; None without a model."""
    if not report["reference"]:
        return None
    found: dict[str, list[str]] = {"worse": [], "better": [], "open": []}
    for row in report["methods"].values():
        interval = row["mae_difference_interval"]
        if row["mae_difference"] is None:
            continue
        kind = "worse" if interval and interval[0] > 0 else "better" if interval and interval[1] < 0 else "open"
        found[kind].append(row["title"])
    return found


def _money_name(report: Mapping[str, Any]) -> str:
    return report["currency"] if report["unit"] == 1 else f"{report['unit']:,g} {report['currency']}"


def _number(value: float | None, digits: int = 2) -> str:
    # Adding 0 makes 0 of a rounded -0.
    return "–" if value is None else f"{round(value, digits) + 0.0:,.{digits}f}".replace("-", "−")


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+,.2f}".replace("-", "−")


def _share(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}%}".replace("%", " %")


def _ratio(value: float, reference: float) -> str:
    """How many times too much or too little."""
    times = max(value, 0.01) / max(reference, 0.01)
    return f"{times:.1f} × too high" if times > 1 else f"{1 / times:.1f} × too low"

"""Puts the figures of benchmarks into the pages of docs/, with a chart of the speeds.

    python tests/bench/run.py scoring && python tests/bench/pages.py scoring

takes the new result into `docs/results/`, whose files the pages show; without names they are written from those.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from bookpricer.training.baselines.report import with_block

ROOT = Path(__file__).resolve().parents[2]
DOCS, NEW = ROOT / "docs", ROOT / "tests" / "bench" / "results"
RESULTS = DOCS / "results"
WAYS = {
    "loop": "`generate()`, one book at a time",
    "pipeline": "`pipeline`, batches of 32",
    "bare": "bare forward pass, no padding",
    "scoring": "Book Pricer",
}
STEPS = {
    "sorted batches": "sorted by length, batches by tokens",
    "shared beginning": "what all prompts begin with, once",
    "last token in the last layer": "in the last layer the last token only",
    "bf16": "bfloat16 products (all steps: what is used)",
    "int8 instead of bf16": "int8 in the place of bfloat16 (not used)",
}


def load(name: str) -> dict[str, Any]:
    """A result file's figures."""
    figures: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))["figures"]
    return figures


def speed_table(figures: dict[str, Any]) -> str:
    """Books a second, and what each step gave."""
    lines = ["| | books/s | Book Pricer is |", "|---|---:|---:|"]
    for name, title in WAYS.items():
        times = f"{figures[f'times_{name}']:.1f} times as fast" if name != "scoring" else ""
        lines.append(f"| {title} | {figures[name]:.0f} | {times} |")
    lines += [
        "",
        f"Medians of turns on {figures['books']} books of {figures['tokens']:.0f} tokens, on {figures['threads']} "
        f"threads of an {figures['processor']}.",
        "",
        "| step, on top of the ones above | books/s | prices within half a dollar |",
        "|---|---:|---:|",
    ]
    for name, title in STEPS.items():
        step = figures["steps"][name]
        lines.append(f"| {title} | {step['rate']:.0f} | {step['agree']:.0%} |")
    return "\n".join(lines)


def coverage_table(figures: dict[str, Any]) -> str:
    """What the intervals hold, and how wide they are."""
    lines = ["| 80 % intervals | hold | mean width |", "|---|---:|---:|"]
    for name, row in figures["intervals"].items():
        lines.append(f"| {name} | {row['coverage']:.1%} | ${row['width']:.1f} |")
    bands = "; ".join(
        f"${band}: {row['coverage']:.0%} of {row['books']}" for band, row in figures["coverage_by_price"].items()
    )
    lines += [
        "",
        f"Means over {figures['halves']} random halves of {figures['books']} held-out books, whose median price is "
        f"${figures['median_price']:.0f}. By price the calibrated intervals of the model hold: {bands}.",
    ]
    return "\n".join(lines)


def cross_check_table(figures: dict[str, Any]) -> str:
    """Errors of the blend and of its parts, and what the flags find."""
    from bookpricer.chains.cross_check import method_title

    row = figures["with_llm"]
    low, high = row["mae_interval"]
    lines = [
        "| method | mean absolute error | the cross-check's, less that |",
        "|---|---:|---:|",
        f"| **cross-check** | **{row['mae']:.2f}** ({low:.1f} – {high:.1f}) | |",
    ]
    for name, error in sorted(row["parts"].items(), key=lambda item: item[1]):
        low, high = row["paired_difference"][name]
        title = "geometric mean of all below" if name == "mean of the parts" else method_title(name)
        lines.append(f"| {title} | {error:.2f} | {low:+.2f} to {high:+.2f} |")
    low, high = row["bad_ratio_interval"]
    lines += [
        "",
        f"{figures['books']:,} books; in brackets and in the last column 95 % intervals by the (paired) bootstrap over "
        f"books. Intervals of 80 % hold {row['coverage']:.1%}. The language model's weight in the blend: "
        f"{row['llm_weights'][1]:.2f} on average, at most {row['llm_weights'][2]:.1f}.",
        "",
        f"Flagged are {row['flagged']:.1%} of the books. Of those {row['bad_among_flagged']:.1%} are off by more than "
        f"100 % of the price, of the others {row['bad_among_others']:.1%}: **{row['bad_ratio']:.1f} times as many** "
        f"({low:.1f} to {high:.1f}). That is {row['flagged'] * row['bad_among_flagged'] / row['bad']:.0%} of all such "
        "books: a flag says where to look first, its absence does not say that a price is right.",
    ]
    return "\n".join(lines)


# Result file -> the page that shows it, and how.
TABLES = {
    "scoring": ("scoring.md", speed_table),
    "calibration": ("scoring.md", coverage_table),
    "cross_check": ("cross-check.md", cross_check_table),
}


def page_of(name: str) -> tuple[Path, str]:
    """The page that shows a result file, and its text with the table written anew."""
    file, table = TABLES[name]
    begin, end = f"<!-- {name}: written by tests/bench/pages.py -->", f"<!-- end of {name} -->"
    page = DOCS / file
    return page, with_block(page.read_text(encoding="utf-8"), table(load(name)), begin, end)


def draw(figures: dict[str, Any], path: Path) -> None:
    """A bar for each way."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "scoring"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 2.2), layout="constrained")
    colours = ["#94a3b8"] * (len(WAYS) - 1) + ["#0d9488"]
    titles = [title.replace("`", "") for title in WAYS.values()]
    bars = axes.barh(titles, [figures[name] for name in WAYS], color=colours)
    axes.bar_label(bars, fmt="%.0f", padding=4)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel("books per second")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def main(names: list[str]) -> None:
    """Take the named results over, and write the pages and the chart."""
    for name in names:
        shutil.copy(NEW / f"{name}.json", RESULTS / f"{name}.json")
    for name in TABLES:
        page, text = page_of(name)
        page.write_text(text, encoding="utf-8")
    draw(load("scoring"), RESULTS / "scoring.svg")


if __name__ == "__main__":
    main(sys.argv[1:])

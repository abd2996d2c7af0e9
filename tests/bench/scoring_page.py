"""Puts the figures of bench_scoring.py and bench_calibration.py into docs/scoring.md, with a chart.

    python tests/bench/run.py scoring && python tests/bench/scoring_page.py scoring

takes the new result into `docs/results/`, whose files the page shows; without names the page is written from those.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE, RESULTS, NEW = ROOT / "docs" / "scoring.md", ROOT / "docs" / "results", ROOT / "tests" / "bench" / "results"
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


TABLES = {"scoring": speed_table, "calibration": coverage_table}


def with_tables(page: str) -> str:
    """The page with its blocks written anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: written by tests/bench/scoring_page.py -->", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{table(load(name))}\n{end}{rest.partition(end)[2]}"
    return page


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
    """Take the named results over, and write the page and the chart."""
    for name in names:
        shutil.copy(NEW / f"{name}.json", RESULTS / f"{name}.json")
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    draw(load("scoring"), RESULTS / "scoring.svg")


if __name__ == "__main__":
    main(sys.argv[1:])

"""The table of a results file, in Markdown, and the block of a page that holds it.

`python -m bookpricer.training.baselines.report docs/results/baselines.json docs/baselines.md` writes the block anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError

BEGIN, END = "<!-- table: written by bookpricer.training.baselines.report -->", "<!-- end of table -->"
# Mean absolute errors that the method's authors published for their own sample of Amazon-Reviews-2023, in dollars.
PUBLISHED = {"random": 423.71, "linear_regression": 52.94, "word2vec": 50.94, "hist_gradient_boosting": 50.74}


def markdown_table(results: Mapping[str, Any]) -> str:
    """A row for each method of `results.json`, beside the published figure where there is one."""
    lines = [
        "| Method | MAE | 95 % interval | Median error | RMSLE | R² | Hit rate | MAE as published, other data |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, row in results["methods"].items():
        interval = "{:.1f} – {:.1f}".format(*row["mae_interval"]) if row["mae_interval"] else ""
        r2 = "" if row["r2"] is None else f"{row['r2']:.2f}"
        published = f"{PUBLISHED[name]:.2f}" if name in PUBLISHED else ""
        lines.append(
            f"| {row['title']} | {row['mae']:.2f} | {interval} | {row['median_ae']:.2f} "
            f"| {row['rmsle']:.3f} | {r2} | {row['hit_rate']:.0%} | {published} |"
        )
    books = results["books"]
    lines += ["", f"Fitted on {books['train']:,} books, measured on {books['test']:,} others."]
    return "\n".join(lines)


def with_table(page: str, results: Mapping[str, Any]) -> str:
    """The page with its block written anew.

    Raises:
        InputError: it has no such block.
    """
    return with_block(page, markdown_table(results), BEGIN, END)


def with_block(page: str, text: str, begin: str, end: str) -> str:
    """The page with `text` in the place of what stands between the marks `begin` and `end`.

    Raises:
        InputError: it has no such block.
    """
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise InputError(f"the page has no block from {begin} to {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def main(results: str, page: str) -> None:
    """Write the block of `page` from the results file."""
    text = with_table(Path(page).read_text(encoding="utf-8"), json.loads(Path(results).read_text(encoding="utf-8")))
    Path(page).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

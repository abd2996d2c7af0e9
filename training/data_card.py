"""The data card of a prepared data set: README.md, whose header tells `datasets` where the splits are.

Knows the report of `prepare`; knows nothing about books.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from .errors import InputError
from .publishing.hub import hub_errors

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def write_card(folder: Path, report: Mapping[str, Any]) -> None:
    """Write README.md from a report of `prepare`."""
    (folder / "README.md").write_text(build_card(report), encoding="utf-8")


def build_card(report: Mapping[str, Any]) -> str:
    """The text of the card."""
    size = next((name for limit, name in _SIZES if report["books"] < limit), "1M<n<10M")
    header = {
        "pretty_name": f"Priced books from {report['source']}",
        "tags": ["book-pricer"],
        "size_categories": [size],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": f"data/{split}-*.parquet"}
                    for split, books in report["splits"].items()
                    if books
                ],
            }
        ],
    }
    settings = report["settings"]
    unit = "" if report["unit"] == 1 else f"{report['unit']:g} "
    example = report["examples"][0] if report["examples"] else {"prompt": "", "completion": ""}
    fence = "````"
    return f"""---
{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---

# Priced books from {report["source"]}

Made by `bookpricer prepare`. One unit of price is {unit}{report["currency"]}. Contents are cut to
{settings["content_tokens"]} tokens; books with not more than {settings["min_tokens"]} tokens before the cut were left
out (0: none). Splits are by title and author, seed {settings["seed"]}: all editions of a work are in one.
{_balancing(report)}
{_table(("Split", "Books"), report["splits"].items())}

Each row is a whole book (its uncut texts without the prices they mention, `details` as JSON), its `price` and its
price in `units`, the number of `tokens` of its content before the cut, and the `prompt` and `completion` that a model
is trained on:

{fence}
{example["prompt"]}{example["completion"]}
{fence}

## How it was made

{report["rows"]:,} records were read.

{_table(("Left out", "Records"), left_out(report))}

{_table(("Cleaned", "Books", "Places"), ((rule, n["books"], n["places"]) for rule, n in report["cleaned"].items()))}

{_table(("Column", "Read as"), report["columns"].items())}

{_histogram("Tokens", report["histograms"]["tokens"])}

{_histogram("Price in units", report["histograms"]["price_units"])}
"""


def left_out(report: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Each rule that takes records and how many it took, in the order of the rules."""
    rows = [*report["rejected"].items(), *report["duplicates"].items()]
    return [*rows, ("balancing of prices", report["balanced_out"])] if report["settings"]["balance"] else rows


def histogram_rows(histogram: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """The bins of a histogram: `("20 – 40", before, after)`."""
    edges = [f"{edge:g}" for edge in histogram["edges"]]
    names = [*(f"{low} – {high}" for low, high in pairwise(edges)), f"{edges[-1]} –"]
    return list(zip(names, histogram["before"], histogram["after"], strict=True))


def push_to_hub(folder: Path, repository: str, *, private: bool = True) -> None:
    """Push a prepared folder, its card and its report to the hub.

    Raises:
        InputError: the hub cannot be reached or refuses.
    """
    try:
        import datasets
        from huggingface_hub import HfApi
    except ImportError as error:
        raise InputError("pushing needs the extra 'train': pip install 'bookpricer[train]'") from error
    import tempfile

    with hub_errors(f"{folder} is whole but could not be pushed to {repository}"):
        with tempfile.TemporaryDirectory(prefix="bookpricer-") as cache:
            # Without the columns' types in memory: Parquet files are mapped, not read.
            datasets.load_dataset(str(folder), cache_dir=cache).push_to_hub(repository, private=private)
        for name in ("README.md", "report.json"):
            HfApi().upload_file(
                path_or_fileobj=folder / name, path_in_repo=name, repo_id=repository, repo_type="dataset"
            )  # fmt: skip


def _balancing(report: Mapping[str, Any]) -> str:
    if not report["settings"]["balance"]:
        return ""
    return (
        "\nThe training part is balanced: at most 2,000 books a bucket of one unit under 50, all from 50 up, chosen by "
        f"the same seed; {report['balanced_out']:,} were left out.\n"
    )


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in rows:
        cells = (f"{cell:,}" if isinstance(cell, int) else str(cell).replace("|", "\\|") for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _histogram(title: str, histogram: Mapping[str, Any]) -> str:
    return _table((title, "Before", "After"), histogram_rows(histogram))

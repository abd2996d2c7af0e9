"""Reads the authored words and numbers: the JSON files under `data/`, pure data, part of the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


def load(name: str, *, missing_ok: bool = False) -> dict[str, Any]:
    """The content of a data file; `{}` where it may be missing and is."""
    path = DATA / name
    if missing_ok and not path.is_file():
        return {}
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def items(text: str, separator: str = ";") -> tuple[str, ...]:
    """A list as the files write it: items parted by semicolons."""
    return tuple(item for item in (part.strip() for part in text.split(separator)) if item)

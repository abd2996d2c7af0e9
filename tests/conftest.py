"""What every test relies on: no model hub, and the optional data folder."""

import os
from pathlib import Path

# Before any test imports a library that reads them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository root, which is the package itself."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Optional data that is not ours to publish: real books in `data/`, the Llama 3 tokenizer in `tokenizers/`."""
    folder = Path(os.environ.get("BOOKPRICER_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir() and not (folder / "tokenizers").is_dir():
        pytest.skip(f"needs the optional data folder {folder} (set BOOKPRICER_SHARED to name another)")
    return folder

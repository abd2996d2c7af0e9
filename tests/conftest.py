"""What every test relies on: no model hub, the optional data folder, a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Before any test imports a library that reads them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)  # fmt: skip


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


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium without a window."""
    api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("needs chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()

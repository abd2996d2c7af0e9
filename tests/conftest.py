"""What every test relies on: no model hub, the optional data folder, a browser."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="session")
def llama_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Starts llama.cpp's server on a pricer, as a process of its own, and gives its address; one for each pricer."""
    started: dict[str, tuple[subprocess.Popen, str]] = {}

    def start(name: str) -> str:
        if name not in started:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            log = tmp_path_factory.mktemp("llama") / "log.txt"
            command = [sys.executable, str(ROOT / "tests" / "llama_server.py"), name, str(port)]
            with log.open("w") as stream:
                process = subprocess.Popen(command, stdout=stream, stderr=stream)
            started[name] = process, f"http://127.0.0.1:{port}/v1"
            deadline = time.monotonic() + 300
            while "http" not in (text := log.read_text()) or not _answers(port):
                assert process.poll() is None and time.monotonic() < deadline, text[-2000:]
                time.sleep(0.2)
        return started[name][1]

    yield start
    for process, _ in started.values():
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False

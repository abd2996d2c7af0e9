"""The front end as a user has it: the real command line, a real server, a real browser."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("streamlit")
playwright_api = pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.slow

# Loading the model takes a while on a slow machine.
PATIENCE_MS = 120_000


@pytest.fixture(scope="module")
def model() -> str:
    return os.environ.get("BOOKPRICER_TEST_MODEL", "embedded")


@pytest.fixture(scope="module")
def address(model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the front end answers; it runs outside of the repository, as it does once installed."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("ui")
    log = folder / "log.txt"
    code = "from bookpricer.ui.cli import main; main()"
    arguments = ["ui", "--no-browser", "--port", str(port), "--model", model]
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], cwd=folder, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, "BOOKPRICER_MEMORY": str(folder / "memory.sqlite")},
        )  # fmt: skip
    try:
        wait_for(server, f"http://localhost:{port}/_stcore/health", log)
        yield f"http://localhost:{port}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(server: subprocess.Popen, url: str, log: Path) -> None:
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"the server did not answer: {log.read_text()}")


@pytest.fixture(params=[(1280, 800, "light"), (420, 900, "dark")], ids=["wide-light", "narrow-dark"])
def window(
    request: pytest.FixtureRequest, browser: "playwright_api.Browser", address: str
) -> Iterator["playwright_api.Page"]:
    """An empty window; no test may leave an error in the console, or load from elsewhere."""
    width, height, scheme = request.param
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE_MS)
    errors, elsewhere = [], []
    # Opened at another page than the first, Streamlit looks for its server beside that page before it finds it.
    page.on(
        "console",
        lambda message: (
            errors.append(message.text)
            if message.type == "error" and "/_stcore/" not in message.location.get("url", "")
            else None
        ),
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda sent: elsewhere.append(sent.url) if not is_local(sent.url, address) else None)
    yield page
    text = page.inner_text("body")
    page.close()
    assert "Traceback" not in text
    assert errors == []
    assert elsewhere == []


@pytest.fixture
def page(window: "playwright_api.Page", address: str) -> "playwright_api.Page":
    """The page for one book once the model is loaded."""
    window.goto(f"{address}/one-book")
    window.get_by_text("The price will appear here").wait_for()
    return window


def is_local(url: str, address: str) -> bool:
    return url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))


def test_a_described_book_gets_price_chart_and_comparison(page: "playwright_api.Page") -> None:
    page.get_by_label("Title", exact=True).fill("The Salt Road <b>x</b> $1$ **y**")
    page.get_by_label("Description").fill("An illustrated history of the caravans that carried salt across the desert.")
    page.get_by_role("spinbutton", name="Pages").fill("320")
    page.get_by_role("button", name="Price this book").first.click()
    page.get_by_test_id("stMetric").get_by_text("Price", exact=True).wait_for()
    assert page.get_by_test_id("stMetricValue").first.inner_text().startswith("$")
    chart = page.get_by_test_id("stVegaLiteChart").locator("svg, canvas").first
    chart.wait_for()
    assert chart.bounding_box()["width"] > 200
    page.get_by_test_id("stDataFrame").locator("canvas").first.wait_for()
    page.get_by_text("What the model read").click()
    page.get_by_test_id("stCode").get_by_text("320 pages").wait_for()
    # The title stands as it was typed, and nothing is wider than the screen.
    assert page.get_by_test_id("stText").first.inner_text() == "The Salt Road <b>x</b> $1$ **y**"
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth - main.clientWidth") <= 0


def test_the_example_is_filled_in_and_priced(page: "playwright_api.Page") -> None:
    page.get_by_role("button", name="Example").first.click()
    playwright_api.expect(page.get_by_label("Author")).to_have_value("Ingrid Solveig Maar")
    page.get_by_role("button", name="Price this book").first.click()
    page.get_by_text("80 of 100 such books cost between").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Estimate as JSON").click()
    assert '"coverage": 0.8' in Path(download.value.path()).read_text()


def test_errors_are_told_as_they_are(page: "playwright_api.Page") -> None:
    page.get_by_role("tab", name="Paste a listing").click()
    page.get_by_role("textbox", name="Listing").fill('{"title": "x"')
    page.get_by_role("button", name="Price this book").last.click()
    page.get_by_text("The listing starts like JSON but is none (").wait_for()


def test_a_conversation_and_then_a_catalogue(window: "playwright_api.Page", address: str, tmp_path: Path) -> None:
    page, shots = window, os.environ.get("BOOKPRICER_SCREENSHOTS")

    def shoot(name: str) -> None:
        if shots:
            page.screenshot(path=str(Path(shots) / f"{name}-{page.viewport_size['width']}.png"))

    page.goto(address)
    page.get_by_text("Ask what a book is worth").wait_for()
    shoot("1-invitation")
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill("The Salt Road\nby Ann Reed. Paperback, 320 pages.\nCaravans carried salt across the desert.")
    box.press("Enter")
    page.get_by_text("of 100 such books cost between").first.wait_for()
    assert page.get_by_test_id("stMetricValue").first.inner_text().startswith("$")
    page.get_by_text("Cross-checked the price").first.click()
    page.get_by_text("The tool's answer").first.wait_for()
    shoot("2-priced")
    box.fill("and as a hardcover?")
    box.press("Enter")
    playwright_api.expect(page.get_by_test_id("stMetricValue")).to_have_count(6)
    page.wait_for_timeout(500)
    shoot("3-follow-up")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.reload()
    page.get_by_text("and as a hardcover?").wait_for()

    page.goto(f"{address}/catalogue")
    small = tmp_path / "books.csv"
    small.write_text("Book title,Blurb,RRP\nEmma,A match is made.,9\nThe Salt Road,Caravans and salt.,20\n,,\n")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(small)
    page.get_by_role("button", name="Price this catalogue").click()
    page.get_by_text("2 of 3 rows are priced").wait_for()
    shoot("4-catalogue")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the priced catalogue").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0].startswith("Book title,Blurb,RRP,price_estimate") and len(lines) == 4

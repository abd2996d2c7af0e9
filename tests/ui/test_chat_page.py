"""The assistant's and the catalogue's pages, run by Streamlit without a browser."""

import io
import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("streamlit")

from streamlit.testing.v1 import AppTest

LISTING = (
    "The Salt Road <b>x</b> $1$ **y**\nby Ann Reed. Paperback, 320 pages.\nCaravans carried salt across the desert."
)


@pytest.fixture
def open_page(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Opens a page as it first appears."""
    model = os.environ.get("BOOKPRICER_TEST_MODEL", "embedded")
    monkeypatch.setenv("BOOKPRICER_MEMORY", str(tmp_path / "memory.sqlite"))
    monkeypatch.delenv("BOOKPRICER_CHAT_MODEL", raising=False)

    def open_(page: str = "assistant", **query: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", ["app.py", "--model", model, "--page", page])
        app = AppTest.from_file(str(root / "ui" / "app.py"), default_timeout=180)
        app.query_params.update(query)
        app.run()
        assert not app.exception
        return app

    return open_


def say(app: AppTest, text: str) -> AppTest:
    app.chat_input[0].set_value(text).run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    return "\n".join(element.value for element in app.markdown).replace("\\", "")


def test_a_conversation_with_card_steps_and_memory(open_page):
    app = open_page()
    assert "Ask what a book is worth" in words(app)
    say(app, LISTING)
    metrics = {metric.label: metric.value.replace("\\", "") for metric in app.metric}
    assert metrics["Price"].startswith("$") and "–" in metrics["80% interval"]
    assert [status.label for status in app.status] == ["Cross-checked the price"]
    assert "80 of 100 such books cost between" in words(app) and "Comparable books" in words(app)
    assert ["Comparable book" in frame.value.columns for frame in app.dataframe] == [True]
    say(app, "and as a hardcover?")
    assert len([metric for metric in app.metric if metric.label == "Price"]) == 2
    assert len(app.chat_message) == 4
    # A reload with the same address finds the conversation again, in another session.
    thread = app.query_params["chat"]
    again = open_page(chat=thread[0] if isinstance(thread, list) else thread)
    assert len(again.chat_message) == 4 and "Hardcover" in words(again)


def test_what_a_stranger_wrote_is_shown_as_it_is(open_page):
    app = say(open_page(), LISTING)
    assert all("<b>" not in element.value.replace("\\<b", "") for element in app.markdown)
    assert any(text.value == LISTING for text in app.text)


def test_an_example_is_asked_with_a_button_and_a_new_conversation_begins(open_page):
    app = open_page()
    app.button(key="example_0").click().run()
    assert not app.exception and any("Roman history" in text.value for text in app.text)
    next(button for button in app.button if button.label == "New conversation").click().run()
    assert not app.chat_message and "Ask what a book is worth" in words(app)


def test_a_chat_model_that_cannot_be_had_is_one_sentence(open_page, monkeypatch):
    app_model = "nobody:knows"
    import bookpricer.ui.views.chat  # noqa: F401

    monkeypatch.setenv("BOOKPRICER_CHAT_MODEL", app_model)
    monkeypatch.setattr(sys, "argv", ["app.py", "--page", "assistant"])
    root = Path(__file__).resolve().parents[2]
    app = AppTest.from_file(str(root / "ui" / "app.py"), default_timeout=180).run()
    assert not app.exception and "cannot be used" in app.error[0].value.replace("\\", "")


def test_the_catalogue_page_waits_for_a_file(open_page):
    app = open_page("catalogue")
    assert app.title[0].value == "Price a catalogue" and not app.button


def test_a_catalogue_is_priced_and_what_is_wrong_is_told(chain_like):
    from bookpricer.ui.views.catalogue import _price

    report, priced = _price(chain_like, "mine.csv", b"Book title,Blurb\nEmma,A match is made.\n,\n")
    assert (report.rows, report.priced) == (2, 1)
    assert b"price_estimate" in io.BytesIO(priced).readline()


@pytest.fixture(scope="module")
def chain_like():
    from bookpricer import PricingChain

    return PricingChain.from_pretrained(os.environ.get("BOOKPRICER_TEST_MODEL", "embedded"))

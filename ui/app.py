"""The front end: its pages and the one chain they share. Run it with `bookpricer ui`.

Streamlit runs this file as a script, with the model's name in its arguments: `streamlit run app.py -- --model NAME`.
Knows pages and how to load the chain; what a page shows is the page's own business.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from bookpricer.ui.views import catalogue, chat, one_book

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    from bookpricer.chains.conversation import Conversation
    from bookpricer.chains.pricing import PricingChain

# Where conversations are remembered; none are kept after the server ends where it names no writable place.
MEMORY_VARIABLE = "BOOKPRICER_MEMORY"
_DEFAULT_MEMORY = Path.home() / ".local" / "share" / "bookpricer" / "conversations.sqlite"

# Ours and constant: Streamlit leaves a hand's breadth free above every page, which hides the price on a small screen.
_STYLE = """<style>
.block-container { padding-top: 4.25rem; padding-bottom: 2rem; max-width: 1280px; }
h1 { font-size: 2rem !important; padding: 0 0 0.5rem !important; }
[data-testid="stText"] { overflow-wrap: anywhere; }
[data-testid="stMetricValue"] { font-size: 1.6rem; }
.st-key-book [data-testid="stText"] { font-size: 1.1rem; font-weight: 600; }
.st-key-price [data-testid="stMetricValue"] { font-size: 2.75rem; font-weight: 600; line-height: 1.1; }
@media (max-width: 640px) {
  .block-container { padding-left: 1rem; padding-right: 1rem; }
  [data-testid="stMetricValue"] { font-size: 1.25rem; }
  .st-key-price [data-testid="stMetricValue"] { font-size: 2.1rem; }
}
</style>"""


@st.cache_resource(show_spinner="Loading the model …")
def load_chain(model: str) -> PricingChain:
    """The chain of a model, one for all sessions; imported here, so that the page is there before the libraries."""
    from bookpricer.chains.pricing import PricingChain

    return PricingChain.from_pretrained(model)


@st.cache_resource(show_spinner="Loading the assistant …")
def load_agent(model: str, chat_model: str | None) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The pricing agent over the chain of a model, one for all sessions."""
    from bookpricer.chains.agent import pricing_agent

    return pricing_agent(chat_model, load_chain(model), checkpointer=open_memory())


def open_memory() -> BaseCheckpointSaver[Any]:
    """SQLite in the file that the environment names, or in the user's own; in memory where that cannot be."""
    import sqlite3

    path = Path(os.environ.get(MEMORY_VARIABLE) or _DEFAULT_MEMORY).expanduser()
    try:
        from langgraph.checkpoint.sqlite import SqliteSaver

        path.parent.mkdir(parents=True, exist_ok=True)
        # One connection for all sessions' threads; the saver has its own lock.
        saver = SqliteSaver(sqlite3.connect(path, check_same_thread=False))
        saver.setup()
        return saver
    except (ImportError, OSError, sqlite3.Error) as error:
        logging.getLogger(__name__).warning("conversations are not kept after this run: %s", error)
        from langgraph.checkpoint.memory import InMemorySaver

        return InMemorySaver()


def main() -> None:
    """Draw the page that the address names."""
    arguments = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    arguments.add_argument("--model", default="embedded")
    arguments.add_argument("--page", default="assistant", help="The first page.")
    given = arguments.parse_known_args()[0]
    model, first = given.model, given.page
    chat_model = os.environ.get("BOOKPRICER_CHAT_MODEL") or None

    def conversation(thread: str) -> Conversation:
        from bookpricer.chains.conversation import Conversation

        return Conversation(load_agent(model, chat_model), thread)

    def assistant_page() -> None:
        chat.show(conversation, chat_model)

    def catalogue_page() -> None:
        catalogue.show(lambda: load_chain(model))

    def one_book_page() -> None:
        one_book.show(lambda: load_chain(model))

    st.set_page_config(page_title="Book Pricer", page_icon="📖", layout="wide")
    st.html(_STYLE)
    pages = [
        st.Page(page, title=title, icon=f":material/{icon}:", url_path=path, default=path == first)
        for page, title, icon, path in (
            (assistant_page, "Assistant", "forum", "assistant"),
            (one_book_page, "One book", "sell", "one-book"),
            (catalogue_page, "Catalogue", "table", "catalogue"),
        )
    ]
    st.navigation(pages, position="top").run()


main()

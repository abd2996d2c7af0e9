"""The front end: its pages and the one chain they share. Run it with `bookpricer ui`.

Streamlit runs this file as a script, with the model's name in its arguments: `streamlit run app.py -- --model NAME`.
Knows pages and how to load the chain; what a page shows is the page's own business.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import streamlit as st

from bookpricer.ui.views import one_book

if TYPE_CHECKING:
    from bookpricer.chains.pricing import PricingChain

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


def main() -> None:
    """Draw the page that the address names."""
    arguments = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    arguments.add_argument("--model", default="embedded")
    model = arguments.parse_known_args()[0].model

    def one_book_page() -> None:
        one_book.show(lambda: load_chain(model))

    st.set_page_config(page_title="Book Pricer", page_icon="📖", layout="wide")
    st.html(_STYLE)
    pages = [
        st.Page(one_book_page, title="One book", icon=":material/sell:", url_path="one-book", default=True),
    ]
    st.navigation(pages, position="top").run()


main()

"""The page that prices one book. Knows forms and cards; every price comes from the chain it is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from ...training.book import Book
from ...training.columns import to_book
from ...training.errors import BookPricerError, InputError
from ...training.estimate import CLOSE, DEFAULT_COVERAGE, PriceEstimate
from .charts import distribution_chart
from .words import FLAG_LABELS, money, money_range, plain, sentence

if TYPE_CHECKING:
    from ...chains.pricing import PricingChain

UNKNOWN = "Unknown"
FORMATS = (
    "Hardcover", "Paperback", "Mass Market Paperback", "Kindle Edition", "Audio CD", "Board book", "Spiral-bound",
    "Leather Bound", "Library Binding", "Box set",
)  # fmt: skip
CONDITIONS = ("New", "Like new", "Very good", "Good", "Acceptable", "Poor")
COMPARED_FORMATS = ("Hardcover", "Paperback", "Mass Market Paperback", "Kindle Edition", "Audio CD")

# Invented. Keys are those of the form's fields.
EXAMPLE: dict[str, Any] = {
    "title": "The Tide Cartographers: A History of Mapping the Northern Seas",
    "author": "Ingrid Solveig Maar",
    "description": (
        "For four centuries, sailors, monks and spies drew the coasts of the northern seas by hand, and guarded their "
        "charts like treasure. Drawing on archives in six countries, this richly illustrated history follows the "
        "people who measured the tides, from the first portolan charts to the sonar surveys of the last century. "
        "With 140 maps in full colour, a chronology, notes and an index. Winner of the Harbour Prize for maritime "
        "history."
    ),
    "format": "Hardcover",
    "pages": 416,
    "publisher": "Lantern Quay Press",
    "year": 2019,
    "condition": "Very good",
    "categories": "History, Maritime History, Cartography",
}
EXAMPLE_LISTING = (
    f"{EXAMPLE['title']}\n"
    f"by {EXAMPLE['author']}. Hardcover, {EXAMPLE['pages']} pages, {EXAMPLE['publisher']}, {EXAMPLE['year']}.\n"
    f"{EXAMPLE['description']}"
)
_EMPTY: dict[str, Any] = {
    **dict.fromkeys(EXAMPLE, ""), "format": UNKNOWN, "condition": UNKNOWN, "pages": None, "year": None
}  # fmt: skip

_DEMONSTRATION = "demonstration model"


def show(get_chain: Callable[[], PricingChain]) -> None:
    """Draw the page; the chain is asked for once the form is there."""
    st.title("What is this book worth?", anchor=False)
    asking, answering = st.columns([5, 6], gap="medium")
    with asking:
        _ask()
    with answering:
        try:
            chain = get_chain()
            asked: Book | str | None = st.session_state.get("asked")
            if asked is None:
                _invite(chain)
            else:
                _answer(chain, read_listing(asked) if isinstance(asked, str) else asked)
        except BookPricerError as error:
            st.error(sentence(error), icon=":material/error:")


def read_listing(text: str) -> Book:
    """The book of a pasted listing: a record where it is a JSON object, plain words otherwise.

    Raises:
        InputError: it starts like JSON but cannot be read as one book.
    """
    if not text.lstrip().startswith("{"):
        return Book.from_text(text)
    try:
        return to_book(json.loads(text))
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(map(str, problem["loc"]))
        raise InputError(f"the field {field!r} cannot be read: {problem['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"the listing starts like JSON but is none ({error}); correct it") from error


@st.cache_data(
    max_entries=100,
    show_spinner="Pricing …",
    hash_funcs={Book: Book.model_dump_json, "bookpricer.chains.pricing.PricingChain": id},
)
def price(chain: PricingChain, books: tuple[Book, ...], coverage: float) -> list[PriceEstimate]:
    """The chain's estimates of some books in one batch; kept, since every touch of the page runs it again."""
    parser = chain.parser.model_copy(update={"coverage": coverage})
    return chain.model_copy(update={"parser": parser}).batch(list(books))


def _ask() -> None:
    """The two ways to describe a book; what is sent stays in the session as `asked`."""
    fields, listing = st.tabs(["Describe the book", "Paste a listing"])
    with fields, st.form("book_form", border=False):
        book = _fields()
        if _buttons("book", EXAMPLE, _EMPTY):
            st.session_state["asked"] = book
    with listing, st.form("listing_form", border=False):
        text = st.text_area(
            "Listing",
            key="listing_text",
            height=330,
            placeholder='A listing in any words, its title on the first line\n\nor JSON: {"title": "…", "format": "…"}',
            help="A JSON record may use any common column names, such as binding, blurb or page count.",
        )
        if _buttons("listing", {"text": EXAMPLE_LISTING}, {"text": ""}):
            st.session_state["asked"] = text


def _fields() -> Book:
    for name, value in _EMPTY.items():
        st.session_state.setdefault(f"book_{name}", value)
    title = st.text_input("Title", key="book_title", placeholder="As on the title page")
    left, right = st.columns(2)
    author = left.text_input("Author", key="book_author")
    publisher = right.text_input("Publisher", key="book_publisher")
    description = st.text_area(
        "Description",
        key="book_description",
        height=125,
        placeholder="Blurb, contents, illustrations, signatures, defects",
    )
    left, right = st.columns(2)
    format_ = left.selectbox("Format", (UNKNOWN, *FORMATS), key="book_format")
    condition = right.selectbox("Condition", (UNKNOWN, *CONDITIONS), key="book_condition")
    left, middle, right = st.columns([3, 3, 4])
    pages = left.number_input("Pages", 1, 99_999, step=1, value=None, key="book_pages")
    year = middle.number_input("Year", 1400, 2049, step=1, value=None, key="book_year")
    categories = right.text_input("Categories", key="book_categories", placeholder="History, Maps")
    facts = {
        "format": None if format_ == UNKNOWN else format_,
        "pages": pages,
        "publisher": publisher or None,
        "year": year,
        "condition": None if condition == UNKNOWN else condition,
    }
    book = Book(
        title=title,
        author=author,
        description=(description,),
        categories=tuple(name.strip() for name in (categories or "").split(",") if name.strip()),
    )
    return book.with_(**{name: value for name, value in facts.items() if value is not None})


def _buttons(form: str, example: dict[str, Any], empty: dict[str, Any]) -> bool:
    """The buttons under a form, and whether it was sent. The first is also what Return presses."""
    with st.container(horizontal=True):
        sent = st.form_submit_button("Price this book", type="primary", icon=":material/sell:", key=f"{form}_price")
        st.form_submit_button("Example", on_click=_fill, args=(form, example), key=f"{form}_example")
        if st.form_submit_button("Clear", on_click=_fill, args=(form, empty), type="tertiary", key=f"{form}_clear"):
            st.session_state.pop("asked", None)
    return sent


def _fill(form: str, values: dict[str, Any]) -> None:
    for name, value in values.items():
        st.session_state[f"{form}_{name}"] = value


def _invite(chain: PricingChain) -> None:
    with st.container(border=True):
        st.markdown("##### :material/menu_book: The price will appear here")
        st.markdown(
            "Describe a book as you would in a listing, or press **Example**. The more of its text the model can read, "
            "the closer the price: format, pages and a few sentences of description help most."
        )
        _name_model(chain.parser.model)


def _answer(chain: PricingChain, book: Book) -> None:
    coverage = st.session_state.get("coverage", round(DEFAULT_COVERAGE * 100)) / 100
    [estimate] = price(chain, (book,), coverage)
    with st.container(border=True):
        _headline(book, estimate)
        if estimate.distribution is not None:
            st.altair_chart(distribution_chart(estimate), alt="Probability of each price, with interval and median")
        _questions(estimate, coverage)
        _name_model(estimate.model)
        st.download_button(
            "Estimate as JSON",
            estimate.model_dump_json(indent=1),
            "estimate.json",
            "application/json",
            on_click="ignore",
            icon=":material/download:",
        )
    st.markdown("##### The same book in other formats")
    _compare(chain, book, estimate, coverage)
    with st.expander("What the model read", icon=":material/visibility:"):
        [content] = chain.builder.contents([book])
        st.caption(
            f"{content.tokens:,} tokens, cut to the first {chain.builder.content_tokens:,}"
            if content.tokens > chain.builder.content_tokens
            else f"{content.tokens:,} tokens, all of the book's text"
        )
        st.code(content.text, language=None, wrap_lines=True)


def _headline(book: Book, estimate: PriceEstimate) -> None:
    with st.container(key="book", gap=None):
        st.text(" · ".join(filter(None, (book.title, book.author))) or "Book without a title")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        with st.container(key="price", width="content"):
            st.metric("Price", plain(money(estimate.price, estimate.currency)), width="content")
        if interval := _interval(estimate):
            st.metric(f"{estimate.coverage:.0%} interval", plain(interval), width="content")
        if estimate.confidence is not None:
            st.metric(
                "Confidence",
                f"{estimate.confidence:.0%}",
                help=f"How probable it is that the true price lies within {CLOSE:.0%} of this one.",
                width="content",
            )
    if between := _interval(estimate, " and "):
        st.markdown(f"{100 * (estimate.coverage or 0):.0f} of 100 such books cost between {plain(between)}.")
    if estimate.flags:
        with st.container(horizontal=True):
            for flag in estimate.flags:
                st.badge(FLAG_LABELS[flag], icon=":material/flag:", color="orange")
    for warning in estimate.warnings:
        st.caption(plain(warning))


def _questions(estimate: PriceEstimate, coverage: float) -> None:
    """How wide the interval should be, and how probable a higher price is."""
    left, right = st.columns(2, gap="medium")
    left.slider("Books the interval should hold", 50, 95, round(coverage * 100), 5, format="%d of 100", key="coverage")
    if estimate.distribution is None:
        return
    # Asked in the currency; a fifth more than the estimate to begin with, and anew for each.
    start = float(f"{estimate.price * (1 + CLOSE):.2g}")
    above = right.number_input(
        f"Could it bring more than this ({plain(estimate.currency)})?",
        min_value=0.0,
        value=start,
        step=max(estimate.unit, start // 20),
        format="%.0f" if start >= 10 else "%.2f",
        key=f"above_{estimate.price}",
    )
    chance = estimate.distribution.probability_above(above / estimate.unit)
    amount = money(above, estimate.currency, cents=above % 1 > 0)
    right.markdown(f"**{chance * 100:.0f} of 100** such books cost more than {plain(amount)}.")


def _compare(chain: PricingChain, book: Book, estimate: PriceEstimate, coverage: float) -> None:
    """The price of the same book in each common format, beside that of the book as it is."""
    formats = [name for name in COMPARED_FORMATS if name != book.format]
    others = price(chain, tuple(book.with_(format=name) for name in formats), coverage)
    names = [f"{book.format} (this book)" if book.format else "As described", *formats]
    estimates = [estimate, *others]
    st.dataframe(
        pd.DataFrame(
            {
                "Format": names,
                "Price": [money(other.price, other.currency) for other in estimates],
                "Interval": [_interval(other) or "–" for other in estimates],
                "Difference": ["–", *(_difference(other, estimate) for other in others)],
            }
        ),
        hide_index=True,
        key="formats",
        column_config={
            name: st.column_config.TextColumn(alignment="right") for name in ("Price", "Interval", "Difference")
        },
    )


def _interval(estimate: PriceEstimate, between: str = " – ") -> str | None:
    if estimate.low is None or estimate.high is None:
        return None
    return money_range(estimate.low, estimate.high, estimate.currency, between)


def _difference(other: PriceEstimate, estimate: PriceEstimate) -> str:
    amount = round(other.price - estimate.price, 2)
    return f"{'+' if amount >= 0 else ''}{money(amount, other.currency, cents=estimate.price < 1000)}"


def _name_model(name: str) -> None:
    """Which model answers, and that the embedded one is for demonstration only."""
    demonstration = f"({_DEMONSTRATION})" in name
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"Model: {plain(name.replace(f'({_DEMONSTRATION})', '').strip())}", width="content")
        if demonstration:
            st.badge("Demonstration model", icon=":material/science:", color="violet")
    if demonstration:
        st.caption("It learned from invented books: this shows how pricing works, not what your book is worth.")

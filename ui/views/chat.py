"""The assistant's page: a conversation with the pricing agent. Knows chat elements and cards.

Every word and every price comes from the conversation it is given.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from ...training.errors import BookPricerError
from ...training.estimate import PriceEstimate
from .words import FLAG_LABELS, money, money_range, plain, sentence

if TYPE_CHECKING:
    from ...chains.conversation import Conversation, ToolAnswered

# The conversation's name in the address, so that a reload or a bookmark finds it again.
_THREAD = "chat"
_EXAMPLES = (
    "How much is a used 300-page hardcover on Roman history?",
    "The Tide Cartographers\nby Ingrid Solveig Maar. Paperback, 416 pages, 2019.\nFor four centuries, sailors, monks "
    "and spies drew the coasts of the northern seas by hand. With 140 maps in full colour.",
)
_AGREEMENT = {
    "agree": ("Methods agree", ":material/check_circle:", "green"),
    "mixed": ("Methods differ somewhat", ":material/balance:", "gray"),
    "disagree": ("Methods disagree", ":material/warning:", "orange"),
}
_TOOLS = {
    "price_book": "Priced by the model",
    "cross_check_price": "Cross-checked the price",
    "find_comparables": "Found comparable books",
    "look_up_book": "Looked the book up in the catalogue",
}
_USER, _ASSISTANT = ":material/person:", ":material/menu_book:"


def show(get_conversation: Callable[[str], Conversation], chat_model: str | None) -> None:
    """Draw the page.

    Args:
        get_conversation: the conversation of a thread; asked for once the page is there.
        chat_model: the name of the chat model that answers; None is the offline planner.
    """
    st.title("What is this book worth?", anchor=False)
    thread = st.query_params.get(_THREAD, "")
    if not thread.isalnum() or len(thread) != 32:
        thread = uuid.uuid4().hex
        st.query_params[_THREAD] = thread
    asked = st.chat_input("Paste a listing, or ask about a book", key="chat_input")
    asked = asked or st.session_state.pop("chat_example", None)
    try:
        conversation = get_conversation(thread)
        past = conversation.past()
        if not past and not asked:
            _invite(chat_model)
        for exchange in past:
            with st.chat_message("user", avatar=_USER):
                st.text(exchange.question)
            with st.chat_message("assistant", avatar=_ASSISTANT):
                for answered in exchange.tools:
                    _step(answered)
                _card(exchange.tools)
                st.markdown(_as_text(exchange.answer))
        if asked:
            _ask(conversation, asked)
        if past or asked:
            st.button("New conversation", icon=":material/add_comment:", on_click=_forget, type="tertiary")
    except BookPricerError as error:
        st.error(sentence(error), icon=":material/error:")


def _ask(conversation: Conversation, text: str) -> None:
    """One exchange as it happens: each tool call a step that opens, then the card, then the words."""
    from ...chains.conversation import ToolAnswered, ToolCalled, Words

    with st.chat_message("user", avatar=_USER):
        st.text(text)
    with st.chat_message("assistant", avatar=_ASSISTANT):
        answered: list[ToolAnswered] = []
        open_steps: dict[str, Any] = {}
        events = conversation.ask(text)
        first: str | None = None
        waiting = st.empty()
        with waiting, st.spinner("Thinking …"):
            steps = st.container()
        for event in events:
            if isinstance(event, ToolCalled):
                open_steps[event.id] = steps.status(f"{_title(event.name)} …", expanded=False)
            elif isinstance(event, ToolAnswered):
                answered.append(event)
                if (step := open_steps.get(event.id)) is not None:
                    step.update(label=_title(event.name), state="error" if event.failed else "complete")
                    with step:
                        _details(event)
            elif isinstance(event, Words):
                first = event.text
                break
        _card(answered)
        st.write_stream(_words(first, events))


def _words(first: str | None, events: Iterator[Any]) -> Iterator[str]:
    """The answer's pieces, as Markdown that shows them as they are."""
    if first is not None:
        yield _as_text(first)
    for event in events:
        if text := getattr(event, "text", None):
            yield _as_text(text)


def _as_text(text: str) -> str:
    """An answer as Markdown in which only its own line breaks and list dashes are marks."""
    lines = []
    for line in text.split("\n"):
        mark = "- " if line.startswith("- ") else ""
        blank = " " if line[-1:].isspace() else ""
        lead = " " if line[:1].isspace() and not mark else ""
        lines.append(f"{lead}{mark}{plain(line[len(mark) :])}{blank}")
    return "\n".join(lines)


def _step(answered: ToolAnswered) -> None:
    with st.status(_title(answered.name), state="error" if answered.failed else "complete", expanded=False):
        _details(answered)


def _details(answered: ToolAnswered) -> None:
    """What the tool was told of the book, and what it said."""
    if answered.failed or not isinstance(answered.artifact, dict):
        st.text(answered.text)
        return
    st.caption("The book that was asked about")
    st.code(json.dumps(answered.artifact.get("book", {}), ensure_ascii=False, indent=1), language=None, wrap_lines=True)
    st.caption("The tool's answer")
    st.code(answered.text, language=None, wrap_lines=True)


def _card(tools: list[ToolAnswered]) -> None:
    """The last estimate among the tools' answers, with agreement and comparables."""
    artifacts = [tool.artifact for tool in tools if isinstance(tool.artifact, dict) and not tool.failed]
    estimates = [artifact for artifact in artifacts if artifact.get("kind") == "estimate"]
    found = next((artifact for artifact in artifacts if artifact.get("kind") == "comparables"), None)
    if not estimates:
        if found:
            _comparables(found["comparables"], found["currency"])
        return
    artifact = estimates[-1]
    estimate = PriceEstimate.model_validate(artifact["estimate"])
    book = artifact["book"]
    with st.container(border=True):
        facts = [book.get("format"), f"{book['pages']} pages" if book.get("pages") else None, book.get("condition")]
        st.markdown(f"**{plain(str(book.get('title') or 'Book without a title'))}**")
        if shown := " · ".join(str(fact) for fact in (book.get("author"), *facts, book.get("year")) if fact):
            st.caption(plain(shown))
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            st.metric("Price", plain(money(estimate.price, estimate.currency)), width="content")
            if estimate.low is not None and estimate.high is not None and estimate.coverage is not None:
                interval = money_range(estimate.low, estimate.high, estimate.currency)
                st.metric(f"{estimate.coverage:.0%} interval", plain(interval), width="content")
            if estimate.confidence is not None:
                st.metric("Confidence", f"{estimate.confidence:.0%}", width="content")
        with st.container(horizontal=True):
            if estimate.agreement:
                label, icon, colour = _AGREEMENT[estimate.agreement]
                st.badge(label, icon=icon, color=colour)  # type: ignore[arg-type]
            for flag in estimate.flags:
                if flag != "disagreement":
                    st.badge(FLAG_LABELS[flag], icon=":material/flag:", color="orange")
            if "(demonstration model)" in estimate.model:
                st.badge("Demonstration model", icon=":material/science:", color="violet")
        rows = [comparable.model_dump() for comparable in estimate.comparables] or (found or {}).get("comparables", [])
        if rows:
            _comparables(rows, estimate.currency)


def _comparables(rows: list[dict[str, Any]], currency: str) -> None:
    st.dataframe(
        pd.DataFrame(
            {
                "Price": [money(row["price"], currency) for row in rows],
                "Comparable book": [row["title"] for row in rows],
                "Similarity": [row["similarity"] for row in rows],
            }
        ),
        hide_index=True,
        column_config={
            "Price": st.column_config.TextColumn(alignment="right"),
            "Similarity": st.column_config.ProgressColumn(min_value=0.0, max_value=1.0, format="%.2f"),
        },
    )


def _invite(chat_model: str | None) -> None:
    with st.container(border=True):
        st.markdown("##### :material/forum: Ask what a book is worth")
        st.markdown(
            "Paste a listing or describe a book below. Then ask *why?*, *and as a hardcover?*, *show comparables*, or "
            "whether a price is fair."
        )
        for number, example in enumerate(_EXAMPLES):
            st.button(
                plain(example.split("\n")[0]), key=f"example_{number}", on_click=_use_example, args=(example,),
                icon=":material/chat:",
            )  # fmt: skip
        st.caption(
            f"Answers are written by {plain(chat_model)}; prices come from the pricing tools."
            if chat_model
            else "Answers come from the offline planner, which needs no network; set BOOKPRICER\\_CHAT\\_MODEL for "
            "free conversation."
        )


def _use_example(text: str) -> None:
    st.session_state["chat_example"] = text


def _forget() -> None:
    st.query_params[_THREAD] = uuid.uuid4().hex


def _title(name: str) -> str:
    if name.startswith("baseline_"):
        return f"Asked the baseline {plain(name.removeprefix('baseline_').replace('_', ' '))}"
    return _TOOLS.get(name, plain(name))

"""How tools answer: a JSON text for the model and the same facts as an artifact. Knows estimates; knows no methods.

An artifact is plain data (no classes), so that any checkpointer, queue or protocol can carry it: its `kind` says what
it holds, and `artifact_prices` gives the prices that a tool vouches for by it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool, ToolException
from pydantic import BaseModel

from ..training.book import Book
from ..training.errors import BookPricerError
from ..training.estimate import Comparable, PriceEstimate
from .arguments import arguments_of, validation_sentence

ESTIMATE, COMPARABLES, BOOKS = "estimate", "comparables", "books"
Result = tuple[str, dict[str, Any]]


def estimate_result(book: Book, estimate: PriceEstimate) -> Result:
    """A price estimate, as the model reads it and as an artifact."""
    data = estimate.model_dump(mode="json")
    shown = {name: value for name, value in data.items() if value not in (None, [], {}) and name != "unit"}
    return _json(shown), {"kind": ESTIMATE, "book": arguments_of(book), "estimate": data}


def comparables_result(book: Book, found: Sequence[Comparable], currency: str) -> Result:
    """Comparable books, as the model reads them and as an artifact."""
    rows = [comparable.model_dump(mode="json") for comparable in found]
    return _json({"currency": currency, "comparables": rows}), {
        "kind": COMPARABLES,
        "book": arguments_of(book),
        "currency": currency,
        "comparables": rows,
    }


def books_result(books: Sequence[Mapping[str, Any]]) -> Result:
    """Books of a catalogue, as arguments of the other tools."""
    rows = [dict(book) for book in books]
    return _json({"books": rows}), {"kind": BOOKS, "books": rows}


def artifact_prices(artifact: Any) -> Iterator[float]:
    """Every price in a tool's artifact, in its currency; nothing for what is no artifact of ours."""
    if not isinstance(artifact, Mapping):
        return
    if artifact.get("kind") == ESTIMATE:
        estimate = artifact["estimate"]
        yield from (estimate[name] for name in ("price", "low", "high") if estimate.get(name) is not None)
        yield from (estimate.get("baselines") or {}).values()
        yield from (row["price"] for row in estimate.get("comparables") or ())
    elif artifact.get("kind") == COMPARABLES:
        yield from (row["price"] for row in artifact["comparables"])


def artifact_titles(artifact: Any) -> Iterator[str]:
    """The titles of all books in a tool's artifact."""
    if not isinstance(artifact, Mapping):
        return
    rows = [artifact.get("book") or {}, *(artifact.get("books") or ()), *(artifact.get("comparables") or ())]
    rows += (artifact.get("estimate") or {}).get("comparables") or ()
    yield from (row["title"] for row in rows if row.get("title"))


def make_tool(
    name: str,
    description: str,
    arguments: type[BaseModel],
    run: Callable[[Any], Result],
    arun: Callable[[Any], Awaitable[Result]] | None = None,
) -> BaseTool:
    """A tool that checks its arguments and answers with text and artifact.

    Args:
        run, arun: from the checked arguments, an instance of `arguments`, to the result; `run` in a thread where there
            is no `arun`.
    """

    # LangChain hands on those arguments that the caller gave.
    def call(**given: Any) -> Result:
        try:
            return run(arguments(**given))
        except BookPricerError as error:
            raise ToolException(_sentence(error)) from error

    async def acall(**given: Any) -> Result:
        assert arun is not None
        try:
            return await arun(arguments(**given))
        except BookPricerError as error:
            raise ToolException(_sentence(error)) from error

    return StructuredTool.from_function(
        call,
        acall if arun else None,
        name=name,
        description=description,
        args_schema=arguments,
        response_format="content_and_artifact",
        infer_schema=False,
        handle_tool_error=True,
        handle_validation_error=validation_sentence,
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _sentence(error: BookPricerError) -> str:
    text = str(error)
    return f"Error: {text}{'' if text.endswith('.') else '.'} Correct the arguments and try again, or tell the user."

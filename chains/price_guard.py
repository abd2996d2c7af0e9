"""Middleware that lets no price reach the user which no tool of the conversation returned. Knows messages and sums.

Let through are prices in tools' artifacts (`tools.results.artifact_prices`; of other people's tools, all numbers of
their answers), rounded to cents, to whole units, or to three digits; the user's own figures, where the sentence says
whose they are or holds a tool's price against them; and differences between two such sums, where the sentence says that
it is one.

The check is made inside the model call, so that a refused answer is in no state, no stream and no memory: the model is
told what was wrong and asked again, and if it insists, the tools' own prices are the answer.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, ToolMessage

from ..tools.results import ESTIMATE, artifact_prices, artifact_titles
from ..training.money import format_money
from .amounts import CORRECTION_MARK, Amount, find_amounts, readable

# How often a model may correct itself, invented prices and unreadable tool calls counted alike.
_CORRECTIONS = 2
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+(?=[^a-z\d\s])|\n+")
_DIFFERENCE = re.compile(
    r"\b(?:more|less|higher|lower|above|below|under|over|differ\w*|cheaper|dearer|extra|gap|apart|off|beyond|short|"
    r"adds?|saves?|premium|discount|between them)\b",
    re.IGNORECASE,
)
_USERS_OWN = re.compile(
    r"\b(?:you(?:'ve|’ve)?\s+(?:said|say|ask\w*|mention\w*|name\w*|paid|pay|want\w*|offer\w*|list\w*|quot\w*|have|had|"
    r"give|gave|think|propos\w*)|your\s+(?:own\s+)?(?:price|figure|offer|asking|budget|number|sum|amount|limit|[$€£₹¥\d])|"
    r"asking\s+price|the\s+price\s+(?:that\s+)?you|they\s+(?:ask|want|offer)\w*|the\s+(?:seller|shop|buyer)|listed\s+at|"
    r"is\s+[^.?!]{1,20}\s+(?:fair|too\s+much|cheap|reasonable))",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Known:
    """The sums of a conversation: tools' `prices`, the user's `figures`, all other `numbers`; and tools' `titles`."""

    prices: tuple[float, ...]
    figures: tuple[float, ...]
    numbers: frozenset[float]
    titles: tuple[str, ...] = ()


def known_sums(messages: Sequence[BaseMessage]) -> Known:
    """What may be said after these messages."""
    prices: list[float] = []
    figures: list[float] = []
    numbers: set[float] = set()
    titles: list[str] = []
    for message in messages:
        if isinstance(message, ToolMessage) and message.status != "error":
            found = list(artifact_prices(message.artifact))
            ours = isinstance(message.artifact, dict) and "kind" in message.artifact
            prices += found if ours else _numbers(message.text)
            numbers.update(_numbers(message.text))
            titles += artifact_titles(message.artifact)
        elif isinstance(message, HumanMessage) and not message.text.startswith(CORRECTION_MARK):
            text = readable(message.text)
            figures += [amount.value for amount in find_amounts(text)]
            numbers.update(_numbers(text))
    return Known(tuple(dict.fromkeys(prices)), tuple(dict.fromkeys(figures)), frozenset(numbers), tuple(titles))


def invented_prices(answer: str, known: Known) -> list[str]:
    """The sums in an answer that nobody vouches for, as they are written.

    Example:
        >>> invented_prices("It costs $12.40, or $99.", Known((12.4,), (), frozenset()))
        ['$99.']
    """
    text = _without_titles(readable(answer), known.titles)
    invented = []
    start = 0
    for end in [*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]:
        sentence = text[start:end]
        start = end
        amounts = find_amounts(sentence)
        vouched = any(_is_one_of(amount.value, known.prices) for amount in amounts)
        for amount in amounts:
            if not _is_vouched_for(amount, sentence, vouched, known):
                invented.append(sentence[max(0, amount.start - 1) : amount.end + 1].strip())
    return invented


def _without_titles(text: str, titles: Sequence[str]) -> str:
    """The text without quoted titles, which may hold sums ("The $100 Startup"); a title has two words at least."""
    for title in titles:
        shown = readable(title)
        if len(re.findall(r"[^\W\d_]{2,}", shown)) >= 2 and re.search(r"\d", shown):
            text = re.sub(rf"[“\"*_‘]{{1,2}}{re.escape(shown)}[”\"*_’]{{1,2}}", "“”", text)
    return text


def _is_vouched_for(amount: Amount, sentence: str, vouched: bool, known: Known) -> bool:
    if _is_one_of(amount.value, known.prices):
        return True
    if amount.bare and _is_one_of(amount.value, known.numbers):
        return True
    own = any(abs(amount.value - figure) < 0.005 for figure in known.figures)
    if own and (vouched or _USERS_OWN.search(sentence)):
        return True
    if _DIFFERENCE.search(sentence):
        sums = [*known.prices, *known.figures]
        return any(_is_one_of(amount.value, (abs(a - b),)) for a in sums for b in known.prices if a != b)
    return False


def _is_one_of(value: float, sums: Sequence[float] | frozenset[float]) -> bool:
    """Whether a value is one of the sums, or one rounded to cents, whole units or three digits."""
    for exact in sums:
        error = abs(value - exact)
        if error < 0.0051 or (error <= 0.5 and value == int(value) and exact >= 1) or error <= 0.005 * exact - 1:
            return True
    return False


def _numbers(text: str) -> list[float]:
    found = []
    for match in _NUMBER.finditer(text):
        try:
            found.append(float(match.group().replace(",", "")))
        except ValueError:
            continue
    return found


class PriceGuard(AgentMiddleware[Any, Any, Any]):
    """Checks each answer of the model before anyone sees it; see the module's docstring.

    Malformed tool calls (arguments that are no JSON) are sent back to the model too: LangChain's loop would take the
    message for a final answer.
    """

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Ask the model until its answer holds, a few times at most."""
        response = handler(request)
        for _ in range(_CORRECTIONS):
            correction = _correction(request.messages, response)
            if correction is None:
                break
            response = handler(request.override(messages=[*request.messages, *correction]))
        return _settle(request.messages, response)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """As `wrap_model_call`, without blocking the event loop."""
        response = await handler(request)
        for _ in range(_CORRECTIONS):
            correction = _correction(request.messages, response)
            if correction is None:
                break
            response = await handler(request.override(messages=[*request.messages, *correction]))
        return _settle(request.messages, response)


def _answer(response: ModelResponse[Any]) -> AIMessage | None:
    return next((message for message in response.result if isinstance(message, AIMessage)), None)


def _correction(messages: Sequence[AnyMessage], response: ModelResponse[Any]) -> list[AnyMessage] | None:
    """The refused answer and what is wrong with it, for the model; None where the answer holds."""
    answer = _answer(response)
    if answer is None:
        return None
    if answer.invalid_tool_calls:
        wrong = {call.get("id"): call for call in answer.invalid_tool_calls}
        replies = [
            ToolMessage(
                f"The arguments of {call.get('name')} are no valid JSON; call the tool again with correct arguments.",
                tool_call_id=call_id or "", name=call.get("name"), status="error",
            )
            for call_id, call in wrong.items()
        ]  # fmt: skip
        replies += [
            ToolMessage("Not run, since another call was malformed; call the tool again.",
                        tool_call_id=call["id"] or "", name=call["name"], status="error")
            for call in answer.tool_calls
        ]  # fmt: skip
        return [answer, *replies]
    if answer.tool_calls:
        return None  # words beside a tool call are taken out by `_settle`
    if not (invented := invented_prices(answer.text, known_sums(messages))):
        return None
    return [
        answer,
        HumanMessage(
            f"{CORRECTION_MARK} Your answer was not shown: no tool returned {', '.join(invented[:5])}. Answer again. "
            "State only prices that a tool returned in this conversation, or call a tool to get one. Mention the "
            "user's own figures only as theirs ('the $15 that you mentioned')."
        ),
    ]


def _settle(messages: Sequence[AnyMessage], response: ModelResponse[Any]) -> ModelResponse[Any]:
    """The response with nothing in it that was refused."""
    answer = _answer(response)
    if answer is None:
        return response
    changed = answer
    if answer.invalid_tool_calls:
        changed = changed.model_copy(update={"invalid_tool_calls": []})
        if not answer.tool_calls:
            text = (
                "The chat model could not call the pricing tools: its arguments were no valid JSON. Please ask again."
            )
            changed = AIMessage(text, id=answer.id)
    if changed.text and invented_prices(changed.text, known_sums(messages)):
        if changed.tool_calls:
            kept: Any = ""
            if isinstance(changed.content, list):
                kept = [block for block in changed.content if isinstance(block, dict) and block.get("type") != "text"]
            changed = changed.model_copy(update={"content": kept})
        else:
            changed = AIMessage(_what_tools_say(messages), id=answer.id)
    if changed is answer:
        return response
    result = [changed if message is answer else message for message in response.result]
    return ModelResponse(result=result, structured_response=response.structured_response)


def _what_tools_say(messages: Sequence[BaseMessage]) -> str:
    """The last estimate, in our own words."""
    for message in reversed(messages):
        artifact = message.artifact if isinstance(message, ToolMessage) else None
        if isinstance(artifact, dict) and artifact.get("kind") == ESTIMATE:
            estimate = artifact["estimate"]
            title = artifact["book"].get("title") or "this book"
            text = f"The pricing tools put {title[:100]} at {format_money(estimate['price'], estimate['currency'])}"
            if estimate.get("low") is not None and estimate.get("high") is not None:
                low, high = (format_money(estimate[name], estimate["currency"]) for name in ("low", "high"))
                text += f"; {100 * estimate['coverage']:.0f} of 100 such books cost between {low} and {high}"
            return f"{text}. The chat model's own answer named a price that no tool returned, so it is not shown."
    return (
        "I can only state prices that the pricing tools return, and they have not priced a book yet. Describe one: "
        "title, author, format, and what its listing says."
    )

"""One conversation with the agent, as steps that a screen can show. Knows the agent's stream; draws nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph

# Steps of the graph for one message; the middlewares' own limits end a run earlier and in words.
_RECURSION_LIMIT = 100


@dataclass(frozen=True)
class ToolCalled:
    """The agent calls a tool."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class ToolAnswered:
    """A tool has answered: the text that the model reads, and the artifact (see `tools.results`)."""

    id: str
    name: str
    text: str
    artifact: Any = None
    failed: bool = False


@dataclass(frozen=True)
class Words:
    """A piece of the answer, which was checked before its first piece came."""

    text: str


Event = ToolCalled | ToolAnswered | Words


@dataclass(frozen=True)
class Exchange:
    """What was said in the past: the user's words, the tools' answers, and the agent's."""

    question: str
    tools: list[ToolAnswered] = field(default_factory=list)
    answer: str = ""


class Conversation:
    """Talks with an agent that has a checkpointer, and remembers by its thread.

    Args:
        agent: from `pricing_agent(checkpointer=…)`.
        thread: whose conversation it is.
    """

    def __init__(self, agent: CompiledStateGraph[Any, Any, Any, Any], thread: str) -> None:
        self._agent = agent
        self._config: RunnableConfig = {"configurable": {"thread_id": thread}, "recursion_limit": _RECURSION_LIMIT}

    def ask(self, text: str) -> Iterator[Event]:
        """What happens after the user's words: tools as they are called and answer, then the words, piece by piece."""
        inputs = {"messages": [HumanMessage(text)]}
        for update in self._agent.stream(inputs, self._config, stream_mode="updates"):
            for changes in update.values():
                for message in _messages(changes):
                    yield from _events(message)

    def answer(self, text: str) -> str:
        """Only the words of the answer."""
        return "".join(event.text for event in self.ask(text) if isinstance(event, Words))

    def past(self) -> list[Exchange]:
        """All exchanges so far, the oldest first."""
        exchanges: list[Exchange] = []
        for message in self._agent.get_state(self._config).values.get("messages", []):
            if isinstance(message, HumanMessage):
                exchanges.append(Exchange(message.text))
            elif exchanges and isinstance(message, ToolMessage):
                exchanges[-1].tools.append(_answered(message))
            elif exchanges and isinstance(message, AIMessage) and not message.tool_calls and message.text:
                exchanges[-1] = Exchange(exchanges[-1].question, exchanges[-1].tools, message.text)
        return exchanges


def _messages(changes: Any) -> list[Any]:
    if not isinstance(changes, dict):
        return []
    found = changes.get("messages", [])
    return list(found) if isinstance(found, list) else [found]


def _events(message: Any) -> Iterator[Event]:
    if isinstance(message, ToolMessage):
        yield _answered(message)
    elif isinstance(message, AIMessage):
        for call in message.tool_calls:
            yield ToolCalled(call["id"] or "", call["name"], call["args"])
        if message.text and not message.tool_calls:
            yield from map(Words, re.findall(r"\s*\S+\s*", message.text))


def _answered(message: ToolMessage) -> ToolAnswered:
    return ToolAnswered(
        message.tool_call_id, message.name or "", message.text, message.artifact, message.status == "error"
    )

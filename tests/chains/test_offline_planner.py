"""The planner as a chat model, by LangChain's standard suite; what it understands is tested by conversations."""

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_tests.unit_tests import ChatModelUnitTests

from bookpricer.chains.offline_planner import OfflinePlanner


class TestStandard(ChatModelUnitTests):
    @property
    def chat_model_class(self):
        return OfflinePlanner

    @property
    def chat_model_params(self):
        return {}

    @property
    def has_tool_choice(self):
        return False

    @property
    def has_structured_output(self):
        return False


@tool
def price_book(title: str) -> str:
    """Price a book."""
    return title


def test_calls_the_tools_it_knows_and_no_other():
    bound = OfflinePlanner().bind_tools([price_book])
    [call] = bound.invoke("What is Emma by Jane Austen worth?").tool_calls
    assert call["name"] == "price_book" and call["args"]["title"] == "Emma"
    assert OfflinePlanner().invoke("What is Emma by Jane Austen worth?").tool_calls == []


def test_streams_what_it_invokes():
    bound = OfflinePlanner().bind_tools([price_book])
    for text in ("hello", "What is Emma by Jane Austen worth?"):
        whole = bound.invoke(text)
        parts = list(bound.stream([HumanMessage(text)]))
        total = parts[0]
        for part in parts[1:]:
            total += part
        assert total.text == whole.text
        assert [(c["name"], c["args"]) for c in total.tool_calls] == [(c["name"], c["args"]) for c in whole.tool_calls]


@pytest.mark.parametrize("text", ["tell me a joke", "what is the weather like?", "???"])
def test_says_what_it_cannot_do_and_how_to_plug_in_a_chat_model(text):
    answer = OfflinePlanner().invoke(text).text
    assert "BOOKPRICER_CHAT_MODEL" in answer and "pasted listings" in answer

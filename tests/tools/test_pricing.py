import asyncio
import json

import pytest
from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableLambda

from bookpricer.tools.baselines import baseline_tools
from bookpricer.tools.pricing import pricing_tool
from bookpricer.tools.results import artifact_prices
from bookpricer.training.baselines import BASELINES

BOOK = {"title": "A History of Rome", "format": "Hardcover", "pages": 480}


def call(tool, **arguments) -> ToolMessage:
    return tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": arguments})


def test_text_for_the_model_and_the_same_facts_as_artifact(chain):
    message = call(pricing_tool(chain), **BOOK)
    estimate = chain.invoke(BOOK)
    said = json.loads(message.text)
    assert said["price"] == pytest.approx(estimate.price, abs=0.02) and said["method"] == "llm"
    assert message.artifact["book"] == BOOK
    assert set(artifact_prices(message.artifact)) == {said["price"], said["low"], said["high"]}
    json.dumps(message.artifact)  # plain data


async def test_without_blocking_the_loop(chain):
    tool = pricing_tool(chain)
    calls = [{"type": "tool_call", "id": str(i), "name": tool.name, "args": BOOK} for i in range(4)]
    messages = await asyncio.gather(*(tool.ainvoke(one) for one in calls))
    assert len({message.text for message in messages}) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({}, "no text to price"), ({"pages": -1, "title": "x"}, "'pages'"), ({"name": "x"}, "'name'")],
)
def test_errors_come_back_to_the_model(chain, arguments, words):
    message = call(pricing_tool(chain), **arguments)
    assert message.status == "error" and words in message.text


def test_what_breaks_is_not_hidden():
    def broken(book):
        raise TimeoutError("the server is away")

    with pytest.raises(TimeoutError):
        call(pricing_tool(RunnableLambda(broken)), **BOOK)


def test_a_tool_for_each_baseline_in_the_models_currency():
    from bookpricer.training.book import Book

    baseline = BASELINES["median"]().fit([Book(title="a"), Book(title="b")], [10.0, 20.0])
    [tool] = baseline_tools({"median": baseline}, currency="VND", unit=1000)
    assert tool.name == "baseline_median" and "only a reference" in tool.description
    estimate = call(tool, title="Emma").artifact["estimate"]
    assert (estimate["price"], estimate["currency"], estimate["method"]) == (15_000, "VND", "median")

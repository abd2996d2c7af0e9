import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from bookpricer.chains.price_guard import Known, invented_prices, known_sums

KNOWN = Known((12.4, 45.0, 8.1, 1234.5), (15.0,), frozenset({300.0, 0.83}), ("The $100 Startup",))


@pytest.mark.parametrize(
    "answer",
    [
        "It costs $12.40; 80 of 100 such books cost between $8 and $45.",
        "About $12, or 12 dollars, or twelve dollars.",
        "The 300 pages are why. Similarity 0.83.",
        "The $15 that you mentioned is above $12.40.",
        "$12.40 is $2.60 less than your $15.",
        "Roughly $1,230.",
        "Comparable: “The $100 Startup”, $45.00",
        "No number at all.",
    ],
)
def test_lets_through_what_somebody_vouches_for(answer):
    assert invented_prices(answer, KNOWN) == []


@pytest.mark.parametrize(
    "answer",
    [
        "It costs $99.",
        "It costs $12.40, or rather $20.",
        "I'd say 42.",
        "It is worth ninety-nine dollars.",
        "worth ９９ dollars",
        "It is worth $15.",  # the user's own figure, passed off as a price
        "It sells for 300.",  # a number of pages, passed off as one
        "$12.40 is $5 less than your $15.",  # a wrong difference
        "The $100 Startup is worth $100.",
        "99",
        "Between $12 and $60",
        "It is worth $1\u200b00.",
        "USD 77",
        "fifty cents",
    ],
)
def test_holds_back_what_nobody_said(answer):
    assert invented_prices(answer, KNOWN)


def test_only_tools_and_the_user_are_believed():
    messages = [
        HumanMessage("is $15 fair?"),
        AIMessage("It costs $77."),
        ToolMessage('{"price": 99}', tool_call_id="1", status="error"),
        ToolMessage(
            '{"price": 12.4, "title": "Say $1"}', tool_call_id="2",
            artifact={
                "kind": "estimate", "book": {"title": "Say $1 now"},
                "estimate": {"price": 12.4, "low": 8.0, "high": 20.0, "baselines": {"x": 9.0}, "comparables": []},
            },
        ),
        ToolMessage("the other shop asks 31.50", tool_call_id="3"),
    ]  # fmt: skip
    known = known_sums(messages)
    assert known.prices == (12.4, 8.0, 20.0, 9.0, 31.5) and known.figures == (15.0,)
    assert invented_prices("It is worth $1.", known) and invented_prices("It costs $77.", known)

import asyncio

import pytest
from langchain_core.language_models import FakeListChatModel

from bookpricer import PricingChain, PricingLLM
from bookpricer.chains.backends import connect
from bookpricer.training.distribution import PriceDistribution
from bookpricer.training.errors import InputError
from bookpricer.training.loading import describe_pricer
from bookpricer.training.prompt import is_prompt
from bookpricer.training.remote import RemoteScorer
from bookpricer.training.server import Server, ServerError


class Fixed:
    """The least that is a backend."""

    def price_distributions(self, prompts):
        assert all(map(is_prompt, prompts))
        return [PriceDistribution([0.0] * 30 + [0.5, 0.5] + [0.0] * 968, untold=0.2) for _ in prompts]


def test_a_server_takes_the_local_models_place(llama_server, chain, books):
    remote = PricingChain.from_pretrained("embedded", backend=llama_server("embedded"))
    for ours, theirs in zip(remote.batch(books), chain.batch(books), strict=True):
        assert ours.price == pytest.approx(theirs.price, abs=0.5)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=2)
        assert (ours.method, ours.model, ours.flags) == (theirs.method, theirs.model, theirs.flags)
    assert asyncio.run(remote.ainvoke(books[0])).price == pytest.approx(chain.invoke(books[0]).price, abs=0.5)


def test_what_the_server_leaves_out_is_said(llama_server, books):
    server = Server(llama_server("embedded"))
    server.limit = 20
    backend = RemoteScorer(server, describe_pricer("embedded").tokenizer)
    estimate = PricingChain.from_pretrained("embedded", backend=backend).invoke(books[0])
    assert any("log-probabilities" in warning for warning in estimate.warnings)


def test_whatever_gives_distributions_is_a_backend(books):
    chain = PricingChain.from_pretrained("embedded", backend=Fixed())
    estimate = chain.invoke(books[4])
    assert estimate.price == pytest.approx(30.5) and estimate.method == "llm"
    assert "20%" in estimate.warnings[-1] and len(estimate.warnings) == len(estimate.flags) + 1
    with pytest.raises(InputError, match="only prices"):
        chain.llm.invoke("Once upon a time")


def test_words_of_another_model_and_several_of_them(books):
    words = FakeListChatModel(responses=["$10", "about $30", "20 dollars", "no idea"])
    single = PricingChain.from_pretrained("embedded", backend=words).invoke(books[0])
    assert (single.price, single.low, single.method) == (10, None, "text") and "demonstration" not in single.model
    words.i = 0
    several = PricingChain.from_pretrained("embedded", backend=words, samples=4).invoke(books[0])
    assert several.price == 20 and several.method == "text"
    assert several.low == pytest.approx(10, abs=1) and several.high == pytest.approx(30, abs=1)
    assert "1 of the model's 4 answers name no price." in several.warnings
    same = PricingChain(llm=FakeListChatModel(responses=["$10"]), samples=3)
    assert [estimate.price for estimate in same.batch(books)] == [10] * len(books)
    assert "temperature" in asyncio.run(same.ainvoke(books[0])).warnings[-1]


def test_a_server_that_is_away_fails_in_a_sentence(books, monkeypatch):
    monkeypatch.setattr(Server, "attempts", 1)
    chain = PricingChain.from_pretrained("embedded", backend="http://127.0.0.1:9/v1")
    chain.llm.backend.server.attempts = 1
    with pytest.raises(ServerError, match="is away"):
        chain.invoke(books[0])
    results = chain.batch(books[:2], return_exceptions=True)
    assert all(isinstance(result, ServerError) for result in results)


@pytest.mark.parametrize("name", ["localhost:", "no-colon", "nobody:model"])
def test_refuses_what_is_no_backend(name):
    with pytest.raises(InputError) as error:
        PricingChain.from_pretrained("embedded", backend=name)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError):
        connect(42, describe_pricer("embedded"))


def test_a_langchain_model_is_used_as_it_is(chain):
    assert isinstance(chain.llm, PricingLLM)
    assert connect(chain.llm, describe_pricer("embedded")) is chain.llm

import asyncio

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumps, loads
from langchain_core.outputs import Generation
from langchain_huggingface import HuggingFacePipeline

from bookpricer import PricingLLM
from bookpricer.training.errors import InputError
from bookpricer.training.prompt import build_prompt

PROMPT = build_prompt("A History of Rome\nHardcover, 480 pages")


@pytest.fixture(scope="module")
def llm(chain) -> PricingLLM:
    return chain.llm


def test_is_langchains_hugging_face_pipeline(llm):
    assert isinstance(llm, HuggingFacePipeline)


def test_scores_the_standardized_prompt(llm):
    (distribution,) = llm.price_distributions([PROMPT])
    assert distribution.probabilities.shape == (1000,)
    generation = llm.generate([PROMPT]).generations[0][0]
    assert generation.text == f"{distribution.median:.0f}" == llm.invoke(PROMPT)
    assert generation.generation_info["distribution"] == pytest.approx(distribution.probabilities.tolist(), abs=1e-6)


def test_generates_for_any_other_prompt(llm):
    text = llm.invoke("the history of")
    assert text and not text.startswith("the history of")
    mixed = llm.generate([PROMPT, "the history of", PROMPT]).generations
    assert mixed[0][0].text == mixed[2][0].text == llm.invoke(PROMPT)
    assert mixed[1][0].text == text and not (mixed[1][0].generation_info or {}).get("distribution")


def test_streams_and_awaits(llm):
    assert "".join(llm.stream(PROMPT)) == llm.invoke(PROMPT) == asyncio.run(llm.ainvoke(PROMPT))
    assert "".join(llm.stream("the history of"))


def test_batches(llm):
    assert llm.batch([PROMPT, PROMPT]) == [llm.invoke(PROMPT)] * 2


def test_a_generation_survives_langchains_serialization(llm):
    generation = llm.generate([PROMPT]).generations[0][0]
    again = loads(dumps(generation), allowed_objects=[Generation])
    assert again.generation_info["distribution"] == generation.generation_info["distribution"]


def test_caches_tell_models_apart(llm):
    parameters = dict(llm._identifying_params)
    assert parameters["fingerprint"] and parameters["path"]
    llm.cache = InMemoryCache()
    try:
        first, second = (llm.generate([PROMPT]).generations[0][0] for _ in range(2))
    finally:
        llm.cache = None
    assert first.generation_info["distribution"] == second.generation_info["distribution"]


@pytest.mark.parametrize("name", ["no/such-model", "no such folder", __file__])
def test_says_in_a_sentence_that_there_is_no_such_model(name):
    with pytest.raises(InputError) as error:
        PricingLLM.from_pretrained(name)
    assert "\n" not in str(error.value)

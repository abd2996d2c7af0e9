import json

import pytest

from bookpricer import PricingChain, pricing_tools
from bookpricer.chains.cross_check import Companions, CrossCheck, method_title
from bookpricer.training.errors import InputError
from bookpricer.training.model_folder import find_model


@pytest.fixture(scope="module")
def checked(model_name):
    return PricingChain.from_pretrained(model_name, cross_check=True)


def test_an_estimate_says_what_every_method_says(checked, chain, books):
    estimate, own = checked.invoke(books[0]), chain.invoke(books[0])
    assert estimate.method == "cross_check" and estimate.baselines["llm"] == pytest.approx(own.price, abs=0.02)
    assert len(estimate.baselines) >= 2 and len(estimate.comparables) == 6
    assert estimate.low < estimate.price < estimate.high and estimate.coverage == 0.8
    assert estimate.agreement in ("agree", "mixed", "disagree") and 0 <= estimate.confidence <= 1
    assert ("disagreement" in estimate.flags) == (estimate.agreement == "disagree")
    similarities = [comparable.similarity for comparable in estimate.comparables]
    assert similarities == sorted(similarities, reverse=True)
    json.loads(estimate.model_dump_json())


async def test_in_batches_one_by_one_and_async_alike(checked, books):
    together = checked.batch(books)
    assert [e.price for e in together] == pytest.approx([checked.invoke(book).price for book in books], abs=0.02)
    assert [e.price for e in await checked.abatch(books)] == pytest.approx([e.price for e in together], abs=0.02)


def test_a_bad_record_stays_its_own_exception(checked, books):
    results = checked.batch([books[0], {"title": ""}, books[1]], return_exceptions=True)
    assert isinstance(results[1], InputError) and results[2].method == "cross_check"


def test_who_disagrees_and_by_how_much_is_said(checked, books, monkeypatch):
    monkeypatch.setattr(checked.cross_check.blend, "agree", 0.0)
    monkeypatch.setattr(checked.cross_check.blend, "disagree", 0.0)
    estimate = checked.invoke(books[0])
    assert estimate.agreement == "disagree" and estimate.flags[0] == "disagreement"
    assert "times the price" in estimate.warnings[0] and "says $" in estimate.warnings[0]


def test_a_wide_interval_is_a_flag_of_doubtful_books_only(checked, books, monkeypatch):
    blend = checked.cross_check.blend
    monkeypatch.setattr(blend, "calibration", blend.calibration.model_copy(update={"wide": 0.0}))
    for threshold, flags in ((0.0, ["disagreement", "wide_interval"]), (1e9, [])):
        monkeypatch.setattr(blend, "disagree", threshold)
        estimate = checked.invoke(books[0])
        assert [flag for flag in estimate.flags if flag != "little_text"] == flags
        assert len(estimate.warnings) == len(estimate.flags)


def test_what_is_missing_is_named(model_name):
    companions = Companions.load(find_model(model_name))
    for gone, words in (
        ({"blend": None}, "no blend"),
        ({"comparables": None}, "no comparables"),
        ({"baselines": {}}, "baseline"),
    ):
        parts = {
            "baselines": companions.baselines,
            "comparables": companions.comparables,
            "blend": companions.blend,
            **gone,
        }
        with pytest.raises(InputError, match=words):
            CrossCheck(Companions(**parts), "mine")


def test_tools_of_a_chain_and_of_any_other_runnable(chain, checked):
    names = [tool.name for tool in pricing_tools(chain)]
    assert names[:3] == ["cross_check_price", "price_book", "find_comparables"] and "baseline_tfidf_ridge" in names
    assert [tool.name for tool in pricing_tools(checked)] == names
    plain = next(tool for tool in pricing_tools(checked) if tool.name == "price_book")
    assert json.loads(plain.invoke({"title": "Emma"}))["method"] == "llm"
    assert [tool.name for tool in pricing_tools(chain | (lambda estimate: estimate))] == ["price_book"]
    assert "find_comparables" in [tool.name for tool in pricing_tools(chain | (lambda e: e), model="embedded")]


def test_names_for_readers():
    assert method_title("tfidf_ridge") == "TF-IDF and ridge" and method_title("llm") == "language model"

"""LangChain's own standard suites over every tool, the retriever and the embeddings."""

import os
from functools import lru_cache

import pytest
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
    ToolsIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests, ToolsUnitTests

from bookpricer import PricingChain, pricing_tools
from bookpricer.tools.catalog import LOOK_UP, Catalogue
from bookpricer.tools.comparables import ComparablesRetriever, WordLlamaEmbeddings
from bookpricer.training.book import Book
from bookpricer.training.comparables import Comparables
from bookpricer.training.dataset import PricedBook

BOOK = {"title": "A History of Rome", "format": "Hardcover", "pages": 480}
NAMES = (
    "cross_check_price",
    "price_book",
    "find_comparables",
    "baseline_linear_regression",
    "baseline_tfidf_ridge",
    LOOK_UP,
)


@lru_cache(maxsize=1)
def tools():
    chain = PricingChain.from_pretrained(os.environ.get("BOOKPRICER_TEST_MODEL", "embedded"))
    return {tool.name: tool for tool in pricing_tools(chain, catalog=Catalogue([Book(title="A History of Rome")]))}


@lru_cache(maxsize=1)
def shelf():
    return Comparables.fit(
        [PricedBook(Book(title=f"{word} and more"), 5.0) for word in ("Rome", "Chess", "Soup", "Sea")]
    )


class _EveryTool:
    """The suites take one tool a class; this names it by the parameter of the class made for it below."""

    tool_name: str

    @property
    def tool_constructor(self):
        return tools()[self.tool_name]

    @property
    def tool_invoke_params_example(self):
        return {"query": "history of rome"} if self.tool_name == LOOK_UP else BOOK


for _name in NAMES:
    _title = "".join(part.capitalize() for part in _name.split("_"))
    for _suite in (ToolsUnitTests, ToolsIntegrationTests):
        _kind = "Unit" if _suite is ToolsUnitTests else "Integration"
        globals()[f"Test{_title}{_kind}"] = type(f"Test{_title}{_kind}", (_EveryTool, _suite), {"tool_name": _name})
del _suite  # or pytest would collect the suite itself


def test_no_tool_is_left_out():
    assert set(tools()) == set(NAMES)


class TestRetriever(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self):
        return ComparablesRetriever

    @property
    def retriever_constructor_params(self):
        return {"comparables": shelf()}

    @property
    def retriever_query_example(self):
        return "a history of Rome"


class TestEmbeddingsUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self):
        return WordLlamaEmbeddings


class TestEmbeddingsIntegration(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self):
        return WordLlamaEmbeddings


@pytest.fixture(autouse=True, scope="module")
def _loaded_once():
    tools()

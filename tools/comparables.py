"""Comparable books for LangChain: embeddings, a retriever, and a tool. Knows LangChain; finds nothing itself.

The search is `training.comparables`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool
from pydantic import ConfigDict, Field, InstanceOf

from ..training.book import Book
from ..training.comparables import Comparables
from ..training.dataset import PricedBook
from ..training.errors import InputError
from ..training.estimate import Comparable
from ..training.model_folder import ModelFolder, find_model
from ..training.vectors import Embed, text_vectors
from .arguments import BookArguments
from .results import Result, comparables_result, make_tool

FIND_COMPARABLES = "find_comparables"
# What a person looks through, and the most that a tool gives.
DEFAULT_K, MOST = 6, 20
_DESCRIPTION = (
    "Find the priced books most like one: title, price and similarity (0 to 1), the most similar first. Use it when "
    "somebody asks for comparables, or what similar books cost. Their prices are evidence, not the price of this book."
)


class WordLlamaEmbeddings(Embeddings):
    """Sentence vectors of 256 dimensions that need no network; `training.vectors` says how they come about.

    Example:
        >>> len(WordLlamaEmbeddings().embed_query("a history of Rome"))
        256
    """

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """The unit vector of each text; zero for one without a token."""
        return [[float(value) for value in vector] for vector in text_vectors(texts)]

    def embed_query(self, text: str) -> list[float]:
        """The unit vector of a text."""
        return self.embed_documents([text])[0]


class ComparablesRetriever(BaseRetriever):
    """The most similar priced books, as documents: the title, with price, currency and similarity in the metadata.

    A query is a text: a title, or a whole listing. `similar` takes a `Book`, which is compared field by field.

    Example:
        ```python
        ComparablesRetriever.from_pretrained("my-model", k=5).invoke("A History of Rome")[0].metadata["price"]

        # Another embedding; name it again when the index is loaded.
        ComparablesRetriever.from_books(priced_books, embeddings=HuggingFaceEmbeddings(model_name="…"))
        ```
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    comparables: InstanceOf[Comparables]
    k: int = Field(DEFAULT_K, ge=1)
    currency: str = "USD"
    unit: float = 1.0

    @classmethod
    def from_books(
        cls, books: Sequence[PricedBook], *, embeddings: Embeddings | None = None, **kwargs: Any
    ) -> ComparablesRetriever:
        """Over priced books, with WordLlama's vectors or those of `embeddings`.

        Raises:
            InputError: no books.
        """
        return cls(comparables=Comparables.fit(books, _embed(embeddings)), **kwargs)

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, embeddings: Embeddings | None = None, **kwargs: Any
    ) -> ComparablesRetriever:
        """Over the comparables of a model folder, a hub id or `embedded`.

        Raises:
            InputError: no such model, one without comparables, or one made with other embeddings.
        """
        folder = ModelFolder(find_model(name))
        config = folder.config
        if not folder.comparables.is_dir():
            raise InputError(f"{name} holds no comparables; make them with `bookpricer train`")
        comparables = Comparables.load(folder.comparables, _embed(embeddings))
        return cls(comparables=comparables, currency=config.currency, unit=config.unit, **kwargs)

    def similar(self, book: Book, k: int | None = None) -> list[Comparable]:
        """The `k` most similar priced books of a book, prices in `currency`."""
        return self.comparables.find([book], k or self.k, unit=self.unit)[0]

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        return [
            Document(
                page_content=found.title,
                metadata={"price": found.price, "currency": self.currency, "similarity": found.similarity},
            )
            for found in self.similar(Book.from_text(query), k)
        ]


class ComparablesArguments(BookArguments):
    """A book, and how many like it are wanted."""

    k: int = Field(DEFAULT_K, ge=1, le=MOST, description="How many comparable books.")


def comparables_tool(retriever: ComparablesRetriever) -> BaseTool:
    """The tool that finds comparable books: `find_comparables`."""

    def run(arguments: ComparablesArguments) -> Result:
        book = arguments.book()
        if not (book.title or book.description or book.author):
            raise InputError("this book has no text to compare; give at least a title or a description")
        return comparables_result(book, retriever.similar(book, arguments.k), retriever.currency)

    return make_tool(FIND_COMPARABLES, _DESCRIPTION, ComparablesArguments, run)


def _embed(embeddings: Embeddings | None) -> Embed | None:
    return None if embeddings is None or isinstance(embeddings, WordLlamaEmbeddings) else embeddings.embed_documents

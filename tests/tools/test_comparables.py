import numpy as np
import pytest
from langchain_core.embeddings import Embeddings

from bookpricer.tools.comparables import ComparablesRetriever, WordLlamaEmbeddings, comparables_tool
from bookpricer.training.comparables import Comparables
from bookpricer.training.errors import InputError


class Letters(Embeddings):
    """Counts letters: another embedding, with a dimension of its own."""

    def embed_documents(self, texts):
        return [[float(text.lower().count(chr(97 + i))) for i in range(26)] for text in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]


def test_finds_the_most_similar_with_price_and_similarity(comparables):
    documents = ComparablesRetriever(comparables=comparables, k=2).invoke("A textbook of algebra")
    assert {document.page_content for document in documents} == {"Linear Algebra", "Abstract Algebra"}
    assert documents[0].metadata["similarity"] >= documents[1].metadata["similarity"]
    assert {document.metadata["price"] for document in documents} == {90.0, 110.0}


def test_another_embedding_takes_wordllamas_place(shelf, tmp_path):
    retriever = ComparablesRetriever.from_books(shelf, embeddings=Letters(), k=1)
    assert retriever.invoke("Emma")[0].page_content == "Emma"
    retriever.comparables.save(tmp_path)
    again = Comparables.load(tmp_path, Letters().embed_documents)
    assert again.title(0) == "Emma"
    with pytest.raises(InputError, match="another embedding"):
        Comparables.load(tmp_path)


def test_wordllama_is_the_default_and_needs_no_network():
    vectors = np.array(WordLlamaEmbeddings().embed_documents(["chess openings", "how to play chess", "soup"]))
    assert vectors.shape == (3, 256) and vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_a_folder_without_comparables_is_named():
    from bookpricer.training.model_folder import find_base

    with pytest.raises(InputError):
        ComparablesRetriever.from_pretrained(find_base("embedded"))


def test_the_tool_answers_and_refuses_in_words(comparables):
    tool = comparables_tool(ComparablesRetriever(comparables=comparables, currency="EUR"))
    message = tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": {"title": "Emma", "k": 2}})
    assert message.artifact["currency"] == "EUR" and message.artifact["comparables"][0]["title"] == "Emma"
    for arguments, words in (({}, "no text to compare"), ({"title": "Emma", "k": 99}, "'k'")):
        refused = tool.invoke({"type": "tool_call", "id": "1", "name": tool.name, "args": arguments})
        assert refused.status == "error" and words in refused.text

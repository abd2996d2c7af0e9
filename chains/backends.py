"""Which model answers, by one argument: a server's address, a chat model's name, a LangChain model, or a scorer.

Knows how to reach them; knows nothing about books.
"""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseLanguageModel
from langchain_core.runnables import Runnable

from ..training.errors import InputError
from ..training.loading import Pricer
from ..training.remote import RemoteScorer
from ..training.server import Server
from .llm import Backend, BackendLLM

# What `backend` may be: a URL or a "provider:model", a LangChain model, or whatever gives price distributions.
BackendLike = str | Runnable[Any, Any] | Backend


def connect(backend: BackendLike, pricer: Pricer) -> Runnable[Any, Any]:
    """The LangChain model that asks `backend` in the place of the local one.

    Args:
        backend: the address of an OpenAI-compatible server that runs the pricer's model, such as
            `http://localhost:8000/v1`; a chat model such as `openai:gpt-…`, or any LangChain LLM or chat model, whose
            words are read; or an object with `price_distributions(prompts)`.
        pricer: gives the tokenizer, and the name in caches.

    Raises:
        InputError: none of these.
    """
    if isinstance(backend, str):
        if backend.startswith(("http://", "https://")):
            scorer = RemoteScorer(Server(backend), pricer.tokenizer)
            return BackendLLM(backend=scorer, name_in_cache=f"{backend} {pricer.fingerprint}")
        return _chat_model(backend)
    if isinstance(backend, Runnable):
        return backend
    if isinstance(backend, Backend):
        return BackendLLM(backend=backend, name_in_cache=f"{type(backend).__name__} {id(backend)} {pricer.fingerprint}")
    raise InputError(f"a backend is an address, a LangChain model or has price_distributions, not {type(backend)!r}")


def model_name(llm: Runnable[Any, Any]) -> str:
    """What an estimate calls a LangChain model."""
    named = (getattr(llm, attribute, None) for attribute in ("model_name", "model", "model_id"))
    return next((name for name in named if isinstance(name, str) and name), llm.get_name())


def _chat_model(name: str) -> Runnable[Any, Any]:
    provider, colon, model = name.partition(":")
    if not (colon and provider and model):
        raise InputError(
            f"{name!r} is no backend; give the address of a server, such as http://localhost:8000/v1, or a chat model, "
            "such as openai:gpt-5"
        )
    from langchain.chat_models import init_chat_model

    try:
        chat: BaseLanguageModel[Any] = init_chat_model(name)
    except ImportError as error:
        raise InputError(f"{name} needs another package: {str(error).splitlines()[0]}") from error
    except Exception as error:  # a missing key, an unknown provider: every provider raises its own
        raise InputError(f"the chat model {name} cannot be used ({str(error).splitlines()[0][:200]})") from error
    return chat

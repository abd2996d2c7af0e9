"""Pricing models as LangChain LLMs: the local one, and any backend. Knows prompts; knows nothing about books."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseLLM
from langchain_core.outputs import Generation, GenerationChunk, LLMResult
from langchain_huggingface import HuggingFacePipeline
from pydantic import ConfigDict, InstanceOf, PrivateAttr

from ..training.distribution import PriceDistribution
from ..training.errors import InputError
from ..training.loading import Pricer, load_pricer
from ..training.prompt import is_prompt


@runtime_checkable
class Backend(Protocol):
    """Whatever reads price distributions: a local model, a remote server."""

    def price_distributions(self, prompts: Sequence[str]) -> list[PriceDistribution]:
        """The price distribution after each standardized prompt."""


class PricingLLM(HuggingFacePipeline):
    """A causal language model that reads prices off its logits.

    A prompt that is exactly the standardized one is scored: the generation's text is the median price in whole units,
    and its `generation_info["distribution"]` the 1,000 probabilities (plain numbers, which LangChain's caches can
    keep). Any other prompt generates text, as the base class does.

    Example:
        ```python
        llm = PricingLLM.from_pretrained("embedded")
        llm.price_distributions([prompt])[0].median
        (prompt_template | llm | PriceParser()).invoke({"content": "…"})
        ```
    """

    _pricer: Pricer = PrivateAttr()

    @classmethod
    def from_pretrained(
        cls, name: str | Path = "embedded", *, revision: str | None = None, device: str | None = None, **kwargs: Any
    ) -> PricingLLM:
        """Load a model folder, a hub id, `embedded`, or a plain causal language model.

        Raises:
            InputError: no such model, or one that cannot be used.
        """
        return cls.from_pricer(load_pricer(name, revision=revision, device=device), **kwargs)

    @classmethod
    def from_pricer(cls, pricer: Pricer, **kwargs: Any) -> PricingLLM:
        """Around a pricer that is loaded already."""
        from transformers import pipeline

        generate = pipeline(
            "text-generation", model=pricer.model, tokenizer=pricer.tokenizer, device=pricer.model.device
        )
        kwargs.setdefault("pipeline_kwargs", {"max_new_tokens": 8, "do_sample": False})
        llm = cls(pipeline=generate, model_id=pricer.name, **kwargs)
        llm._pricer = pricer
        return llm

    @property
    def pricer(self) -> Pricer:
        """The loaded model with its tokenizer, configuration and calibration."""
        return self._pricer

    def price_distributions(
        self, prompts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> list[PriceDistribution]:
        """The price distribution after each standardized prompt, scored together in length-sorted batches."""
        return self._pricer.scorer.price_distributions(prompts, progress)

    @property
    def _llm_type(self) -> str:
        return "bookpricer"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        """What LangChain's cache tells models apart by."""
        return {
            **super()._identifying_params,
            "path": str(self._pricer.path),
            "revision": self._pricer.revision,
            "fingerprint": self._pricer.fingerprint,
        }

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        scored = [index for index, prompt in enumerate(prompts) if is_prompt(prompt)]
        generations: dict[int, Generation] = {}
        for index, distribution in zip(scored, self.price_distributions([prompts[i] for i in scored]), strict=True):
            generations[index] = _generation(distribution)
        others = [index for index in range(len(prompts)) if index not in generations]
        if others:
            kwargs.setdefault("pipeline_kwargs", self.pipeline_kwargs or {})
            kwargs.setdefault("skip_prompt", True)
            written = super()._generate([prompts[i] for i in others], stop, run_manager, **kwargs)
            generations.update({i: texts[0] for i, texts in zip(others, written.generations, strict=True)})
        return LLMResult(generations=[[generations[index]] for index in range(len(prompts))])

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        if not is_prompt(prompt):
            kwargs.setdefault("pipeline_kwargs", self.pipeline_kwargs or {})
            yield from super()._stream(prompt, stop, run_manager, **kwargs)
            return
        generation = _generation(self.price_distributions([prompt])[0])
        chunk = GenerationChunk(text=generation.text, generation_info=generation.generation_info)
        if run_manager:
            run_manager.on_llm_new_token(chunk.text, chunk=chunk)
        yield chunk


class BackendLLM(BaseLLM):
    """Any backend as a LangChain LLM, which answers standardized prompts as `PricingLLM` does, and no others.

    Args:
        backend: what reads price distributions.
        name_in_cache: what LangChain's cache tells it from others by.

    Example:
        ```python
        server = Server("http://localhost:8000/v1")
        llm = BackendLLM(backend=RemoteScorer(server, tokenizer), name_in_cache=server.url)
        ```
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    backend: InstanceOf[Backend]
    name_in_cache: str

    def price_distributions(self, prompts: Sequence[str]) -> list[PriceDistribution]:
        """The backend's price distribution after each standardized prompt."""
        return self.backend.price_distributions(prompts)

    @property
    def _llm_type(self) -> str:
        return "bookpricer-backend"

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {"backend": self.name_in_cache}

    def _generate(
        self,
        prompts: list[str],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> LLMResult:
        if not all(map(is_prompt, prompts)):
            raise InputError("this backend only prices; give it the standardized prompt, such as PricingChain makes")
        return LLMResult(generations=[[_generation(found)] for found in self.price_distributions(prompts)])


def _generation(distribution: PriceDistribution) -> Generation:
    info: dict[str, Any] = {"distribution": distribution.probabilities.tolist()}
    if distribution.untold:
        info["untold"] = distribution.untold
    return Generation(text=f"{distribution.median:.0f}", generation_info=info)

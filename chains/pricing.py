"""The pricing chain: any record of a book in, a PriceEstimate out. Knows LLMs by LangChain's interface only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import BaseLLM
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import BaseOutputParser
from langchain_core.outputs import Generation
from langchain_core.prompt_values import PromptValue, StringPromptValue
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSerializable
from langchain_core.runnables.config import run_in_executor
from pydantic import ConfigDict, Field, InstanceOf, ValidationError

from ..training.book import Book
from ..training.calibration import Calibration
from ..training.columns import to_book
from ..training.distribution import PRICES, PriceDistribution
from ..training.errors import InputError
from ..training.estimate import CLOSE, DEFAULT_COVERAGE, Flag, PriceEstimate
from ..training.loading import DEFAULT_CONTENT_TOKENS, Pricer, describe_pricer, load_pricer, load_tokenizer
from ..training.model_folder import EMBEDDED, find_base
from ..training.money import parse_number
from ..training.prompt import TAIL, CutContent, PromptBuilder, build_prompt
from .backends import BackendLike, connect, model_name
from .cross_check import Companions, CrossCheck
from .llm import Backend, PricingLLM

BookInput = Book | Mapping[str, Any] | str

# A title, an author and not much else.
LITTLE_TEXT_TOKENS = 24
# Without a calibration to tell what is usual: an interval of one and a half times the price is wide.
_WIDE = 1.5
# A server's silence about less than this moves no price.
_MUCH_UNTOLD = 0.01
_NUMBER = r"\d(?:[\d.,'’\u00a0\u202f]*\d)?"
_DOLLARS = re.compile(rf"(?:US)?\$\s*({_NUMBER})|({_NUMBER})\s*(?:US\s*)?(?:dollars?|USD|bucks)\b", re.IGNORECASE)
_ANY_NUMBER = re.compile(_NUMBER)


class PriceParser(BaseOutputParser[PriceEstimate]):
    """Reads a PriceEstimate off an LLM's answer: its price distribution where it brings one, else its words.

    Words give a point price (`method="text"`, no interval). The answer is read after the last `Answer: $`, since an LLM
    may echo its prompt; a dollar amount counts before any other number, and the last amount before earlier ones.

    Example:
        >>> PriceParser().parse("I'd say about $1,234.56.").price
        1234.56
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    calibration: Calibration | None = None
    coverage: float = Field(DEFAULT_COVERAGE, gt=0, lt=1)
    currency: str = "USD"
    unit: float = 1.0
    model: str = "unknown"

    def parse(self, text: str) -> PriceEstimate:
        """The estimate that the words of `text` give.

        Raises:
            OutputParserException: no price in the text.
        """
        answer = text.rpartition(TAIL.strip())[2]
        amounts = [match[1] or match[2] for match in _DOLLARS.finditer(answer)] or _ANY_NUMBER.findall(answer)
        if not amounts:
            raise OutputParserException(f"there is no price in the model's answer {answer[:80]!r}", llm_output=text)
        # After "Answer: $" the number comes first; in free words the conclusion comes last.
        amount = amounts[0] if len(answer) < len(text) else amounts[-1]
        price = parse_number(amount) * self.unit
        return PriceEstimate(price=price, method="text", model=self.model, currency=self.currency, unit=self.unit)

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> PriceEstimate:
        """The estimate of the first generation: by its distribution where it has one, else by its text."""
        info = result[0].generation_info or {}
        if "distribution" not in info:
            return self.parse(result[0].text)
        return self.estimate(PriceDistribution(info["distribution"], info.get("untold", 0.0)))

    def parse_samples(self, texts: Sequence[str]) -> PriceEstimate:
        """The estimate of several answers to one question: their median, and the interval that they span.

        Raises:
            OutputParserException: no price in any of them.
        """
        prices, failures = [], []
        for text in texts:
            try:
                prices.append(self.parse(text).price)
            except OutputParserException as failure:
                failures.append(failure)
        if not prices:
            raise failures[0]
        units = np.clip(np.floor(np.array(prices) / self.unit + 0.5), 0, PRICES - 1).astype(int)
        distribution = PriceDistribution(np.bincount(units, minlength=PRICES).astype(np.float64))
        # The calibration is of another model's distributions.
        estimate = self.model_copy(update={"calibration": None}).estimate(distribution)
        warnings = list(estimate.warnings)
        if failures:
            warnings.append(f"{len(failures)} of the model's {len(texts)} answers name no price.")
        if len(set(prices)) == 1 and len(texts) > 1:
            warnings.append("All answers are the same; a model with a temperature above 0 would show how sure it is.")
        return estimate.model_copy(
            update={"price": round(float(np.median(prices)), 2), "method": "text", "warnings": warnings}
        )

    def estimate(self, distribution: PriceDistribution) -> PriceEstimate:
        """The estimate of a price distribution over units."""
        median = distribution.median
        if self.calibration:
            low, high = self.calibration.interval(distribution, self.coverage)
        else:
            low, high = distribution.interval(self.coverage)
        flags: list[Flag] = []
        warnings = []
        if high - low > (self.calibration.wide if self.calibration else _WIDE) * max(median, 1):
            flags.append("wide_interval")
            warnings.append("The model is less sure of this book than of most.")
        if high >= PRICES - 1:
            flags.append("out_of_range")
            warnings.append(
                f"The price may be above {(PRICES - 1) * self.unit:,.0f} {self.currency}, the model's limit."
            )
        # Those above belong to the flags, one each; what follows has none.
        if distribution.untold >= _MUCH_UNTOLD:
            warnings.append(
                f"The server names its likeliest tokens only: {distribution.untold:.0%} of the probability is spread "
                "over prices near those by assumption. Let it return more log-probabilities."
            )
        return PriceEstimate(
            price=round(median * self.unit, 2),
            low=round(low * self.unit, 2),
            high=round(high * self.unit, 2),
            coverage=self.coverage,
            confidence=round(distribution.probability_within(median, CLOSE), 4),
            method="llm",
            model=self.model,
            currency=self.currency,
            unit=self.unit,
            flags=flags,
            warnings=warnings,
            distribution=distribution,
        )

    @property
    def _type(self) -> str:
        return "price"


class PricingChain(RunnableSerializable[BookInput, PriceEstimate]):
    """Prices books: standardized prompt, LLM, parser, as one Runnable.

    Takes a `Book`, a record under any common column names, or plain words. `batch` checks the records first and scores
    the good ones together; with `return_exceptions=True` a bad record is its own exception and the rest are priced.

    Args:
        llm: a `PricingLLM`, or any other LangChain LLM or chat model, whose words are then read.
        samples: how often to ask a model whose words are read; several give an interval.
        builder: makes the prompts; with the embedded model's tokenizer where None.
        parser: makes the estimates.
        cross_check: holds each estimate against baselines and comparables; without, the LLM alone prices.

    Example:
        ```python
        chain = PricingChain.from_pretrained("embedded")
        chain.invoke({"title": "A History of Rome", "format": "Hardcover", "pages": 480}).price
        ```
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    llm: InstanceOf[Runnable]
    builder: InstanceOf[PromptBuilder] = Field(default_factory=lambda: _default_builder())
    parser: PriceParser = Field(default_factory=PriceParser)
    samples: int = Field(1, ge=1)
    cross_check: InstanceOf[CrossCheck] | None = None

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = EMBEDDED,
        *,
        revision: str | None = None,
        device: str | None = None,
        in_4bit: bool = False,
        coverage: float = DEFAULT_COVERAGE,
        cross_check: bool = False,
        backend: BackendLike | None = None,
        samples: int = 1,
    ) -> PricingChain:
        """The chain of a model folder, a hub id or `embedded`.

        Args:
            in_4bit: keep a QLoRA-tuned model's base in 4 bits, for a GPU that is too small for it in 16.
            coverage: share of books whose true price lies within `low` and `high`.
            cross_check: blend the model's estimates with those of the folder's baselines and comparables.
            backend: what runs the model in the place of this process; see `connect`.
            samples: how often to ask a backend whose words are read.

        Raises:
            InputError: no such model, one that cannot be used, or nothing in its folder to cross-check with.
        """
        if backend is None:
            pricer = load_pricer(name, revision=revision, device=device, in_4bit=in_4bit)
            return cls.from_pricer(pricer, coverage=coverage, cross_check=cross_check)
        pricer = describe_pricer(name, revision=revision)
        llm = connect(backend, pricer)
        chain = cls.from_pricer(pricer, llm=llm, coverage=coverage, cross_check=cross_check)
        if _gives_distributions(llm):
            return chain
        # Another model's words: neither calibrated nor a demonstration.
        parser = chain.parser.model_copy(update={"calibration": None, "model": model_name(llm)})
        return chain.model_copy(update={"parser": parser, "samples": samples})

    @classmethod
    def from_pricer(
        cls,
        pricer: Pricer,
        *,
        llm: Runnable[Any, Any] | None = None,
        coverage: float = DEFAULT_COVERAGE,
        cross_check: bool = False,
    ) -> PricingChain:
        """The chain around a pricer that is loaded already.

        Raises:
            InputError: nothing in its folder to cross-check with.
        """
        config = pricer.config
        return cls(
            llm=llm or PricingLLM.from_pricer(pricer),
            builder=pricer.prompt_builder(),
            parser=PriceParser(
                calibration=pricer.calibration,
                coverage=coverage,
                currency=config.currency,
                unit=config.unit,
                model=f"{pricer.name} (demonstration model)" if config.demonstration else pricer.name,
            ),
            cross_check=CrossCheck(Companions.load(pricer.path), pricer.name) if cross_check else None,
        )

    @property
    def calibration(self) -> Calibration | None:
        """What the intervals of its estimates are made with."""
        return self.cross_check.blend.calibration if self.cross_check else self.parser.calibration

    # LangChain hands the configuration to a function that names it; its type hints know only other forms.
    def invoke(self, input: BookInput, config: RunnableConfig | None = None, **kwargs: Any) -> PriceEstimate:
        """Price one book.

        Raises:
            InputError: a record without any text, or with a field that cannot be read.
        """
        return self._call_with_config(self._price_one, input, config, **kwargs)  # type: ignore[arg-type]

    async def ainvoke(self, input: BookInput, config: RunnableConfig | None = None, **kwargs: Any) -> PriceEstimate:
        """Price one book without blocking the event loop."""
        return await self._acall_with_config(self._aprice_one, input, config, **kwargs)  # type: ignore[arg-type]

    def batch(
        self,
        inputs: Sequence[BookInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """Price many books in one scoring run, in the order of `inputs`."""
        return self._batch_with_config(
            self._price_many,  # type: ignore[arg-type]
            list(inputs),
            config,
            return_exceptions=return_exceptions,
            **kwargs,
        )

    async def abatch(
        self,
        inputs: Sequence[BookInput],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[Any]:
        """As `batch`, without blocking the event loop."""
        return await self._abatch_with_config(
            self._aprice_many,  # type: ignore[arg-type]
            list(inputs),
            config,
            return_exceptions=return_exceptions,
            **kwargs,
        )

    def _price_one(self, value: BookInput, config: RunnableConfig, **kwargs: Any) -> PriceEstimate:
        return _only(self._price_many([value], [config], **kwargs))

    async def _aprice_one(self, value: BookInput, config: RunnableConfig, **kwargs: Any) -> PriceEstimate:
        return _only(await self._aprice_many([value], [config], **kwargs))

    def _price_many(
        self, values: list[BookInput], config: list[RunnableConfig], **kwargs: Any
    ) -> list[PriceEstimate | Exception]:
        prepared = self._prepare(values)
        prompts, configs = _good(prepared, config, self._asked)
        answers: Sequence[Any] = []
        if prompts and isinstance(self.llm, BaseLLM):
            # Not `batch`, which hands on the text only: the distribution travels in the generation.
            callbacks = [child.get("callbacks") for child in configs]
            answers = self.llm.generate_prompt(prompts, callbacks=callbacks, **kwargs).generations
        elif prompts:
            answers = self.llm.batch(prompts, configs, return_exceptions=True, **kwargs)
        return self._checked_against_others(values, self._finish(prepared, answers))

    async def _aprice_many(
        self, values: list[BookInput], config: list[RunnableConfig], **kwargs: Any
    ) -> list[PriceEstimate | Exception]:
        prepared = await run_in_executor(None, self._prepare, values)
        prompts, configs = _good(prepared, config, self._asked)
        answers: Sequence[Any] = []
        if prompts and isinstance(self.llm, BaseLLM):
            callbacks = [child.get("callbacks") for child in configs]
            answers = (await self.llm.agenerate_prompt(prompts, callbacks=callbacks, **kwargs)).generations
        elif prompts:
            answers = await self.llm.abatch(prompts, configs, return_exceptions=True, **kwargs)
        return await run_in_executor(None, self._checked_against_others, values, self._finish(prepared, answers))

    @property
    def _asked(self) -> int:
        """How often the LLM is asked about a book; once where its distribution says all."""
        return 1 if _gives_distributions(self.llm) else self.samples

    def _checked_against_others(
        self, values: Sequence[BookInput], results: list[PriceEstimate | Exception]
    ) -> list[PriceEstimate | Exception]:
        """The results with each estimate cross-checked, where the chain does that."""
        if self.cross_check is None:
            return results
        priced = [
            (row, result, book)
            for row, (value, result) in enumerate(zip(values, results, strict=True))
            if isinstance(result, PriceEstimate) and isinstance(book := _checked(value), Book)
        ]
        checked = self.cross_check.check(
            [book for _, _, book in priced], [estimate for _, estimate, _ in priced], self.parser
        )
        for (row, _, _), estimate in zip(priced, checked, strict=True):
            results[row] = estimate
        return results

    def _prepare(self, values: Sequence[BookInput]) -> list[CutContent | InputError]:
        """The content of each book, or what is wrong with it."""
        books = [_checked(value) for value in values]
        contents = iter(self.builder.contents(book for book in books if isinstance(book, Book)))
        prepared: list[CutContent | InputError] = []
        for book in books:
            content = next(contents) if isinstance(book, Book) else book
            if isinstance(content, CutContent) and not content.text:
                content = InputError("this book has no text to price it by; give at least a title or a description")
            prepared.append(content)
        return prepared

    def _finish(
        self, prepared: Sequence[CutContent | InputError], answers: Sequence[Any]
    ) -> list[PriceEstimate | Exception]:
        """The estimate of each book whose turn it is in `answers`; the others keep their error."""
        remaining = iter(answers)
        results: list[PriceEstimate | Exception] = []
        for content in prepared:
            if isinstance(content, InputError):
                results.append(content)
                continue
            asked = [next(remaining) for _ in range(self._asked)]
            try:
                results.append(_flag_little_text(self._parse(asked), content))
            except Exception as error:  # one book's answer must not take the others' with it
                results.append(error)
        return results

    def _parse(self, answers: Sequence[Any]) -> PriceEstimate:
        if len(answers) == 1:
            return self.parser.parse_result(_generations(answers[0]))
        failures = [answer for answer in answers if isinstance(answer, Exception)]
        if len(failures) == len(answers):
            raise failures[0]
        return self.parser.parse_samples(
            ["" if isinstance(answer, Exception) else _generations(answer)[0].text for answer in answers]
        )


def _gives_distributions(llm: Runnable[Any, Any]) -> bool:
    return isinstance(llm, Backend)


def _default_builder() -> PromptBuilder:
    return PromptBuilder(load_tokenizer(find_base(EMBEDDED)), DEFAULT_CONTENT_TOKENS)


def _only(results: Sequence[PriceEstimate | Exception]) -> PriceEstimate:
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


def _checked(value: Any) -> Book | InputError:
    """The Book that a caller means, or what is wrong with it."""
    if isinstance(value, Book):
        return value
    try:
        if isinstance(value, str):
            return Book.from_text(value)
        if isinstance(value, Mapping):
            return to_book({str(name): item for name, item in value.items()})
    except ValidationError as error:
        first = error.errors()[0]
        return InputError(f"the field {'.'.join(map(str, first['loc']))!r} cannot be read: {first['msg']}")
    return InputError(f"a book is a Book, a record or a text, not {type(value).__name__}")


def _good(
    prepared: Sequence[CutContent | InputError], configs: Sequence[RunnableConfig], times: int = 1
) -> tuple[list[PromptValue], list[RunnableConfig]]:
    """The prompts of the usable books, each so many times, and the configuration that each came with."""
    pairs = [
        (StringPromptValue(text=build_prompt(content.text)), config)
        for content, config in zip(prepared, configs, strict=True)
        if isinstance(content, CutContent)
        for _ in range(times)
    ]
    return [prompt for prompt, _ in pairs], [config for _, config in pairs]


def _generations(answer: Any) -> list[Generation]:
    """What any Runnable answers, as generations: a BaseLLM's own, a chat model's message, or a text."""
    if isinstance(answer, Exception):
        raise answer
    if isinstance(answer, list):
        return answer
    return [Generation(text=answer.text if isinstance(answer, BaseMessage) else str(answer))]


def _flag_little_text(estimate: PriceEstimate, content: CutContent) -> PriceEstimate:
    if content.tokens >= LITTLE_TEXT_TOKENS:
        return estimate
    warnings = list(estimate.warnings)
    warnings.insert(len(estimate.flags), "There is little text to price this book by.")
    return estimate.model_copy(update={"flags": [*estimate.flags, "little_text"], "warnings": warnings})

"""The model card of a model folder: README.md with the hub's header, written from the run that made the folder.

Knows `pricer.json`, the reports and the licences; loads no weights. What a folder does not say is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ..book import Book
from ..model_folder import EMBEDDED, ModelFolder, PricerConfig
from .licences import Licence, licence_of, name_breaks_licence

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

CARD = "README.md"
TAG = "book-pricer"
# What the rows of a language model are called in the reports.
_MODEL_ROWS = ("llm", "model", "embedded model")
_HUB_METRICS = {
    "mae": ("mae", "Mean absolute error"),
    "median_ae": ("median_absolute_error", "Median absolute error"),
    "rmsle": ("rmsle", "Root mean squared logarithmic error"),
    "r2": ("r_squared", "R²"),
    "hit_rate": ("hit_rate", "Share within 20 % or 40 units"),
    "coverage": ("coverage", "Share of prices that the intervals hold"),
}
_EXAMPLE = Book(
    title="A History of Rome",
    author="Ann Reed",
    details={"Format": "Hardcover", "Pages": "480", "Publisher": "Example Press"},
    description=("From the first kings to the last emperor, with maps.",),
)


def build_card(folder: Path, name: str | None = None, *, left_out: Sequence[str] = ()) -> str:
    """The card of a model folder, with an adapter or with a whole model.

    Args:
        folder: the model folder.
        name: what others load it by, such as its hub id; the folder's name where None.
        left_out: what of the folder is not beside the card, in words.

    Raises:
        InputError: not a model folder.
    """
    files = ModelFolder(folder)
    config, name = files.config, name or folder.name
    licence = licence_of(config.base_model)
    rows, training = read_errors(folder), _read(files.report / "training.json")
    parts = [
        f"# {name.rsplit('/', 1)[-1]}",
        f"**{licence.built_with}**" if licence.built_with else "",
        _what_it_is(config, files),
        _how_to_use(name, config, files),
        _serving(name, config, files) if files.weights == folder else "",
        _left_out(left_out),
        _training(config, training, books_by_split(folder)),
        _errors(rows, config, files.weights == folder),
        _uses_and_limits(config),
        _licence(name, config, licence),
    ]
    return with_header(_metadata(name, config, files, licence, rows), "\n\n".join(filter(None, parts)))


def with_header(metadata: Mapping[str, Any], text: str) -> str:
    """A card's text below the header that the hub reads, written by the hub's own client."""
    from huggingface_hub import ModelCardData

    data = ModelCardData(**metadata)
    return f"---\n{data.to_yaml()}\n---\n\n{text.strip()}\n"


def errors_table(rows: Mapping[str, Mapping[str, Any]], money: str = "$40") -> str:
    """Errors of each method in Markdown; `money` is how 40 units are written."""
    lines = [
        f"| {name} | {row['mae']:.2f} | {row['median_ae']:.2f} | {row['hit_rate']:.0%} |" for name, row in rows.items()
    ]
    return "\n".join([f"| method | mean | median | within 20 % or {money} |", "|---|---:|---:|---:|", *lines])


def read_errors(folder: Path) -> dict[str, dict[str, Any]]:
    """Method -> errors on the test books, from the folder's reports; empty where there are none."""
    files = ModelFolder(folder)
    found: dict[str, dict[str, Any]] = {}
    for report in (_read(files.report / "evaluation.json"), _read(files.baselines / "results.json")):
        methods: dict[str, Any] = next(
            (report[key] for key in ("test", "methods") if isinstance(report.get(key), dict)), {}
        )
        for key, row in methods.items():
            if isinstance(row, dict) and {"mae", "median_ae", "hit_rate"} <= set(row):
                found.setdefault(key, row)
    # Baselines that were measured on other books than the model stand in no table with it.
    sizes = {row.get("n") for key, row in found.items() if key in _MODEL_ROWS}
    return {key: row for key, row in found.items() if not sizes or row.get("n") in sizes}


def books_by_split(folder: Path) -> dict[str, int]:
    """How many books each split had, as the training's report or the baselines' says; empty where neither does."""
    files = ModelFolder(folder)
    for report in (_read(files.report / "training.json"), _read(files.baselines / "results.json")):
        books = report.get("books")
        if isinstance(books, dict):
            return {str(split): size for split, size in books.items() if isinstance(size, int)}
    return {}


def is_local(base_model: str) -> bool:
    """Whether a base model is a folder on this machine, which nobody else can find."""
    return base_model != EMBEDDED and (base_model.count("/") != 1 or Path(base_model).expanduser().exists())


def _metadata(
    name: str, config: PricerConfig, files: ModelFolder, licence: Licence, rows: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "license": licence.id,
        "library_name": "peft" if files.adapter.exists() else "transformers",
        "pipeline_tag": "text-generation",
        "tags": [TAG, *(["lora", "qlora"] if files.adapter.exists() else []), "price-estimation", "books"],
    }
    if config.demonstration:
        data["tags"].append("demonstration")
    if licence.id == "other" and not is_local(config.base_model):
        data |= {"license_name": "license-of-the-base-model", "license_link": licence.link}
    if config.base_model != EMBEDDED and not is_local(config.base_model):
        data["base_model"] = config.base_model
        data["base_model_relation"] = "adapter" if files.adapter.exists() else "finetune"
    if results := _eval_results(rows, config):
        data |= {"model_name": name.rsplit("/", 1)[-1], "eval_results": results, "metrics": ["mae"]}
    return data


def _eval_results(rows: Mapping[str, Mapping[str, Any]], config: PricerConfig) -> list[EvalResult]:
    """The model's own errors in the hub's form."""
    from huggingface_hub import EvalResult

    row: Mapping[str, Any] = next((rows[name] for name in _MODEL_ROWS if name in rows), {})
    return [
        EvalResult(
            task_type="text-generation",
            task_name="Price estimation",
            dataset_type="priced-books",
            dataset_name=f"Priced books{f' {config.data_fingerprint[:12]}' if config.data_fingerprint else ''}",
            dataset_split="test",
            metric_type=kind,
            metric_name=title
            if kind in ("r_squared", "rmsle", "hit_rate", "coverage")
            else f"{title}, {_unit(config)}",
            metric_value=round(float(row[key]), 4),
        )
        for key, (kind, title) in _HUB_METRICS.items()
        if isinstance(row.get(key), int | float) and math.isfinite(row[key])
    ]


def _what_it_is(config: PricerConfig, files: ModelFolder) -> str:
    base = _base(config)
    if not config.base_model:
        return "Book Pricer's baselines, which price books from their text without a language model."
    made = (
        f"LoRA weights for {base}, rounded to NF4 (QLoRA)"
        if files.adapter.exists() and config.quantized
        else f"LoRA weights for {base}"
        if files.adapter.exists()
        else f"{base}, tuned; all weights are here"
    )
    text = (
        f"A model that prices books from their text: {made}. It reads a book's title, author, facts and description in "
        f"one standardized prompt, and its next tokens are the price, a whole number from 0 to 999 of {_unit(config)}. "
        "Read whole, they give each price its probability; the estimate is the median."
    )
    if config.demonstration:
        text = (
            "**A demonstration model**, made on synthetic books. It shows how Book Pricer works; do not sell or buy by "
            f"it.\n\n{text}"
        )
    return text


def _how_to_use(name: str, config: PricerConfig, files: ModelFolder) -> str:
    if not config.base_model:
        return ""
    intervals = (
        "`low` and `high` are calibrated: 80 of 100 prices lie within."
        if files.calibration.exists()
        else "`low` and `high` are the model's own 80 % interval; it was not calibrated."
    )
    return f"""## How to use it

```python
from bookpricer import PricingChain

chain = PricingChain.from_pretrained({json.dumps(name)})
estimate = chain.invoke({{"title": "A History of Rome", "format": "Hardcover", "pages": 480}})
estimate.price, estimate.low, estimate.high  # in {config.currency}
```

{intervals}{_evidence_by_itself(config)}"""


def _evidence_by_itself(config: PricerConfig) -> str:
    if not config.evidence:
        return ""
    return (
        " The model reads evidence: the prices of similar books and the baselines' estimates, which Book Pricer writes "
        "into the first line of the content from the folder's `baselines/`."
    )


def _serving(name: str, config: PricerConfig, files: ModelFolder) -> str:
    """How to ask a whole model without Book Pricer."""
    from ..evidence import Evidence
    from ..loading import load_tokenizer
    from ..price_tokens import PriceTrie
    from ..prompt import PromptBuilder

    tokenizer = load_tokenizer(files.weights)
    evidence = Evidence.load(config.evidence, files.baselines) if config.evidence else None
    [prompt] = PromptBuilder(tokenizer, config.content_tokens, evidence).prompts([_EXAMPLE])
    single = PriceTrie.from_tokenizer(tokenizer).single_token
    request = {
        "model": name, "prompt": prompt, "max_tokens": 1 if single else 3, "temperature": 0, "logprobs": 1000
    }  # fmt: skip
    needs = ""
    if evidence:
        needs = f"""
**This model needs evidence in its prompt.** It was trained with the prices of similar books and other methods'
estimates in the content's first line, and is wrong without them. They come from the `baselines/` in this folder; this
writes whole prompts:

```python
from pathlib import Path

from bookpricer import Book
from bookpricer.training.loading import load_tokenizer
from bookpricer.training.evidence import Evidence
from bookpricer.training.model_folder import ModelFolder
from bookpricer.training.prompt import PromptBuilder

folder = ModelFolder(Path({json.dumps(name)}))
evidence = Evidence.load(folder.config.evidence, folder.baselines)
builder = PromptBuilder(load_tokenizer(folder.path), {config.content_tokens}, evidence)
builder.prompts([Book(title="A History of Rome", author="Ann Reed")])
```
"""
    if single:
        answer = (
            "The first token of the answer is the price, and its `top_logprobs` the distribution: keep the tokens that "
            "are whole numbers and scale their probabilities to 1. Their median is the estimate; the token itself, at "
            "temperature 0, is the most likely price."
        )
    else:
        answer = (
            "The answer's digits, up to three tokens at temperature 0, are the most likely price. This tokenizer needs "
            "more than one token a price, so that the whole distribution takes Book Pricer."
        )
    return f"""## Without Book Pricer

These are plain files of `transformers`: safetensors, `config.json`, a tokenizer. Ask for the text that follows this
prompt, with nothing before or after it and no chat template; the content is at most {config.content_tokens} tokens
{"beside its first line" if evidence else "of the book's text"}.
{needs}
````text
{prompt}
````

With vLLM:

```console
$ vllm serve {name} --max-logprobs 1000 --max-model-len {max(1024, config.content_tokens + 256)}
$ curl http://localhost:8000/v1/completions -H "Content-Type: application/json" -d @- <<'JSON'
{json.dumps(request, ensure_ascii=False)}
JSON
```

{answer} With `transformers`:

```python
{_snippet(name, prompt, single)}
```"""


def _snippet(name: str, prompt: str, single: bool) -> str:
    """A program that prints a price, with no word of this package."""
    start = f"""import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({json.dumps(name)})
model = AutoModelForCausalLM.from_pretrained({json.dumps(name)})
prompt = {json.dumps(prompt, ensure_ascii=False)}
"""
    if not single:
        return f"""{start}inputs = tokenizer(prompt, return_tensors="pt")
answer = model.generate(**inputs, max_new_tokens=3, do_sample=False)[0, inputs["input_ids"].shape[1] :]
price = tokenizer.decode(answer, skip_special_tokens=True)
print(price)"""
    return f"""{start}with torch.inference_mode():
    logits = model(**tokenizer(prompt, return_tensors="pt")).logits[0, -1]
tokens = [tokenizer(f"${{price}}", add_special_tokens=False)["input_ids"][-1] for price in range(1000)]
probabilities = logits[tokens].float().softmax(0)
median = int((probabilities.cumsum(0) < 0.5).sum())
print(median)"""


def _left_out(left_out: Sequence[str]) -> str:
    if not left_out:
        return ""
    return f"Not here, for they tell of single books: {', '.join(left_out)}. Without them there is no cross-check."


def _training(config: PricerConfig, training: Mapping[str, Any], books: Mapping[str, int]) -> str:
    facts = [f"- Prices are in {_unit(config)}."]
    if books:
        sizes = ", ".join(f"{size:,} {split}" for split, size in books.items())
        facts.append(f"- Books: {sizes}; all editions of a work are in one split.")
    if config.data_fingerprint:
        facts.append(f"- Fingerprint of the data: `{config.data_fingerprint}`.")
    if config.base_model:
        facts.append(f"- Contents are cut to {config.content_tokens} tokens.")
        facts.append(f"- Preset `{config.preset}`, base model {_base(config)}.")
    for key, words in (("trainable_parameters", "trained parameters"), ("steps", "steps")):
        if isinstance(training.get(key), int):
            facts.append(f"- {training[key]:,} {words}.")
    text = "## How it was trained\n\n" + "\n".join(facts)
    settings = training.get("settings")
    if isinstance(settings, dict):
        kept = {key: settings[key] for key in ("quantization", "lora", "sft", "recipe") if settings.get(key)}
        text += f"\n\n```yaml\n{yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)}```"
    return text


def _errors(rows: Mapping[str, Mapping[str, Any]], config: PricerConfig, whole: bool) -> str:
    if not rows:
        return "## What it reaches\n\nIt has not been measured; `bookpricer evaluate` does that."
    model = next((rows[name] for name in _MODEL_ROWS if name in rows), {})
    titled = {str(row.get("title", _title(name))): row for name, row in rows.items()}
    n = next((f"{row['n']:,} " for row in rows.values() if isinstance(row.get("n"), int)), "")
    text = (
        f"## What it reaches\n\nAbsolute error in {_unit(config)} on {n}test books, which it was not trained on"
        f"{', before the export' if whole else ''}:\n\n"
        f"{errors_table(titled, '$40' if _unit(config) == 'USD' else f'40 {_unit(config)}')}"
    )
    if isinstance(model.get("coverage"), float):
        text += f"\n\nThe 80 % intervals held {model['coverage']:.1%} of these prices."
    return text


def _uses_and_limits(config: PricerConfig) -> str:
    return f"""## What it is for

Estimates for booksellers and marketplaces: first prices for a catalogue, and prices that a person should look at again.
It is no appraisal. It knows the market, the language and the years of the books that it was trained on, and nothing of
an offer's condition beyond what the text says. A person should decide where money hangs on it.

## Limits

- Prices from 0 to 999 {_unit(config)}; a dearer book is priced too low, and flagged.
- A text with little in it gives a wide interval; rare and antiquarian books are seldom like those seen in training.
- Prices move; train again on newer ones."""


def _licence(name: str, config: PricerConfig, licence: Licence) -> str:
    if not config.base_model:
        return ""
    where = f"[{licence.name}]({licence.link})"
    if licence.id == "other":
        where = f"the licence of its base model, {_base(config)}"
    text = f"## Licence\n\nThe weights are under {where}."
    if licence.notice:
        text += (
            f" {licence.notice.strip()} Whoever hands them on hands on that licence and the file NOTICE, shows "
            f"“{licence.built_with}”, and calls the model by a name that begins with “{licence.name_prefix}”"
        )
        text += ", which this one's does not yet." if name_breaks_licence(name, licence) else "."
    return text


def _base(config: PricerConfig) -> str:
    if config.base_model == EMBEDDED:
        return "Book Pricer's embedded model"
    if is_local(config.base_model):
        return f"`{Path(config.base_model).name}`"
    return f"[{config.base_model}](https://huggingface.co/{config.base_model})"


def _unit(config: PricerConfig) -> str:
    """What prices and errors are counted in."""
    return config.currency if config.unit == 1 else f"units of {config.unit:,.10g} {config.currency}"


def _title(name: str) -> str:
    return "this model" if name in _MODEL_ROWS else name


def _read(path: Path) -> dict[str, Any]:
    """A report, or nothing where there is none, or none that can be read: a card says what is known."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return report if isinstance(report, dict) else {}

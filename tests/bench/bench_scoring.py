"""Books a second of batch scoring, beside what people write today and beside the bare forward pass.

All ways price the same synthetic books with the same model, tokens and threads, in turns, in one process; the figures
are medians over the turns, and `times_…` says how many times as fast scoring is, in the median turn. Left out of the
time everywhere: loading, and making the prompts.

    loop       `generate()` for one book at a time, and parsing the number
    pipeline   the text-generation pipeline of transformers, in batches of 32
    bare       the plain forward pass over the tokens without padding: the faster of groups of one length, and of
               sixteens of nearly one length, cut to their shortest
    scoring    ours, with tokenization; and the steps that lead there, each on top of the one before

`agree` is the share of books whose median price is within half a dollar of that of the exact float32 model.
`python tests/bench/pages.py scoring` puts the figures on a page.
"""

import json
import logging
import re
import statistics
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from transformers import pipeline

from bookpricer.training.columns import to_book
from bookpricer.training.last_states import LastStates, bf16_helps
from bookpricer.training.loading import load_pricer
from bookpricer.training.scoring import PriceScorer
from bookpricer.training.synthetic import synthetic_records

BOOKS, TURNS, SLOW_BOOKS = 256, 7, 96
NEW_TOKENS = 4  # a price, the end, and room for a cent sign


class Plain(PriceScorer):
    """Length-sorted batches, and nothing saved."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._last_states = None

    def _read_beginning(self, ids):
        return 0, None


class Shared(Plain):
    """The shared beginning read once, by the plain forward pass."""

    _read_beginning = PriceScorer._read_beginning


def int8(scorer: PriceScorer) -> PriceScorer:
    """With eight-bit weights and activations in all layers but the last."""
    *layers, last = scorer.model.get_decoder().layers
    settings = {torch.nn.Linear: torch.ao.quantization.per_channel_dynamic_qconfig}
    states = LastStates(scorer.model)
    states._layers = [*(torch.ao.quantization.quantize_dynamic(layer, settings) for layer in layers), last]
    scorer._last_states = states
    return scorer


def parsed(text: str) -> float:
    """The price that a model wrote."""
    match = re.search(r"\d+", text)
    return float(match[0]) if match else 0.0


@torch.inference_mode()
def equal_lengths(model, ids: list[list[int]]) -> None:
    """The forward pass over groups of one length."""
    groups: dict[int, list[list[int]]] = {}
    for row in ids:
        groups.setdefault(len(row), []).append(row)
    for length, rows in groups.items():
        for start in range(0, len(rows), max(1, 2048 // length)):
            part = torch.tensor(rows[start : start + max(1, 2048 // length)], device=model.device)
            model(input_ids=part, use_cache=False, logits_to_keep=1)


@torch.inference_mode()
def sorted_sixteens(model, ids: list[list[int]]) -> None:
    """The forward pass over sixteens of nearly one length, cut to their shortest."""
    rows = sorted(ids, key=len)
    for start in range(0, len(rows), 16):
        part = rows[start : start + 16]
        length = min(map(len, part))
        model(
            input_ids=torch.tensor([row[:length] for row in part], device=model.device),
            use_cache=False,
            logits_to_keep=1,
        )


def main() -> None:
    """Measure and print."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    pricer = load_pricer(*sys.argv[1:2] or ["embedded"])
    model, tokenizer = pricer.model, pricer.tokenizer
    prompts = pricer.prompt_builder().prompts(to_book(record) for record in synthetic_records(BOOKS, seed=21))
    ids = tokenizer(prompts)["input_ids"]
    generate = pipeline("text-generation", model=model, tokenizer=tokenizer, batch_size=32)
    tokenizer.padding_side = "left"

    def loop() -> None:
        for prompt in prompts[:SLOW_BOOKS]:
            encoded = tokenizer(prompt, return_tensors="pt").to(model.device)
            written = model.generate(**encoded, max_new_tokens=NEW_TOKENS, do_sample=False)
            parsed(tokenizer.decode(written[0, encoded["input_ids"].shape[1] :]))

    def piped() -> None:
        for written in generate(prompts, max_new_tokens=NEW_TOKENS, do_sample=False, return_full_text=False):
            parsed(written[0]["generated_text"])

    exact = PriceScorer(model, tokenizer)
    scorers: dict[str, PriceScorer] = {
        "sorted batches": Plain(model, tokenizer),
        "shared beginning": Shared(model, tokenizer),
        "last token in the last layer": exact,
        "bf16": PriceScorer(model, tokenizer, bf16=True),
        "int8 instead of bf16": int8(PriceScorer(model, tokenizer)),
    }
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "loop": (loop, SLOW_BOOKS),
        "pipeline": (piped, BOOKS),
        "equal lengths": (lambda: equal_lengths(model, ids), BOOKS),
        "sorted sixteens": (lambda: sorted_sixteens(model, ids), BOOKS),
        "scoring": (lambda: pricer.scorer.price_distributions(prompts), BOOKS),
    }
    ways |= {name: (lambda s=scorer: s.price_distributions(prompts), BOOKS) for name, scorer in scorers.items()}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name, (work, books) in ways.items():
            start = time.perf_counter()
            work()
            if turn:  # the first warms up
                rates[name].append(books / (time.perf_counter() - start))
            print(f"{turn} {name}: {books / (time.perf_counter() - start):.1f}", file=sys.stderr)
    reference = medians(exact, prompts)
    rates["bare"] = [max(pair) for pair in zip(rates["equal lengths"], rates["sorted sixteens"], strict=True)]
    rate = {name: statistics.median(values) for name, values in rates.items()}
    # Within a turn, so that a machine that is busy for a while does not favour one of them.
    times = {
        name: statistics.median(ours / theirs for ours, theirs in zip(rates["scoring"], rates[name], strict=True))
        for name in ("loop", "pipeline", "bare")
    }
    figures = {
        "books": BOOKS,
        "tokens": round(statistics.mean(map(len, ids)), 1),
        "threads": torch.get_num_threads(),
        "device": str(model.device),
        "processor": torch.cpu.get_capabilities().get("cpu_name", ""),
        "bf16_helps": bf16_helps(model),
        "loop": round(rate["loop"], 1),
        "pipeline": round(rate["pipeline"], 1),
        "bare": round(rate["bare"], 1),
        "scoring": round(rate["scoring"], 1),
        **{f"times_{name}": round(value, 2) for name, value in times.items()},
        "steps": {
            name: {
                "rate": round(rate[name], 1),
                "agree": round(float((abs(medians(scorer, prompts) - reference) <= 0.5).mean()), 4),
            }
            for name, scorer in scorers.items()
        },
    }
    print(json.dumps(figures))


def medians(scorer: PriceScorer, prompts: list[str]) -> np.ndarray:
    """The median prices."""
    return np.array([distribution.median for distribution in scorer.price_distributions(prompts)])


if __name__ == "__main__":
    main()

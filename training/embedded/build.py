"""The recipe of the embedded demonstration model, from nothing to shipped weights. Needs the extra `train`.

Synthetic catalogue → tokenizer → base language model → QLoRA tuning with `finetune`, as a user would → report and card.
Each step leaves its result in the work folder, and a build that was stopped goes on after the last one.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..baselines import BASELINES
from ..baselines.out_of_fold import out_of_fold
from ..cleaning import book_content
from ..columns import to_book
from ..companions import fit_companions
from ..dataset import PricedBook, SplitBooks, split_books
from ..distribution import PRICES
from ..evaluation import Measures, interval_errors, price_errors
from ..finetune import TrainingRun, finetune
from ..loading import load_pricer, load_tokenizer
from ..measuring import book_distributions
from ..model_folder import EMBEDDED, ModelFolder
from ..money import parse_price
from ..presets import load_settings
from ..publishing.model_card import TAG, errors_table, with_header
from ..synthetic import synthetic_records
from .corpus import listing_document
from .pretrain import PretrainSettings, build_model, initial_embeddings, pretrain
from .tokenizer import train_tokenizer

SEED = 2026
RECORDS = 80_000
VOCABULARY = 12_000
PRETRAINING = PretrainSettings()
# The adapter sees this many of the books that the base has read about, in the standardized prompt.
TUNED_BOOKS, CALIBRATION_BOOKS, TEST_BOOKS, DEMO_BOOKS = 4_000, 1_000, 2_000, 24
# The published method: what ships prices without anyone's price history, so no evidence stands in its prompts.
TUNING = (
    "content_tokens=160", "recipe.evidence=null", "recipe.target_width=0", "recipe.price_jitter=0",
    "sft.num_train_epochs=1",
)  # fmt: skip
# What ships beside it for the cross-check: small baselines, and comparables of few books and dimensions, under 2 MB.
COMPANION_BOOKS, COMPANION_CALIBRATION, COMPONENTS = 800, 300, 64
COMPANION_BASELINES = ("linear_regression", "tfidf_ridge")
_PACKAGE = Path(__file__).parent

Say = Callable[[str], None]


def build(work: Path, *, device: str | None = None, install: bool = False, say: Say = print) -> dict[str, Any]:
    """Build the embedded model in `work`, going on after the steps that are done there.

    Args:
        device: where to train; the first GPU or the CPU where None.
        install: put the result into the package.

    Returns:
        The report that is also written to `pricer/report/evaluation.json`: errors of the tuned model, of the base
        without its adapter, of a constant and of a random price, on synthetic books that neither was trained on.
    """
    work.mkdir(parents=True, exist_ok=True)
    say(f"making {RECORDS:,} synthetic books")
    splits = synthetic_splits(RECORDS)
    _make_corpus(work, splits["train"], say)
    base = work / "base"
    if not (base / "config.json").exists():
        say("training the base language model")
        train_base(work, device)
    pricer = work / "pricer"
    if not (pricer / "pricer.json").exists():
        settings = load_settings("embedded", overrides=[f"base_model={base}", *TUNING])
        tuned = SplitBooks({**splits, "train": splits["train"][:TUNED_BOOKS]}, fingerprint=f"synthetic {SEED}")
        finetune(
            settings, tuned, pricer, baselines=False, demonstration=True, device=device,
            resume=TrainingRun(pricer).interrupted, say=say,
        )  # fmt: skip
    if not (pricer / "blend").exists():
        build_companions(pricer, splits, device, say)
    report = _evaluate(base, pricer, splits, device, say)
    if install:
        _install(base, pricer, splits["test"][:DEMO_BOOKS], report)
        say(f"installed in {_PACKAGE}")
    return report


def build_companions(
    pricer: Path, splits: dict[str, list[PricedBook]], device: str | None = None, say: Say = print
) -> None:
    """Baselines, comparables and blend of the embedded model, fitted on few books."""
    folder = ModelFolder(pricer)
    train, calibration = splits["train"][:COMPANION_BOOKS], splits["calibration"][:COMPANION_CALIBRATION]
    books, prices = [priced.book for priced in train], [priced.units for priced in train]
    say("fitting the embedded model's companions")
    kinds = {name: BASELINES[name] for name in COMPANION_BASELINES}
    estimates = out_of_fold(kinds, books, prices)
    fitted = {name: kind().fit(books, prices) for name, kind in kinds.items()}
    for name, baseline in fitted.items():
        baseline.save(folder.baselines / name)
    fit_companions(
        folder, train, calibration, baselines=fitted, estimates=estimates,
        distributions=book_distributions(load_pricer(pricer, device=device), calibration), components=COMPONENTS,
    )  # fmt: skip


def synthetic_splits(records: int) -> dict[str, list[PricedBook]]:
    """The synthetic catalogue in splits, those beside `train` cut to what is needed of them."""
    books = []
    for record in synthetic_records(records, seed=SEED):
        units = parse_price(record["price"])
        if 0.5 <= units < PRICES - 0.5:
            books.append(PricedBook(to_book(record), units))
    splits = split_books(books, SEED)
    return {
        "train": splits["train"],
        "calibration": splits["calibration"][:CALIBRATION_BOOKS],
        "test": splits["test"][:TEST_BOOKS],
    }


def _make_corpus(work: Path, books: Sequence[PricedBook], say: Say) -> None:
    """Tokenizer and token ids of all documents."""
    if (work / "corpus.npz").exists():
        return
    import wordfreq

    say("training the tokenizer")
    contents = (book_content(priced.book) for priced in books[:20_000])
    tokenizer = train_tokenizer(contents, VOCABULARY, wordfreq.get_frequency_dict("en"))
    tokenizer.save_pretrained(work / "tokenizer")
    say("tokenizing the catalogue")
    rng = random.Random(SEED)
    documents = [listing_document(priced.book, priced.units, rng) for priced in books]
    rows = [[*ids, tokenizer.eos_token_id] for ids in tokenizer(documents)["input_ids"]]
    embeddings, is_word = initial_embeddings(tokenizer, SEED)
    np.savez(
        work / "corpus.npz",
        tokens=np.concatenate([np.array(row, dtype=np.uint16) for row in rows]),
        ends=np.cumsum([len(row) for row in rows]),
        embeddings=embeddings.astype(np.float16),
        is_word=is_word,
    )


def train_base(work: Path, device: str | None = None, settings: PretrainSettings = PRETRAINING) -> float:
    """The base language model from the corpus in `work`; returns its mean training loss."""
    corpus = np.load(work / "corpus.npz")
    tokenizer = load_tokenizer(work / "tokenizer")
    model = build_model(tokenizer, corpus["embeddings"].astype(np.float32), settings)
    return pretrain(
        model, tokenizer, corpus["tokens"], corpus["ends"], corpus["is_word"], work / "base", settings, device
    )


def _evaluate(
    base: Path, pricer: Path, splits: dict[str, list[PricedBook]], device: str | None, say: Say
) -> dict[str, Any]:
    """Errors on the synthetic test books, of all that can be told apart."""
    books = splits["test"]
    actual = [priced.units for priced in books]
    errors: dict[str, Measures] = {}
    for name, folder in (("embedded model", pricer), ("its base, without the adapter", base)):
        loaded = load_pricer(folder, device=device)
        say(f"pricing {len(books):,} test books with the {name}")
        distributions = book_distributions(loaded, books)
        errors[name] = price_errors([distribution.median for distribution in distributions], actual)
        if loaded.calibration:
            intervals = [loaded.calibration.interval(distribution, 0.8) for distribution in distributions]
            errors[name] |= interval_errors(intervals, actual)
    constant = float(np.median([priced.units for priced in splits["train"]]))
    errors["constant (median)"] = price_errors([constant] * len(actual), actual)
    errors["random"] = price_errors(np.random.default_rng(SEED).uniform(0, PRICES - 1, len(actual)), actual)
    report = {"data": f"{len(books)} synthetic books, seed {SEED}", "test": errors}
    path = ModelFolder(pricer).report / "evaluation.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def _install(base: Path, pricer: Path, demo: Sequence[PricedBook], report: dict[str, Any]) -> None:
    """Copy what ships: base, adapter, calibration, report, card and the demo catalogue."""
    for source in (base, pricer):
        target = _PACKAGE / source.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    # What ships names its base as a user would, not by where it was built.
    for path in (_PACKAGE / "pricer").rglob("*.json"):
        path.write_text(
            path.read_text(encoding="utf-8").replace(json.dumps(str(base)), f'"{EMBEDDED}"'), encoding="utf-8"
        )
    lines = [
        priced.book.model_dump_json(exclude={"price"}, exclude_defaults=True)[:-1] + f',"price":{priced.units}}}\n'
        for priced in demo
    ]
    (_PACKAGE / "demo.jsonl").write_text("".join(lines), encoding="utf-8")
    (_PACKAGE / "pricer" / "README.md").write_text(model_card(report), encoding="utf-8")


def report_table(report: dict[str, Any]) -> str:
    """The errors of a report in Markdown."""
    return errors_table(report["test"])


def model_card(report: dict[str, Any]) -> str:
    """The card of the embedded model, its figures from the report."""
    held = report["test"]["embedded model"].get("coverage")
    text = f"""# Book Pricer's embedded model

**A demonstration model.** It was trained on three quarters of {RECORDS:,} synthetic listings and on not one real book.
It shows how Book Pricer works and is a start for tuning on your own prices; do not sell or buy by it.

- `base/`: a Llama ({PRETRAINING.layers} layers, width 256, {VOCABULARY:,} tokens, lower case) trained as a language
  model on the synthetic catalogue, priced listings among it. Its words start from the vectors of
  [wordllama](https://github.com/dleemiller/WordLlama) (MIT), its tokenizer from the catalogue and from word frequencies
  of [wordfreq](https://github.com/rspeer/wordfreq).
- `pricer/adapter/`: LoRA weights, tuned with QLoRA (NF4) on {TUNED_BOOKS:,} of these books to answer the standardized
  prompt. The base has met prices in other words ("Our price: $12") and answers the prompt without it, too; the table
  says what each contributes.
- `bookpricer embedded build DIR --install` makes both again.

## What it reaches on synthetic books it has not seen

Error in dollars on {report["data"]}:

{report_table(report)}

The 80 % intervals held {held:.1%} of these prices.

## Limits

English; prices of $0–$999; the prices follow the rules in `training/synthetic/README.md`, which are a bookseller's
rules of thumb, not a market.
"""
    return with_header({"license": "apache-2.0", "library_name": "peft", "tags": [TAG, "demonstration"]}, text)

"""Records a second and core from a record to its prompt: ours beside the common one-record-at-a-time loop.

The loop builds a text, encodes it, decodes its first 160 tokens and encodes the prompt again, as published examples
do. Both see the same records in turns, in one process on one core, by processor time. `prepare` is all of the first
pass: ours with price rules, keys for duplicates and Parquet files. Needs the optional data folder for the Llama 3
tokenizer; the records are synthetic.
"""

import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer
from transformers import AutoTokenizer

from bookpricer.training.cleaning import clean_book
from bookpricer.training.columns import recognise_columns, to_book
from bookpricer.training.prepare import PrepareSettings, _ChunkMaker
from bookpricer.training.prompt import ContentCutter, build_prompt
from bookpricer.training.sources import Row
from bookpricer.training.synthetic import synthetic_records

SHARED = Path(os.environ.get("BOOKPRICER_SHARED", Path(__file__).resolve().parents[3] / "shared"))
FOLDER = SHARED / "tokenizers" / "llama3"
RECORDS, TURNS, LIMIT = 2000, 4, 160


def scrub(text: str) -> str:
    """The common way: special characters and words that look like product codes out."""
    text = re.sub(r"[:\[\]\"{}【】\s]+", " ", text).strip()
    words = text.replace(" ,", ",").replace(",,,", ",").replace(",,", ",").split(" ")
    return " ".join(word for word in words if len(word) < 7 or not any(character.isdigit() for character in word))


def loop(records: list[dict], tokenizer) -> list[str]:
    """One record at a time."""
    prompts = []
    for record in records:
        parts = [*record["description"], *record["features"], record["details"] or ""]
        text = f"{scrub(record['title'])}\n{scrub(chr(10).join(parts))}"
        tokens = tokenizer.encode(text, add_special_tokens=False)
        prompt = build_prompt(tokenizer.decode(tokens[:LIMIT]))
        tokenizer.encode(prompt, add_special_tokens=False)
        prompts.append(prompt)
    return prompts


def ours(records: list[dict], cutter: ContentCutter) -> list[str]:
    """The same by the package's own steps."""
    contents = [clean_book(to_book(record, recognise_columns(record))).content for record in records]
    return [build_prompt(content.text) for content in cutter.cut(contents)]


def main() -> None:
    """Measure and print."""
    if not FOLDER.is_dir():
        sys.exit(f"needs the Llama 3 tokenizer in {FOLDER} (set BOOKPRICER_SHARED to name another data folder)")
    slow, fast = AutoTokenizer.from_pretrained(FOLDER), Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    records = list(synthetic_records(RECORDS * TURNS, seed=11))
    cutter = ContentCutter(fast, LIMIT)
    rates: dict[str, list[float]] = {"loop": [], "ours": [], "prepare": []}
    with tempfile.TemporaryDirectory() as work:
        maker = _ChunkMaker(None, {}, Path(work), PrepareSettings(FOLDER / "tokenizer.json"))
        for turn in range(TURNS):
            part = records[turn * RECORDS : (turn + 1) * RECORDS]
            rows = [Row(number, record) for number, record in enumerate(part)]
            for name, work_on in (
                ("loop", lambda part=part: loop(part, slow)),
                ("ours", lambda part=part: ours(part, cutter)),
                ("prepare", lambda turn=turn, rows=rows: maker.make(turn, rows)),
            ):
                start = time.process_time()
                work_on()
                rates[name].append(RECORDS / (time.process_time() - start))
    figures = {f"{name}_records_per_core_s": round(statistics.median(rate)) for name, rate in rates.items()}
    figures["times_as_fast"] = round(statistics.median(rates["ours"]) / statistics.median(rates["loop"]), 2)
    figures["prepare_times_as_fast"] = round(statistics.median(rates["prepare"]) / statistics.median(rates["loop"]), 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

"""`bookpricer prepare`: any catalogue into a data set to train on, in the steps of DESIGN §3, a chunk at a time.

First pass: chunks of rows are read, cleaned, counted in tokens, cut, filtered and written to a work folder beside the
target, by as many processes as there are cores; a chunk that is there is not made again, so an interrupted preparation
goes on. Second pass: the 64-bit keys of all books give the duplicates, and the chunks are written into the splits. The
target appears when it is whole. Memory holds a few chunks, and some ten bytes a book in the second pass.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .cleaning import CleanBook
from .columns import names_of, recognise_columns
from .currencies import guess_currency
from .data_card import write_card
from .dataset import BOOK_COLUMNS, REPORT, SPLITS, RejectedError, read_row, split_of
from .deduplication import (
    BANDS,
    REASONS,
    KeyMaker,
    band_keys,
    candidate_pairs,
    repeats,
    signatures_array,
    similar,
    similar_titles,
)
from .errors import InputError
from .model_folder import check_new, new_folder
from .prompt import PROMPT_VERSION, ContentCutter, build_completion, build_prompt
from .sources import Catalog, Row

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

FORMAT_VERSION = 1
# The method's threshold for its own data set, whose many empty listings say nothing about a price.
METHOD_MIN_TOKENS = 150
METHOD_DATA = "amazon-reviews-2023"
# Price balancing: books of the training part kept in each dollar bucket under BALANCED_BELOW.
BUCKET_LIMIT, BALANCED_BELOW = 2000, 50
CHUNK_ROWS = 2000
_SHARD_ROWS = 200_000
_SAMPLE_ROWS = 200
_EXAMPLES = 3
TOKEN_EDGES = (0, 20, 40, 60, 80, 100, 120, 140, 160, 200, 250, 300, 400, 600, 1000, 2000)
PRICE_EDGES = (0, 0.5, 2, 5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000)

Say = Callable[[str], None]


@dataclass(frozen=True)
class PrepareSettings:
    """How a data set is prepared.

    Args:
        tokenizer: the file `tokenizer.json` that counts tokens.
        content_tokens: the most tokens of a content.
        min_tokens: books whose uncut content has not more tokens are left out; 0 keeps all.
        currency: ISO code.
        unit: what one model dollar stands for.
        seed: of the splits and of balancing.
        balance: whether to level the training part's prices.
    """

    tokenizer: Path
    content_tokens: int = 160
    min_tokens: int = 0
    currency: str = "USD"
    unit: float = 1.0
    seed: int = 0
    balance: bool = False


@dataclass
class _Counts:
    """What the first pass counts, a chunk or all of it."""

    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    books_by_rule: Counter[str] = field(default_factory=Counter)
    tokens: list[int] = field(default_factory=lambda: [0] * len(TOKEN_EDGES))
    prices: list[int] = field(default_factory=lambda: [0] * len(PRICE_EDGES))
    columns: dict[str, str] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, other: Mapping[str, Any]) -> None:
        self.rows += other["rows"]
        for name in ("rejected", "rules", "books_by_rule"):
            getattr(self, name).update(other[name])
        for name in ("tokens", "prices"):
            setattr(self, name, [a + b for a, b in zip(getattr(self, name), other[name], strict=True)])
        self.columns = {**other["columns"], **self.columns}
        self.examples = {**other["examples"], **self.examples}


def prepare(
    catalog: Catalog,
    out: Path,
    settings: PrepareSettings,
    *,
    source: str | None = None,
    overwrite: bool = False,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
    say: Say = lambda sentence: None,
) -> dict[str, Any]:
    """Prepare a catalogue into the folder `out`, which appears when it is whole.

    Args:
        catalog: from `open_catalog` or `open_hub`.
        out: the folder to make: Parquet files a split in `data/`, a data card, `report.json`.
        settings: what to keep and how.
        source: what to call the catalogue in the report; its path if not given.
        overwrite: replace a prepared folder that is there.
        workers: processes that clean and count; with more than one, the caller's main module must be importable.
        progress: called with the number of rows done since the last call.
        say: where sentences about the way go.

    Returns:
        The report that is also written to `report.json`.

    Raises:
        InputError: an unusable source, no usable book in it, or an `out` that may not be written.
    """
    check_new(out, overwrite, REPORT)
    check_columns(catalog)
    work = out.parent / f".{out.name}.preparing"
    try:
        _start_work(work, catalog, settings, say)
        counts = _Counts()
        for path in _make_chunks(catalog, work, settings, workers):
            chunk = _chunk_counts(path)
            counts.add(chunk)
            if progress:
                progress(chunk["rows"])
        if not counts.rows or sum(counts.rejected.values()) == counts.rows:
            raise InputError(_nothing_left(source or str(catalog.path), counts, settings))
        with new_folder(out, overwrite, REPORT) as folder:
            report = _write_splits(sorted(work.glob("chunk-*.parquet")), folder, settings, counts)
            report = {"source": source or str(catalog.path.name), **report, "columns": counts.columns}
            (folder / REPORT).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            write_card(folder, report)
        shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error}); free some room or choose another place") from error
    return report


def check_columns(catalog: Catalog) -> dict[str, str]:
    """How the columns of a catalogue are read, as its first rows have them: `{column: field}`.

    Raises:
        InputError: no column that could be the price, or a title or text; says which names would do.
    """
    columns, mapping = catalog.columns, catalog.mapping
    if mapping is None:
        sample = [row.values for row in islice(catalog.rows(), _SAMPLE_ROWS)]
        columns = tuple(dict.fromkeys(str(key) for values in sample for key in values))
        mapping = {}
        for values in sample:
            mapping.update(recognise_columns(values, catalog.overrides))
    if missing := [column for column in catalog.overrides if column not in columns]:
        raise InputError(f"{catalog.path} has no column {missing[0]!r} to map; it has: {', '.join(columns)[:200]}")
    fields = set(mapping.values())
    for needed, names in (({"price"}, "price"), ({"title", "description"}, "title")):
        if not needed & fields:
            raise InputError(
                f"{catalog.path} has no column for the {names} (it has: {', '.join(columns)[:200]}); call one "
                f"{names_of(names)}…, or pass --map 'Their column={names}'"
            )
    return mapping


def guess_catalog_currency(catalog: Catalog) -> str | None:
    """The currency that the price column's name or the first prices say, or None."""
    mapping = check_columns(catalog)
    column = next(column for column, name in mapping.items() if name == "price")
    return guess_currency(column, (row.values.get(column) for row in islice(catalog.rows(), _SAMPLE_ROWS)))


def _nothing_left(source: str, counts: _Counts, settings: PrepareSettings) -> str:
    reasons = ", ".join(f"{count:,} with {reason}" for reason, count in counts.rejected.most_common(3))
    advice = "check its columns, the --currency and the --min-tokens"
    reason = "price outside of the model's range"
    if counts.rejected.most_common(1) and counts.rejected.most_common(1)[0][0] == reason:
        advice = (
            f"pass a --unit that brings prices such as {counts.examples.get(reason, '')!r} to 1–999, "
            f"instead of {settings.unit:g} {settings.currency}"
        )
    return f"{source} holds no usable priced book ({reasons or 'no rows'}); {advice}"


# First pass: rows to chunks.


def _start_work(work: Path, catalog: Catalog, settings: PrepareSettings, say: Say) -> None:
    """Make the work folder, or keep the chunks of an interrupted run with the same settings and source."""
    tokenizer = hashlib.sha256(settings.tokenizer.read_bytes()).hexdigest()
    # Splits and balancing belong to the second pass.
    mark = json.dumps(
        [FORMAT_VERSION, PROMPT_VERSION, CHUNK_ROWS, catalog.fingerprint(), dict(catalog.overrides), tokenizer,
         settings.content_tokens, settings.min_tokens, settings.currency, settings.unit]
    )  # fmt: skip
    file = work / "made-from.json"
    if file.is_file() and file.read_text(encoding="utf-8") == mark:
        done = len(list(work.glob("chunk-*.parquet")))
        say(f"going on after {done * CHUNK_ROWS:,} rows of an interrupted preparation")
        return
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    file.write_text(mark, encoding="utf-8")


def _make_chunks(catalog: Catalog, work: Path, settings: PrepareSettings, workers: int) -> Iterator[Path]:
    """Make every chunk that is not there yet, and give the files in the order in which they are done."""
    chunks = _chunks(catalog)
    first = list(islice(chunks, 1))
    every = chain(first, chunks)
    worker = (catalog.mapping, dict(catalog.overrides), work, settings)
    if workers <= 1 or not first or len(first[0][1]) < CHUNK_ROWS:
        maker = _ChunkMaker(*worker)
        for number, rows in every:
            yield maker.make(number, rows)
        return
    with ExitStack() as stack:
        # Not forked: threads of the progress bar and of libraries would be.
        pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, worker)
        stack.callback(pool.shutdown, cancel_futures=True)
        running: set[Future[Path]] = set()
        for number, rows in every:
            if (done := _chunk_path(work, number)).is_file():
                yield done
                continue
            running.add(pool.submit(_make_in_worker, number, rows))
            if len(running) >= 2 * workers:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in finished)


def _chunks(catalog: Catalog) -> Iterator[tuple[int, list[Row]]]:
    rows = catalog.rows()
    number = 0
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield number, chunk
        number += 1


def _chunk_path(work: Path, number: int) -> Path:
    return work / f"chunk-{number:08d}.parquet"


def _chunk_counts(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    counts: dict[str, Any] = json.loads(pq.read_schema(path).metadata[b"counts"])
    return counts


_maker: _ChunkMaker | None = None


def _start_worker(
    mapping: dict[str, str] | None, overrides: dict[str, str], work: Path, settings: PrepareSettings
) -> None:
    global _maker
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # the cores are taken by the processes
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process stops them
    _maker = _ChunkMaker(mapping, overrides, work, settings)


def _make_in_worker(number: int, rows: list[Row]) -> Path:
    if _maker is None:
        raise RuntimeError("the worker was not started")
    return _maker.make(number, rows)


class _ChunkMaker:
    """Turns rows into a chunk: a Parquet file of books with their keys, and what was counted on the way."""

    def __init__(
        self, mapping: dict[str, str] | None, overrides: dict[str, str], work: Path, settings: PrepareSettings
    ) -> None:
        from tokenizers import Tokenizer

        self._mapping = mapping
        self._overrides = overrides
        self._work = work
        self._settings = settings
        self._keys = KeyMaker()
        try:
            self._cutter = ContentCutter(Tokenizer.from_file(str(settings.tokenizer)), settings.content_tokens)
        except Exception as error:  # tokenizers raises a bare Exception
            raise InputError(f"{settings.tokenizer} holds no readable tokenizer ({error})") from error

    def make(self, number: int, rows: list[Row]) -> Path:
        """Write one chunk, unless it is there."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = _chunk_path(self._work, number)
        if path.is_file():
            return path
        counts = _Counts(rows=len(rows))
        records = self._records(rows, counts)
        schema = chunk_schema().with_metadata({"counts": json.dumps(vars(counts))})
        part = path.with_suffix(f".{os.getpid()}.part")
        pq.write_table(pa.Table.from_pylist(records, schema=schema), part, compression="zstd")
        part.replace(path)
        return path

    def _records(self, rows: list[Row], counts: _Counts) -> list[dict[str, Any]]:
        books: list[tuple[CleanBook, float]] = []
        for row in rows:
            try:
                books.append(self._read(row, counts))
            except RejectedError as error:
                self._reject(counts, error.reason, error.value)
        records = []
        contents = self._cutter.cut([cleaned.content for cleaned, _ in books])
        for (cleaned, units), content in zip(books, contents, strict=True):
            _count(counts.tokens, TOKEN_EDGES, content.tokens)
            if self._settings.min_tokens and content.tokens <= self._settings.min_tokens:
                self._reject(counts, f"not more than {self._settings.min_tokens} tokens", cleaned.book.title)
                continue
            records.append(self._record(cleaned, units, content.text, content.tokens))
        return records

    def _read(self, row: Row, counts: _Counts) -> tuple[CleanBook, float]:
        if row.error:
            raise RejectedError(row.error, row.number)
        mapping = recognise_columns(row.values, self._overrides) if self._mapping is None else self._mapping
        counts.columns.update(mapping)
        settings = self._settings
        cleaned, units = read_row(row.values, mapping, unit=settings.unit, currency=settings.currency)
        _count(counts.prices, PRICE_EDGES, units)
        counts.rules.update(cleaned.rules)
        counts.books_by_rule.update(cleaned.rules.keys())
        if holds_price(cleaned, units * settings.unit):
            raise RejectedError("its own price in its text", cleaned.book.title)
        return cleaned, units

    @staticmethod
    def _reject(counts: _Counts, reason: str, value: object) -> None:
        counts.rejected[reason] += 1
        counts.examples.setdefault(reason, str(value)[:80])

    def _record(self, cleaned: CleanBook, units: float, content: str, tokens: int) -> dict[str, Any]:
        book = cleaned.book
        fields = {name: getattr(book, name) for name in BOOK_COLUMNS}
        fields["details"] = json.dumps(book.details, ensure_ascii=False)
        return {
            **{name: _encodable(value) for name, value in fields.items()},
            "price": units * self._settings.unit,
            "units": units,
            "tokens": tokens,
            "prompt": build_prompt(content),
            "completion": build_completion(units),
            **asdict(self._keys.keys(book, cleaned.content)),
        }


def holds_price(cleaned: CleanBook, price: float) -> bool:
    """Whether a book still names its own price: a whole one beside a sign or word for money, or one with cents.

    That is left where a title has a sum as part of its name; a model would learn from it to copy.
    """
    whole = float(price).is_integer()
    spellings = {f"{price:.2f}", f"{price:.2f}".replace(".", ","), f"{price:,.2f}"}
    if whole:
        spellings = {f"{price:.0f}", f"{price:,.0f}", *spellings}
    for text in (cleaned.content, *cleaned.book.details.values()):
        for spelling in spellings:
            start = text.find(spelling)
            while start >= 0:
                end = start + len(spelling)
                alone = not text[max(0, start - 1) : start].isdigit() and not text[end : end + 1].isdigit()
                if alone and ("." in spelling or "," in spelling or _is_money(text, start, end)):
                    return True
                start = text.find(spelling, end)
    return False


def _is_money(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - 4) : start].rstrip(), text[end : end + 9].lstrip().lower()
    return before.endswith(tuple("$€£₹¥₫")) or after.startswith(("dollar", "rupee", "euro", "€", "zł", "buck", "cents"))


def _encodable(value: Any) -> Any:
    """A text without lone surrogates, which no file can hold."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, tuple):
        return [_encodable(item) for item in value]
    return value


def _count(bins: list[int], edges: tuple[float, ...], value: float) -> None:
    bins[int(np.searchsorted(edges, value, side="right")) - 1] += 1


# Second pass: chunks to splits.


def row_schema() -> pa.Schema:
    """The columns of a prepared data set."""
    import pyarrow as pa

    texts = pa.list_(pa.string())
    kinds = {
        "description": texts, "features": texts, "categories": texts, "average_rating": pa.float64(),
        "rating_number": pa.int64(),
    }  # fmt: skip
    return pa.schema(
        [
            *((name, kinds.get(name, pa.string())) for name in BOOK_COLUMNS),
            ("price", pa.float64()),
            ("units", pa.float64()),
            ("tokens", pa.int32()),
            ("prompt", pa.string()),
            ("completion", pa.string()),
        ]
    )


def chunk_schema() -> pa.Schema:
    """The columns of a chunk: those of the data set, and a book's keys."""
    import pyarrow as pa

    keys = [("identifier", pa.uint64()), ("text", pa.uint64()), ("edition", pa.uint64()), ("signature", pa.binary())]
    return pa.schema([*row_schema(), *keys])


def _column(paths: list[Path], name: str) -> NDArray[Any]:
    import pyarrow.parquet as pq

    return np.concatenate([pq.read_table(path, columns=[name])[name].to_numpy() for path in paths])


def _find_duplicates(paths: list[Path]) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Which books of all chunks are kept, and how many were not, by reason."""
    texts = _column(paths, "text")
    kept = np.ones(len(texts), dtype=bool)
    taken: dict[str, int] = {}
    for reason, keys in ((REASONS[0], _column(paths, "identifier")), (REASONS[1], texts)):
        # A book that is left out for one reason is no original for another.
        found = repeats(np.where(kept, keys, 0).astype(np.uint64))
        taken[reason] = int(found.sum())
        kept &= ~found
    del texts
    near = _near_duplicates(paths, kept)
    taken[REASONS[2]] = int(near.sum())
    return kept & ~near, taken


def _near_duplicates(paths: list[Path], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    bands = [np.zeros(len(kept), dtype=np.uint64) for _ in range(BANDS)]
    for start, signatures, editions in _signatures(paths):
        end = start + len(editions)
        editions = np.where(kept[start:end], editions, 0).astype(np.uint64)
        for band, keys in enumerate(bands):
            keys[start:end] = band_keys(signatures, editions, band)
    pairs = np.unique(np.concatenate([candidate_pairs(bands.pop()) for _ in range(BANDS)]), axis=0)
    result = np.zeros(len(kept), dtype=bool)
    if not len(pairs):
        return result
    rows = np.unique(pairs)
    # Only the signatures and titles of candidates are held.
    held = np.concatenate(
        [signatures[rows[(rows >= start) & (rows < start + len(signatures))] - start]
         for start, signatures, _ in _signatures(paths)]
    )  # fmt: skip
    pairs = np.searchsorted(rows, pairs)
    pairs = pairs[similar(pairs, held)]
    titles = _titles(paths, rows)
    result[[rows[later] for earlier, later in pairs if similar_titles(titles[earlier], titles[later])]] = True
    return result


def _titles(paths: list[Path], rows: NDArray[np.int64]) -> list[str]:
    """The titles of some books, by their numbers in rising order."""
    import pyarrow.parquet as pq

    titles: list[str] = []
    start = 0
    for path in paths:
        column = pq.read_table(path, columns=["title"])["title"]
        titles += column.take(rows[(rows >= start) & (rows < start + len(column))] - start).to_pylist()
        start += len(column)
    return titles


def _signatures(paths: list[Path]) -> Iterator[tuple[int, NDArray[np.uint16], NDArray[np.uint64]]]:
    import pyarrow.parquet as pq

    start = 0
    for path in paths:
        table = pq.read_table(path, columns=["signature", "edition"])
        signatures = signatures_array(table["signature"].to_pylist())
        yield start, signatures, table["edition"].to_numpy()
        start += len(signatures)


def _balanced(units: NDArray[np.float64], seed: int) -> NDArray[np.bool_]:
    """Which books stay where at most BUCKET_LIMIT of a dollar bucket under BALANCED_BELOW may."""
    kept = np.ones(len(units), dtype=bool)
    order = np.random.default_rng(seed).permutation(len(units))
    buckets = np.floor(units[order]).astype(int)
    for bucket in range(BALANCED_BELOW):
        kept[order[buckets == bucket][BUCKET_LIMIT:]] = False
    return kept


def _write_splits(paths: list[Path], folder: Path, settings: PrepareSettings, counts: _Counts) -> dict[str, Any]:
    import pyarrow.parquet as pq

    kept, duplicates = _find_duplicates(paths)
    units = _column(paths, "units")
    names = list(SPLITS)
    splits = np.concatenate([_split_numbers(path, settings.seed) for path in paths])
    balanced_out = 0
    if settings.balance:
        train = np.flatnonzero(kept & (splits == 0))
        stays = _balanced(units[train], settings.seed)
        kept[train[~stays]] = False
        balanced_out = int((~stays).sum())
    sizes = {name: int((splits[kept] == number).sum()) for number, name in enumerate(names)}
    digest = hashlib.sha256()
    after = _Counts()
    examples: list[dict[str, str]] = []
    (folder / "data").mkdir()
    columns = row_schema().names
    with ExitStack() as stack:
        # `datasets` loads no empty split.
        writers = {
            name: stack.enter_context(_SplitWriter(folder / "data", name, sizes[name])) for name in names if sizes[name]
        }
        start = 0
        for path in paths:
            table = pq.read_table(path, columns=columns)
            end = start + len(table)
            for name, writer in writers.items():
                number = names.index(name)
                part = table.filter((kept & (splits == number))[start:end])
                writer.write(part)
                for row in part.select(["title", "units", "tokens", "prompt", "completion"]).to_pylist():
                    digest.update(f"{row['title']}\t{row['units']}\n".encode())
                    _count(after.tokens, TOKEN_EDGES, min(row["tokens"], settings.content_tokens))
                    _count(after.prices, PRICE_EDGES, row["units"])
                    if len(examples) < _EXAMPLES:
                        examples.append({"prompt": row["prompt"], "completion": row["completion"]})
            start = end
    return {
        "format_version": FORMAT_VERSION,
        "prompt_version": PROMPT_VERSION,
        "currency": settings.currency,
        "unit": settings.unit,
        "fingerprint": digest.hexdigest(),
        "settings": {
            "content_tokens": settings.content_tokens, "min_tokens": settings.min_tokens, "seed": settings.seed,
            "balance": settings.balance, "shares": SPLITS,
        },
        "rows": counts.rows,
        "rejected": dict(counts.rejected.most_common()),
        "rejected_examples": counts.examples,
        "cleaned": {
            rule: {"books": counts.books_by_rule[rule], "places": places}
            for rule, places in counts.rules.most_common()
        },
        "duplicates": duplicates,
        "balanced_out": balanced_out,
        "books": sum(sizes.values()),
        "splits": sizes,
        "histograms": {
            "tokens": {"edges": TOKEN_EDGES, "before": counts.tokens, "after": after.tokens},
            "price_units": {"edges": PRICE_EDGES, "before": counts.prices, "after": after.prices},
        },
        "examples": examples,
    }  # fmt: skip


def _split_numbers(path: Path, seed: int) -> NDArray[np.int8]:
    import pyarrow.parquet as pq

    from .book import Book

    names = list(SPLITS)
    rows = pq.read_table(path, columns=["title", "author"]).to_pylist()
    return np.array([names.index(split_of(Book.model_construct(**row), seed)) for row in rows], dtype=np.int8)


class _SplitWriter:
    """Writes the rows of one split, at least one, into shards of nearly the same size."""

    def __init__(self, folder: Path, split: str, rows: int) -> None:
        shards = -(-rows // _SHARD_ROWS)
        self._names = [folder / f"{split}-{number:05d}-of-{shards:05d}.parquet" for number in range(shards)]
        self._rows = -(-rows // shards)
        self._stack = ExitStack()
        self._waiting: list[pa.Table] = []
        self._in_shard = 0

    def __enter__(self) -> _SplitWriter:
        self._next_shard()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._flush()
        self._stack.close()

    def write(self, table: pa.Table) -> None:
        """Add rows; they are written when there are enough for a row group."""
        while self._in_shard + len(table) > self._rows and self._names:
            room = self._rows - self._in_shard
            self._add(table.slice(0, room))
            self._next_shard()
            table = table.slice(room)
        self._add(table)

    def _add(self, table: pa.Table) -> None:
        self._in_shard += len(table)
        self._waiting.append(table)
        if sum(map(len, self._waiting)) >= CHUNK_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting and sum(map(len, self._waiting)):
            self._writer.write_table(pa.concat_tables(self._waiting).replace_schema_metadata(None))
        self._waiting = []

    def _next_shard(self) -> None:
        import pyarrow.parquet as pq

        self._flush()
        self._stack.close()
        self._stack = ExitStack()
        self._writer = self._stack.enter_context(pq.ParquetWriter(self._names.pop(0), row_schema(), compression="zstd"))
        self._in_shard = 0

"""The command line. Knows arguments and screens; everything else it asks of the layers below, imported when needed."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..training.errors import BookPricerError, InputError

if TYPE_CHECKING:
    from ..chains.pricing import PricingChain
    from ..training.dataset import PricedBook
    from ..training.estimate import PriceEstimate
    from ..training.evaluation import Measures
    from ..training.presets import FinetuneSettings

app = typer.Typer(
    name="bookpricer",
    help="Price books from their text: one, or a catalogue; with the embedded demonstration model, or your own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
embedded_app = typer.Typer(help="The embedded demonstration model.", no_args_is_help=True)
app.add_typer(embedded_app, name="embedded")

# Results go to standard output, everything about how they come about to standard error.
_out = Console()
_err = Console(stderr=True)

ModelOption = Annotated[str, typer.Option("--model", "-m", help="A model folder, a hub id, or 'embedded'.")]
DeviceOption = Annotated[
    str | None, typer.Option(help="Where to run, such as cpu or cuda; found by itself if not given.")
]
BackendOption = Annotated[
    str | None,
    typer.Option(
        help="What runs the model: a server's address, such as http://localhost:8000/v1, or a chat model, such as "
        "openai:gpt-5, whose words are read. This machine if not given.",
    ),
]
SamplesOption = Annotated[
    int, typer.Option(min=1, help="How often to ask a model whose words are read; several give an interval.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
CurrencyOption = Annotated[str, typer.Option(help="ISO code of the catalogue's currency.")]
UnitOption = Annotated[float, typer.Option(min=1e-6, help="What one model dollar stands for, such as 1000 for VND.")]
SeedOption = Annotated[int, typer.Option(help="Seed of the splits.")]
WithComparablesOption = Annotated[
    bool, typer.Option("--with-comparables", help="Push what tells of single books, too: texts and prices.")
]
CoverageOption = Annotated[
    float, typer.Option(min=0.01, max=0.99, help="Share of books whose price the interval should hold.")
]


@app.command()
def demo(as_json: JsonOption = False, device: DeviceOption = None) -> None:
    """Price the bundled synthetic catalogue and show how far off the embedded model is."""
    from ..training.dataset import read_priced_books
    from ..training.evaluation import price_errors
    from ..training.model_folder import demo_catalog

    with _busy("loading the embedded model"):
        chain = _chain("embedded", device)
    books = read_priced_books(demo_catalog()).books
    with _busy(f"pricing {len(books)} books"):
        estimates: list[PriceEstimate] = chain.batch([priced.book for priced in books])
    actual = [priced.units for priced in books]
    rows = {"embedded model": price_errors([estimate.price for estimate in estimates], actual), **_references(actual)}
    held = sum(
        estimate.low <= price <= estimate.high
        for estimate, price in zip(estimates, actual, strict=True)
        if estimate.low is not None and estimate.high is not None
    )
    if as_json:
        _print_json(
            {
                "books": [
                    {"title": priced.book.title, "actual": priced.units, "estimate": estimate.model_dump()}
                    for priced, estimate in zip(books, estimates, strict=True)
                ],
                "errors": rows,
                "coverage": held / len(books),
            }
        )
        return
    table = Table(
        title=f"{len(books)} synthetic books, priced by a small demonstration model", width=min(_out.width, 100)
    )
    # On a narrow screen the title gives way, not the numbers.
    table.add_column("Title", ratio=1, no_wrap=True)
    table.add_column("Format", width=10, no_wrap=True)
    for column, width in (("Estimate", 8), ("80 % interval", 13), ("Price", 7)):
        table.add_column(column, justify="right", no_wrap=True, width=width)
    for priced, estimate in zip(books, estimates, strict=True):
        table.add_row(
            Text(priced.book.title),
            Text(priced.book.format or ""),
            f"${estimate.price:,.0f}",
            f"${estimate.low:,.0f} – ${estimate.high:,.0f}",
            f"${priced.units:,.2f}",
        )
    _out.print(table)
    _out.print(_errors_table(rows))
    _out.print(
        f"The 80 % intervals hold {held} of {len(books)} prices. The model, the books and their prices are synthetic: "
        "this shows how it works, not what your books are worth.\n\n"
        "Next:\n"
        '  bookpricer price "The Art of War, illustrated hardcover, 320 pages"\n'
        "  bookpricer catalog books.csv priced.csv          your own catalogue\n"
        "  bookpricer train books.csv my-model              tune it to your own prices\n"
        "  bookpricer ui                                    in the browser",
        markup=False,
        highlight=False,
    )


@app.command()
def price(
    book: Annotated[
        str, typer.Argument(metavar="TEXT|FILE|-", help="A book in words or JSON, a file of it, or - to read it.")
    ],
    model: ModelOption = "embedded",
    coverage: CoverageOption = 0.8,
    distribution: Annotated[bool, typer.Option(help="Add the probabilities of all prices to the JSON.")] = False,
    backend: BackendOption = None,
    samples: SamplesOption = 1,
    as_json: JsonOption = False,
    device: DeviceOption = None,
) -> None:
    """Price one book."""
    value = _read_book(book)
    with _busy("loading the model"):
        chain = _chain(model, device, coverage, backend, samples)
    estimate = chain.invoke(value)
    if as_json:
        _print_json(estimate.model_dump(context={"distribution": distribution}))
        return
    _out.print(_estimate_text(estimate))


@app.command()
def catalog(
    source: Annotated[Path, typer.Argument(metavar="IN", help="The catalogue: CSV, TSV, JSONL, Parquet or XLSX.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The priced catalogue: .csv, .tsv or .jsonl.")],
    model: ModelOption = "embedded",
    coverage: CoverageOption = 0.8,
    quantiles: Annotated[
        str, typer.Option(metavar="LEVELS", help="Columns to add, such as 0.1,0.25,0.75: price_q10 and so on.")
    ] = "",
    backend: BackendOption = None,
    samples: SamplesOption = 1,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    device: DeviceOption = None,
) -> None:
    """Price a catalogue: keeps its columns and adds the estimates. Exit status 1 if some rows have none."""
    from ..training.sources import open_catalog

    levels = _levels(quantiles)
    total = open_catalog(source).count()
    with _busy("loading the model"):
        from ..chains.catalog import price_catalog

        chain = _chain(model, device, coverage, backend, samples)
    with _progress("pricing", total) as advance:
        report = price_catalog(
            chain, source, out, overwrite=overwrite, quantiles=levels, calibration=chain.calibration, progress=advance
        )
    if as_json:
        _print_json(
            {
                "rows": report.rows,
                "priced": report.priced,
                "rejected": [{"row": number, "reason": reason} for number, reason in report.rejections],
                "out": str(out),
            }
        )
    else:
        shown = report.rejections[:20]
        for number, reason in shown:
            _err.print(f"row {number} is not priced: {reason}", markup=False, highlight=False)
        if len(report.rejections) > len(shown):
            _err.print(f"… and {len(report.rejections) - len(shown)} more, marked 'rejected' in {out}", highlight=False)
        _out.print(f"{report.priced:,} of {report.rows:,} rows are priced in {out}", highlight=False, soft_wrap=True)
    if report.rejections:
        raise typer.Exit(1)


@app.command()
def prepare(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A data set's hub id, a CSV, TSV, JSONL, Parquet or XLSX file, or a folder of them."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The data set to make.")],
    config: Annotated[str | None, typer.Option(help="Configuration of a hub data set.")] = None,
    split: Annotated[str | None, typer.Option(help="Split of a hub data set; full or train if not given.")] = None,
    revision: Annotated[str | None, typer.Option(help="Revision of a hub data set.")] = None,
    map_: Annotated[
        list[str] | None, typer.Option("--map", help="What a column is, such as 'Their name=price'.")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a text file; found by itself if not given.")] = None,
    currency: Annotated[str | None, typer.Option(help="ISO code; what the prices say, or USD, if not given.")] = None,
    unit: Annotated[
        float, typer.Option(min=1e-6, help="What one model dollar stands for, such as 1000 for VND.")
    ] = 1.0,
    preset: Annotated[str, typer.Option(help="Whose tokenizer counts and cuts.")] = "embedded",
    tokenizer: Annotated[str | None, typer.Option(help="Another tokenizer: its file, folder or hub id.")] = None,
    min_tokens: Annotated[
        int | None,
        typer.Option(min=0, help="Leave out books with not more tokens; 150 for the Amazon data set, 0 for others."),
    ] = None,
    balance: Annotated[bool, typer.Option("--balance", help="Level the training part's prices under $50.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the splits and of balancing.")] = 0,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one a core if not given.")] = None,
    push_to_hub: Annotated[str | None, typer.Option(metavar="REPO", help="Push the data set to this hub id.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everyone see what is pushed.")] = False,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Prepare a catalogue for training: clean, filter, remove duplicates, split. Goes on where it was interrupted."""
    from ..training import prepare as preparing
    from ..training.columns import parse_overrides
    from ..training.currencies import check_currency
    from ..training.data_card import push_to_hub as push
    from ..training.dataset import REPORT
    from ..training.model_folder import check_new, find_tokenizer
    from ..training.presets import load_settings
    from ..training.sources import Catalog, is_hub_id, open_catalog, open_hub

    check_new(out, overwrite, REPORT)
    overrides = parse_overrides(map_ or ())
    settings = load_settings(preset)
    tokenizer_file = find_tokenizer(tokenizer or settings.base_model, None if tokenizer else settings.base_revision)
    with _busy(f"opening {source}"):
        if config or split or revision or (not Path(source).exists() and is_hub_id(source)):
            catalog: Catalog = open_hub(source, config=config, split=split, revision=revision, overrides=overrides)
        else:
            catalog = open_catalog(source, overrides, encoding=encoding)
        mapping = preparing.check_columns(catalog)
        named = check_currency(currency) if currency else preparing.guess_catalog_currency(catalog) or "USD"
    for column, name in mapping.items():
        if column != name:
            _say(f"{column!r} is read as {name}")
    if unused := [column for column in catalog.columns if column and column not in mapping]:
        _say(f"not used: {', '.join(unused)}; --map 'Their column=field' would use one")
    _say(f"prices are read as {named}, one unit is {unit:g} {named}")
    if min_tokens is None:
        min_tokens = preparing.METHOD_MIN_TOKENS if preparing.METHOD_DATA in source.lower() else 0
    with _progress("preparing", catalog.known_count()) as advance:
        report = preparing.prepare(
            catalog, out,
            preparing.PrepareSettings(
                tokenizer_file, min_tokens=min_tokens, currency=named, unit=unit, seed=seed, balance=balance,
            ),
            source=source if is_hub_id(source) else None, overwrite=overwrite, workers=workers or os.cpu_count() or 1,
            progress=advance, say=_say,
        )  # fmt: skip
    if as_json:
        _print_json(report)
    else:
        _print_preparation(report)
        _out.print(f"the data set is in {out}; next: bookpricer train {out} my-model", highlight=False, soft_wrap=True)
    if push_to_hub:
        with _busy(f"pushing to {push_to_hub}"):
            push(out, push_to_hub, private=not public)
        _say(f"pushed to {push_to_hub}")


@app.command()
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A prepared folder, or a priced catalogue.")],
    out: Annotated[Path, typer.Argument(metavar="MODEL", help="The model folder to make.")],
    preset: Annotated[str, typer.Option(help="embedded, llama-3.2-1b, llama-3.2-3b or llama-3.1-8b.")] = "embedded",
    config: Annotated[Path | None, typer.Option(help="A YAML file of settings laid over the preset's.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="One setting, such as lora.r=16.")] = None,
    print_config: Annotated[bool, typer.Option("--print-config", help="Print the settings and stop.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it would train, in how much memory and time, and stop.")
    ] = False,
    gpu: Annotated[
        str | None, typer.Option(help="The GPU that --dry-run plans for, such as a100-80gb; the one here if not given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after an interruption.")] = False,
    skip_baselines: Annotated[
        bool, typer.Option("--skip-baselines", help="Fit only those that the model's prompts need.")
    ] = False,
    track: Annotated[
        list[str] | None, typer.Option(help="Send the curves to wandb or tensorboard; nowhere if not given.")
    ] = None,
    push_to_hub: Annotated[
        str | None, typer.Option(metavar="REPO", help="Push the model to this hub id when it is done.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everyone see what is pushed.")] = False,
    with_comparables: WithComparablesOption = False,
    currency: CurrencyOption = "USD",
    unit: UnitOption = 1.0,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    device: DeviceOption = None,
) -> None:
    """Tune a model to a priced catalogue with QLoRA. Interrupted, it goes on with --resume."""
    from ..training.dataset import read_splits
    from ..training.presets import check_trackers, load_settings

    settings = load_settings(preset, config, set_ or ())
    if print_config:
        import yaml

        print(yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False), end="")
        return
    check_trackers(track or ())
    if push_to_hub:
        from ..training.model_folder import PricerConfig
        from ..training.publishing.hub import check_push

        made = PricerConfig(base_model=settings.base_model, evidence=settings.recipe.evidence)
        check_push(push_to_hub, made, is_whole=settings.lora is None, comparables=with_comparables)
    with _busy("reading the catalogue"):
        read = read_splits(data, currency=currency, unit=unit, seed=seed)
    if dry_run:
        _print_plan(settings, read.splits["train"], gpu or device, as_json)
        return
    sizes = ", ".join(f"{len(books):,} {name}" for name, books in read.splits.items())
    _say(f"{sum(map(len, read.splits.values())):,} priced books: {sizes}")
    for reason, count in read.rejected.most_common():
        _say(f"left out {count:,}: {reason}")
    from ..training.finetune import finetune

    # Trackers print; standard output is for the result.
    with _training_progress() as progress, redirect_stdout(sys.stderr):
        trained = finetune(
            settings, read, out, baselines=not skip_baselines, track=track or (), device=device, resume=resume,
            overwrite=overwrite, say=_say, progress=progress,
        )  # fmt: skip
    if trained is None:  # one of several processes, whose first one says what came of it
        return
    figures: Mapping[str, Any] = {}
    if read.splits["test"]:
        figures = _evaluate(
            out, str(out), read.splits["test"], _folder_name(data), target=out / "report", split="test", device=device
        )
    if as_json:
        from ..training.evaluation_report import contract

        _print_json({"model": str(out), "test": contract(figures) if figures else {}})
    else:
        if figures:
            _print_measures(figures, len(read.splits["test"]))
        _out.print(f"the model is in {out}; use it with --model {out}", highlight=False, soft_wrap=True)
    if push_to_hub:
        from ..training.publishing.hub import push_model

        with _busy(f"pushing to {push_to_hub}"):
            pushed = push_model(out, push_to_hub, private=not public, comparables=with_comparables, say=_say)
        _say(f"pushed: {pushed.url}")


@app.command()
def baselines(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A prepared folder, or a priced catalogue.")],
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The model folder to fit them into, or to make.")],
    currency: CurrencyOption = "USD",
    unit: UnitOption = 1.0,
    seed: SeedOption = 0,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fit the classic baselines into a model folder, and measure them on the test split."""
    from ..training.baselines import BASELINES
    from ..training.baselines.fitting import check_target, fit_baselines
    from ..training.dataset import read_splits
    from ..training.model_folder import ModelFolder

    with _busy("reading the books"):
        read = read_splits(data, currency=currency, unit=unit, seed=seed)
    check_target(ModelFolder(model), read.currency, read.unit, overwrite)
    with _progress("fitting the baselines", len(BASELINES)) as advance:
        results = fit_baselines(
            read.splits, model, currency=read.currency, unit=read.unit, data_fingerprint=read.fingerprint,
            overwrite=overwrite, progress=lambda title: advance(1),
        )  # fmt: skip
    if as_json:
        _print_json(results)
        return
    titled = {row["title"]: row for row in results["methods"].values() if "mae" in row}
    if titled:
        _out.print(_measures_table(titled, results["books"]["test"], read.currency, read.unit))
    _out.print(f"the baselines, their results and plots are in {model / 'baselines'}", highlight=False, soft_wrap=True)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, a hub id, or 'embedded'.")],
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="A prepared folder (its test split), or a priced catalogue (all).")
    ],
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the report goes; the model folder's report/ if not given.")
    ] = None,
    coverage: CoverageOption = 0.8,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    device: DeviceOption = None,
) -> None:
    """Measure a model and the baselines in its folder on priced books, and write a report with figures and charts."""
    from ..training.dataset import read_test_books
    from ..training.evaluation_report import PAGE, check_report, contract, own_folder
    from ..training.measuring import without_answers
    from ..training.model_folder import ModelFolder, find_model

    path = find_model(model)
    config = ModelFolder(path).config
    with _busy("reading the books"):
        read = read_test_books(data, currency=config.currency, unit=config.unit)
    for reason, count in read.rejected.most_common():
        _say(f"left out {count:,}: {reason}")
    target = report or own_folder(model)
    if target is None:
        _say("no report is written, since the model is not in a folder of yours; pass --report DIR for one")
    else:
        try:
            check_report(target, without_answers(read.books).fingerprint, overwrite)
        except InputError as error:
            if report:
                raise
            # Only what was asked for must not fail for its sake.
            _say(f"no report is written: {error}")
            target = None
    figures = _evaluate(
        path, model, read.books, _folder_name(data), target=target, split="test" if data.is_dir() else None,
        left_out=read.rejected, coverage=coverage, device=device,
    )  # fmt: skip
    if as_json:
        _print_json(contract(figures))
        return
    _print_measures(figures, len(read.books))
    if target:
        _out.print(f"the report is in {target / PAGE}", highlight=False, soft_wrap=True)


@app.command()
def export(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, a hub id, or 'embedded'.")],
    out: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "bfloat16",
    revision: Annotated[str | None, typer.Option(help="Revision of a model on the hub.")] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
    device: Annotated[str, typer.Option(help="Where to merge, such as cpu or cuda.")] = "cpu",
) -> None:
    """Write a model whole, its adapter merged in, for vLLM, llama.cpp and transformers."""
    with _busy("merging the model"):
        from ..training.publishing.export import export_model

        export_model(model, out, dtype=dtype, revision=revision, device=device, overwrite=overwrite, say=_say)
    if as_json:
        files = sorted(path for path in out.rglob("*") if path.is_file())
        _print_json({"model": str(out), "dtype": dtype, "bytes": sum(path.stat().st_size for path in files)})
        return
    _out.print(f"the model is in {out}; {out / 'README.md'} says how to serve it", highlight=False, soft_wrap=True)


@app.command()
def push(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder, or an export of one.")],
    repository: Annotated[str, typer.Argument(metavar="REPO", help="Where to, such as me/my-pricer.")],
    public: Annotated[bool, typer.Option("--public", help="Let everyone see a repository made for it.")] = False,
    with_comparables: WithComparablesOption = False,
    revision: Annotated[str | None, typer.Option(help="Branch to push to, made where there is none.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Push a model folder with its card to the Hugging Face hub; private, and without any single book, unless asked."""
    from ..training.publishing.hub import push_model

    with _busy(f"pushing to {repository}"):
        pushed = push_model(
            model, repository, private=not public, comparables=with_comparables, revision=revision, say=_say
        )
    if as_json:
        _print_json({"repo_id": pushed.repo_id, "revision": pushed.revision, "url": pushed.url})
        return
    _out.print(f"pushed: {pushed.url}", highlight=False, soft_wrap=True, markup=False)
    _out.print(f"use it with --model {pushed.repo_id}", highlight=False, soft_wrap=True, markup=False)


@app.command()
def chat(
    model: ModelOption = "embedded",
    chat_model: Annotated[
        str | None,
        typer.Option(help="A chat model that calls tools, such as openai:gpt-…; without one, an offline planner."),
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option("--catalog", help="A catalogue whose books can be asked for by name.")
    ] = None,
    device: DeviceOption = None,
) -> None:
    """Talk about prices: paste a book, ask why, ask for it as a hardcover, for comparables, whether a price is fair."""
    from .terminal_chat import talk

    with _busy("loading the model"):
        from langgraph.checkpoint.memory import InMemorySaver

        from ..chains.agent import chat_model_from_environment, pricing_agent
        from ..chains.conversation import Conversation

        agent = pricing_agent(
            chat_model or chat_model_from_environment(), _chain(model, device), catalog=catalogue,
            checkpointer=InMemorySaver(),
        )  # fmt: skip
    talk(Conversation(agent, "terminal"), _out, _err)


@app.command()
def serve(
    mcp: Annotated[bool, typer.Option("--mcp", help="As an MCP server.")] = False,
    model: ModelOption = "embedded",
    transport: Annotated[str, typer.Option(help="stdio, or http (streamable HTTP).")] = "stdio",
    host: Annotated[str, typer.Option(help="Address to listen on, for http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on, for http.")] = 8000,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host name that requests may carry, for http behind a name.")
    ] = None,
    catalogue: Annotated[
        Path | None, typer.Option("--catalog", help="A catalogue whose books can be looked up.")
    ] = None,
    device: DeviceOption = None,
) -> None:
    """Offer the pricing tools to other programs, as an MCP server."""
    if not mcp:
        raise InputError("say what to serve: bookpricer serve --mcp")
    if transport not in ("stdio", "http"):
        raise InputError(f"there is no transport {transport!r}; choose stdio or http")
    from ..chains.server import HTTP_PATH, http_app, mcp_server, serve_stdio

    mcp_server([])  # says at once if the extra is missing
    with _busy("loading the model"):
        from ..chains.toolkit import pricing_tools

        tools = pricing_tools(_chain(model, device), catalog=catalogue)
    if transport == "stdio":
        import anyio

        anyio.run(serve_stdio, tools)
        return
    import uvicorn

    _say(f"serving {len(tools)} tools at http://{host}:{port}{HTTP_PATH}")
    uvicorn.run(http_app(tools, allowed_hosts=[f"{host}:{port}", *(allow_host or ())]), host=host, port=port,
                log_level="warning")  # fmt: skip


@app.command()
def ui(
    model: ModelOption = "embedded",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 8501,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open the front end in the browser."""
    try:
        from streamlit.web import cli as streamlit
    except ImportError as error:
        raise InputError("the front end needs the extra 'ui': pip install 'bookpricer[ui]'") from error
    from ..training.model_folder import find_model

    find_model(model)
    _say(f"the front end is at http://localhost:{port}; stop it with Ctrl+C")
    script = Path(__file__).with_name("app.py")
    sys.argv = [
        "streamlit", "run", str(script), "--server.address", "localhost", "--server.port", str(port),
        "--server.headless", str(not browser).lower(), "--server.showEmailPrompt", "false",
        "--server.fileWatcherType", "none", "--browser.gatherUsageStats", "false",
        "--client.toolbarMode", "viewer", "--client.showErrorDetails", "none",
        # Nor does it advertise itself to developers, on the page or in the terminal.
        "--logger.hideWelcomeMessage", "true",
        "--theme.light.primaryColor", "#0f766e", "--theme.dark.primaryColor", "#0d9488",
        "--", "--model", model,
    ]  # fmt: skip
    sys.exit(streamlit.main())


@embedded_app.command("build")
def embedded_build(
    work: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to build; goes on where an earlier build stopped.")
    ],
    device: DeviceOption = None,
    install: Annotated[bool, typer.Option(help="Put the weights into the package when done.")] = False,
) -> None:
    """Make the embedded model again: catalogue, tokenizer, base model, QLoRA tuning."""
    from ..training.embedded.build import build

    report = build(work, device=device, install=install, say=_say)
    _out.print(_errors_table(report["test"]))


def main() -> None:
    """Run the command line; errors end in one sentence: exit status 2 for wrong usage or input, 1 for a failed run."""
    _quiet_libraries()
    try:
        app()
    except BookPricerError as error:
        _err.print(f"Error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        _err.print("stopped")
        sys.exit(130)


def _quiet_libraries() -> None:
    """Keep what the libraries tell their developers from the user; what goes wrong still raises."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    for module in ("transformers", "bitsandbytes", "peft", "trl", "torch"):
        warnings.filterwarnings("ignore", module=module)


def _chain(
    model: str, device: str | None, coverage: float = 0.8, backend: str | None = None, samples: int = 1
) -> PricingChain:
    from ..chains.pricing import PricingChain

    return PricingChain.from_pretrained(model, device=device, coverage=coverage, backend=backend, samples=samples)


def _levels(quantiles: str) -> list[float]:
    """The levels in a list such as "0.1,0.9".

    Raises:
        InputError: one that is no number between 0 and 1.
    """
    from ..chains.catalog import quantile_column

    try:
        levels = [float(level) for level in quantiles.split(",") if level.strip()]
    except ValueError as error:
        raise InputError(f"--quantiles takes numbers between 0 and 1, such as 0.1,0.9, not {quantiles!r}") from error
    for level in levels:
        quantile_column(level)
    return levels


def _read_book(argument: str) -> Any:
    """A record where the argument, or the file it names, holds a JSON object; a text otherwise."""
    text = argument
    if argument == "-":
        text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    elif len(argument) < 1000 and "\0" not in argument and Path(argument).is_file():
        data = Path(argument).read_bytes()
        if b"\0" in data[:1000]:
            raise InputError(f"{argument} is not a text file; give a text, or a file that holds one book")
        text = data.decode("utf-8", errors="replace")
    elif Path(argument).suffix.lower() in (".txt", ".json", ".jsonl", ".csv") and " " not in argument.strip():
        raise InputError(f"there is no file {argument}; check the name")
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise InputError(f"the book starts like JSON but is none ({error}); correct it") from error
    return text


def _folder_name(given: str | Path) -> str:
    """What a model or a catalogue is called, without where it lies on this machine."""
    return Path(given).expanduser().resolve().name if Path(given).expanduser().exists() else str(given)


def _references(actual: list[float]) -> dict[str, Measures]:
    """What no knowledge of the books reaches: their median price for each, and a random price."""
    import numpy as np

    from ..training.evaluation import price_errors

    random = np.random.default_rng(0).uniform(0, 999, len(actual))
    constant = [float(np.median(actual))] * len(actual)
    return {"constant (median)": price_errors(constant, actual), "random": price_errors(random, actual)}


def _errors_table(rows: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title="Error in dollars")
    table.add_column("Method")
    for column in ("Mean", "Median", "Within 20 % or $40"):
        table.add_column(column, justify="right")
    for name, errors in rows.items():
        table.add_row(name, f"{errors['mae']:.2f}", f"{errors['median_ae']:.2f}", f"{errors['hit_rate']:.0%}")
    return table


def _print_preparation(report: Mapping[str, Any]) -> None:
    """What each rule took, the splits, and token and price histograms before and after."""
    from ..training.data_card import histogram_rows, left_out

    table = Table(title=f"{report['books']:,} of {report['rows']:,} records are kept")
    table.add_column("Rule")
    table.add_column("Records", justify="right")
    for rule, counts in report["cleaned"].items():
        table.add_row(Text(f"cleaned: {rule}"), f"{counts['books']:,}")
    table.add_section()
    for reason, count in left_out(report):
        table.add_row(Text(f"left out: {reason}"), f"{count:,}")
    table.add_section()
    for split, count in report["splits"].items():
        table.add_row(Text(f"split: {split}"), f"{count:,}")
    _out.print(table)
    for name, histogram in report["histograms"].items():
        table = Table(title=name.replace("_", " in "))
        table.add_column(name.split("_")[0].capitalize(), no_wrap=True)
        for column in ("Before", "After"):
            table.add_column(column, justify="right")
            table.add_column("", width=16)
        most = max(*histogram["before"], *histogram["after"], 1)
        for label, before, after in histogram_rows(histogram):
            bars = ("█" * round(16 * count / most) for count in (before, after))
            table.add_row(label, f"{before:,}", next(bars), f"{after:,}", next(bars))
        _out.print(table)
    for example in report["examples"][:1]:
        _out.print(Text(f"{example['prompt']}{example['completion']}", style="dim"))


def _measures_table(rows: Mapping[str, Mapping[str, Any]], n: int, currency: str, unit: float) -> Table:
    """All measures of each method; errors are in units of `currency`."""
    table = Table(title=f"Errors on {n:,} books, in {currency if unit == 1 else f'{unit:g} {currency}'}")
    table.add_column("Method")
    for column in ("Mean", "Median", "RMSLE", "R²", "Hit rate"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in rows.items():
        r2 = "–" if row["r2"] is None else f"{row['r2']:.2f}"
        cells = [f"{row['mae']:.2f}", f"{row['median_ae']:.2f}", f"{row['rmsle']:.3f}", r2, f"{row['hit_rate']:.0%}"]
        table.add_row(name, *cells)
    return table


def _evaluate(
    path: Path, model: str, books: Sequence[PricedBook], data: str, *, target: Path | None = None,
    split: str | None = None, left_out: Mapping[str, int] | None = None, coverage: float = 0.8,
    device: str | None = None,
) -> Mapping[str, Any]:  # fmt: skip
    """Ask every method of a model folder about books, and write the report where `target` is."""
    from .. import __version__
    from ..training.evaluation_report import build_report, save_report
    from ..training.measuring import ask_methods, load_methods
    from ..training.model_folder import ModelFolder

    with _busy("loading the methods"):
        methods = load_methods(path, device=device)
    with _progress("pricing", len(methods) * len(books)) as advance:
        predictions = ask_methods(methods, books, coverage=coverage, progress=advance)
    with _busy("computing the figures"):
        figures = build_report(
            predictions, ModelFolder(path).config, model=_folder_name(model), data=data, split=split,
            left_out=left_out, version=__version__,
        )  # fmt: skip
    if target:
        save_report(target, figures, predictions, [priced.book for priced in books])
    return figures


def _print_measures(figures: Mapping[str, Any], n: int) -> None:
    _out.print(_measures_table(figures["methods"], n, figures["currency"], figures["unit"]))
    for name, row in figures["methods"].items():
        if row["coverage"] is not None:
            held = f"{row['coverage']:.0%} of prices and are {row['interval_width']:.2f} wide on average"
            _out.print(f"The {figures['coverage']:.0%} intervals of {name} hold {held}.", highlight=False)


def _print_plan(settings: FinetuneSettings, books: Sequence[PricedBook], device: str | None, as_json: bool) -> None:
    from ..training.planning.plan import plan_rows, plan_run

    with _busy("planning"):
        plan = plan_run(settings, books, gpu=device, devices=int(os.environ.get("WORLD_SIZE", "1")))
    if as_json:
        _print_json(plan.model_dump())
        return
    table = Table(title="What it would train", show_header=False)
    table.add_column("", no_wrap=True)
    table.add_column("")
    for name, value in plan_rows(plan):
        table.add_row(name, Text(value))
    _out.print(table)
    for sentence in (*plan.notes, *plan.warnings):
        _out.print(f"- {sentence}", markup=False, highlight=False)


def _estimate_text(estimate: PriceEstimate) -> Text:
    text = Text(f"{estimate.price:,.2f} {estimate.currency}", style="bold")
    if estimate.low is not None and estimate.high is not None and estimate.coverage is not None:
        text.append(f"  {estimate.coverage:.0%} interval {estimate.low:,.2f} – {estimate.high:,.2f}", style="default")
    if estimate.confidence is not None:
        text.append(f"\nwithin 20 % of it with probability {estimate.confidence:.0%}", style="not bold")
    if estimate.distribution:
        text.append(f"\n{estimate.distribution.to_text()}", style="not bold cyan")
    text.append(f"\nby {estimate.model}", style="not bold dim")
    for warning in estimate.warnings:
        text.append(f"\n{warning}", style="not bold yellow")
    return text


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=1))


def _say(sentence: str) -> None:
    _err.print(sentence, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _busy(what: str) -> Iterator[None]:
    with _err.status(f"{what} …"):
        yield


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_err) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


@contextmanager
def _training_progress() -> Iterator[Callable[[int, int, Mapping[str, float]], None]]:
    """A bar with the time left and the latest measures; it appears with the first step."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )  # fmt: skip
    shown = {"loss": "loss", "eval_mae": "validation error"}
    with Progress(*columns, console=_err) as bar:
        task = None

        def step(done: int, total: int, latest: Mapping[str, float]) -> None:
            nonlocal task
            words = ", ".join(f"{word} {latest[name]:.2f}" for name, word in shown.items() if name in latest)
            if task is None:
                task = bar.add_task(words, total=total)
            bar.update(task, completed=done, description=words)

        yield step

"""Model folders on the Hugging Face hub: what of one may be pushed, and the push, in one commit with its card.

Knows the hub's client and file names; loads no model. `load_pricer` reads a pushed folder back by id and revision.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..model_folder import ModelFolder, PricerConfig
from ..saving import MANIFEST
from .licences import licence_advice, licence_files, licence_of
from .model_card import CARD, build_card, is_local

# All that a model folder may hold for others, and nothing else: no checkpoint, optimizer, training_args.bin, pickle,
# predictions or report page with books' texts matches.
_ALLOWED = re.compile(
    r"""
    pricer\.json | calibration\.json | NOTICE(\.txt)? | LICENSE(\.txt|\.md)? | USE_POLICY\.md
    | (model/)? ( (config|generation_config|tokenizer|tokenizer_config|special_tokens_map)\.json
                | model(-\d{5}-of-\d{5})?\.safetensors | model\.safetensors\.index\.json | tokenizer\.model )
    | adapter/ (adapter_config\.json | adapter_model\.safetensors)
    | baselines/ (results\.json | plots/[\w-]+\.png | [\w-]+/ ([\w-]+/)? [\w-]+\.(json|npy|safetensors|skops))
    | blend/ ([\w-]+/)? [\w-]+\.(json|npy|safetensors|skops)
    | report/ ((training|evaluation)\.json | [\w-]+\.png)
    """,
    re.VERBOSE,
)
_COMPARABLES = re.compile(r"comparables/ ([\w-]+/)? [\w-]+\.(json|jsonl|npy|parquet|safetensors|faiss)", re.VERBOSE)
# The baselines that hold single training books: their vectors, and, in a neighbour index, their prices.
SINGLE_BOOKS = ("kernel_ridge", "neighbours", "vector_boosting")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Pushed:
    """Where a model folder went: its id, the commit to name as `revision`, and the commit's page."""

    repo_id: str
    revision: str
    url: str


def push_model(
    folder: Path,
    repo_id: str,
    *,
    private: bool = True,
    comparables: bool = False,
    revision: str | None = None,
    say: Say = lambda sentence: None,
) -> Pushed:
    """Push a model folder and its card to the hub, in one commit; the repository is made where there is none.

    What goes is a fixed list: `pricer.json`, adapter or weights with their tokenizer, calibration, baselines, blend,
    the figures and plots of the reports, and the base model's licence. Baselines hold words, pairs of words and names
    of authors and publishers out of the training books, each with its weight, but no running text and no single book.
    What tells of single books stays, unless `comparables` is given: `comparables/` (texts, titles and prices), and the
    baselines with a neighbour index (no text, but each training book's price, sentence vector and a hash of title and
    author, from which who knows a book can read what it cost). Of an earlier push, what is not in this one is deleted;
    other files of the repository stay.

    Args:
        folder: the model folder, or what `export` made of one.
        repo_id: `owner/name` on the hub.
        private: of a repository to make; one that is there keeps what it is.
        comparables: push what tells of single books, too.
        revision: the branch to push to, made where there is none; `main` where None.
        say: told what stays here, and what the base model's licence asks for.

    Raises:
        InputError: not a model folder, one that others could not use, or a hub that cannot be reached or refuses.
    """
    config = ModelFolder(folder).config
    check_push(repo_id, config, is_whole=ModelFolder(folder).weights.exists(), comparables=comparables)
    files, left_out = files_to_push(folder, comparables)
    if left_out:
        say(f"not pushed, for they tell of single books: {', '.join(left_out)}")
    extra = {path.name: path for path in licence_files(config.base_model, config.base_revision)}
    licence = licence_of(config.base_model)
    texts = {CARD: build_card(folder, repo_id, left_out=left_out)}
    if licence.notice:
        texts["NOTICE"] = licence.notice
    if advice := licence_advice(repo_id, licence):
        say(advice)

    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    with hub_errors(f"{folder} is whole but could not be pushed to {repo_id}"):
        api = HfApi()
        api.create_repo(repo_id, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        content: dict[str, Path | bytes] = {**extra, **{name: folder / name for name in files}}
        content |= {name: text.encode() for name, text in texts.items()}
        stale = [
            name for name in api.list_repo_files(repo_id, revision=revision) if _is_ours(name) and name not in content
        ]
        commit = api.create_commit(
            repo_id,
            [
                *(CommitOperationAdd(name, source) for name, source in content.items()),
                *(CommitOperationDelete(name) for name in stale),
            ],
            commit_message=f"Push a book pricer (preset {config.preset})",
            revision=revision,
        )
    return Pushed(repo_id, commit.oid, commit.commit_url)


def check_push(
    repo_id: str, config: PricerConfig | None = None, *, is_whole: bool = False, comparables: bool = False
) -> None:
    """Refuse a push that cannot succeed before anything is trained or sent; the hub is asked who is logged in.

    Args:
        repo_id: where to push.
        config: of the folder to push, or to be made; not looked at where None.
        is_whole: the folder holds whole weights, and needs no base model.
        comparables: as for `push_model`.

    Raises:
        InputError: no id of the hub, nobody logged in, no network, or a model that others could not use.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"{repo_id[:100]!r} is no id for the hub; give owner/name, such as me/my-pricer") from error
    if repo_id.count("/") != 1:
        raise InputError(f"{repo_id[:100]!r} has no owner; give owner/name, such as me/{repo_id}")
    if config is not None:
        if is_local(config.base_model) and config.base_model and not is_whole:
            raise InputError(
                f"this model's base is the folder {config.base_model}, which nobody else has; make a whole model with "
                "`bookpricer export` and push that"
            )
        if config.evidence and set(config.evidence.needed) & set(SINGLE_BOOKS) and not comparables:
            raise InputError(
                "this model's prompts carry the prices of single training books, which are not pushed unasked and "
                "without which it cannot price; pass --with-comparables to push them too"
            )
    if get_token() is None:
        raise InputError("nobody is logged in to the hub; run `hf auth login`, or set HF_TOKEN")
    with hub_errors(f"nothing can be pushed to {repo_id}"):
        HfApi().whoami()


def files_to_push(folder: Path, comparables: bool = False) -> tuple[list[str], list[str]]:
    """The names of the files that a push takes, and what it leaves because it tells of single books."""
    from ..neighbours import KIND

    indexes = [manifest.relative_to(folder).parts for manifest in folder.rglob(MANIFEST) if _kind(manifest) == KIND]
    held = {f"baselines/{parts[1]}/" for parts in indexes if parts[0] == "baselines"}
    held |= {f"baselines/{name}/" for name in SINGLE_BOOKS if (folder / "baselines" / name).is_dir()}
    if (folder / "comparables").is_dir():
        held.add("comparables/")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if comparables:
        return [name for name in names if _is_ours(name)], []
    return [name for name in names if _is_ours(name) and not name.startswith(tuple(held))], sorted(held)


@contextmanager
def hub_errors(what: str) -> Iterator[None]:
    """Turn what the hub's client raises into one sentence: `what` failed, why, and what to do.

    Raises:
        InputError: anything went wrong in the block.
    """
    from huggingface_hub import errors

    try:
        yield
    except InputError:
        raise
    except errors.HFValidationError as error:
        raise InputError(f"{what}: that is no id for the hub; give owner/name") from error
    except errors.LocalTokenNotFoundError as error:
        raise InputError(f"{what}: nobody is logged in; run `hf auth login`, or set HF_TOKEN") from error
    except errors.GatedRepoError as error:
        raise InputError(f"{what}: it is gated; accept its terms on its page and run `hf auth login`") from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{what}: there is no such revision; name a branch") from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(f"{what}: there is no such repository that you may see; check the name") from error
    except errors.OfflineModeIsEnabled as error:
        raise InputError(f"{what}: the hub is switched off here; unset HF_HUB_OFFLINE") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status == 401:
            raise InputError(f"{what}: the login is not valid; run `hf auth login` again") from error
        if status == 403:
            raise InputError(
                f"{what}: you may not write there; check the owner, and that your token may write"
            ) from error
        raise InputError(f"{what} ({_first_line(error)}); check the name and `hf auth login`") from error
    except Exception as error:  # the hub's client raises what its HTTP library raises
        raise InputError(f"{what} ({_first_line(error)}); check the network, and try again") from error


def _is_ours(name: str) -> bool:
    return bool(_ALLOWED.fullmatch(name) or _COMPARABLES.fullmatch(name))


def _kind(manifest: Path) -> str:
    try:
        return str(json.loads(manifest.read_text(encoding="utf-8"))["kind"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]

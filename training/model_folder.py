"""The model folder: all files that belong to one pricer, and where to find one by name.

Knows file names and hashes; loads no model.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import InputError
from .evidence import EvidenceSettings
from .prompt import PROMPT_VERSION

FORMAT_VERSION = 1
EMBEDDED = "embedded"
_PACKAGED = Path(__file__).parent / "embedded"
# Blocks read of each weights file for its fingerprint: enough to tell models apart, at no cost with 16 GB.
_BLOCKS, _BLOCK_BYTES = 64, 1 << 16
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class PricerConfig(BaseModel):
    """What `pricer.json` says about a pricer.

    `base_model` is `embedded`, a hub id or a folder; `base_fingerprint` that of the weights the adapter was trained on;
    `quantized` says that those were rounded to NF4; one model dollar stands for `unit` of `currency`. A folder that
    holds only baselines names no base model. `evidence` says what the model's prompts carry beside the book's text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    prompt_version: int = PROMPT_VERSION
    preset: str = "none"
    base_model: str = ""
    base_revision: str | None = None
    base_fingerprint: str = ""
    quantized: bool = False
    content_tokens: int = 160
    currency: str = "USD"
    unit: float = 1.0
    data_fingerprint: str | None = None
    demonstration: bool = False
    evidence: EvidenceSettings | None = None


class _Version(BaseModel):
    format_version: int = FORMAT_VERSION


class ModelFolder:
    """The files of one pricer; all but `pricer.json` are optional."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def adapter(self) -> Path:
        """LoRA weights, as peft saves them."""
        return self.path / "adapter"

    @property
    def weights(self) -> Path:
        """The whole language model: in `model/` where all of it was tuned; in an export, beside `pricer.json`."""
        return self.path if (self.path / "config.json").is_file() else self.path / "model"

    @property
    def calibration(self) -> Path:
        """The conformal calibration."""
        return self.path / "calibration.json"

    @property
    def baselines(self) -> Path:
        """Fitted baselines, a folder each."""
        return self.path / "baselines"

    @property
    def comparables(self) -> Path:
        """The retrieval index of priced books, with their titles."""
        return self.path / "comparables"

    @property
    def blend(self) -> Path:
        """The cross-check's blend."""
        return self.path / "blend"

    @property
    def report(self) -> Path:
        """Training curves and evaluation."""
        return self.path / "report"

    @property
    def config(self) -> PricerConfig:
        """What `pricer.json` says.

        Raises:
            InputError: not a model folder, one of a later version, or one for another prompt.
        """
        path = self.path / "pricer.json"
        if not path.is_file():
            raise InputError(
                f"{self.path} is not a model folder: it holds no pricer.json; make one with `bookpricer train`"
            )
        try:
            text = path.read_text(encoding="utf-8")
            # Read first: a later version may hold names that this one refuses.
            version = _Version.model_validate_json(text).format_version
            if version > FORMAT_VERSION:
                raise InputError(f"{self.path} was written by a later version of Book Pricer; upgrade to use it")
            config = PricerConfig.model_validate_json(text)
        except InputError:
            raise
        except (OSError, ValueError) as error:
            problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise InputError(f"{path} cannot be read ({problem}); train the model again") from error
        if config.prompt_version != PROMPT_VERSION:
            raise InputError(f"{self.path} was trained on another version of the prompt; train it again")
        return config

    def write_config(self, config: PricerConfig) -> None:
        """Write `pricer.json`, which makes the folder a model folder: write it last."""
        (self.path / "pricer.json").write_text(config.model_dump_json(indent=1) + "\n", encoding="utf-8")


def find_model(name: str | Path, revision: str | None = None) -> Path:
    """The folder of a model named as `embedded`, by path, or by hub id (then downloaded or taken from the cache).

    Raises:
        InputError: no such folder or repository, or one that cannot be reached or read.
    """
    if str(name) == EMBEDDED:
        return _PACKAGED / "pricer"
    return _folder_or_hub(name, revision)


def find_base(name: str, revision: str | None = None, only: str | None = None) -> Path:
    """The folder of a base model named as `embedded`, by path, or by hub id; from a hub, the files that match `only`.

    Raises:
        InputError: as `find_model`.
    """
    return _PACKAGED / "base" if name == EMBEDDED else _folder_or_hub(name, revision, only)


def find_tokenizer(name: str, revision: str | None = None) -> Path:
    """The file `tokenizer.json` of a base model named as `find_base` does, or that file itself.

    Raises:
        InputError: as `find_model`, or the folder holds none.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        folder = _PACKAGED / "base" if name == EMBEDDED else _folder_or_hub(name, revision, only="tokenizer.json")
        path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"there is no tokenizer in {path.parent} (tokenizer.json); name another with --tokenizer")
    return path


def find_config(name: str, revision: str | None = None) -> Path:
    """The folder that holds a base model's `config.json`, of which nothing else is downloaded.

    Raises:
        InputError: as `find_model`, or there is none.
    """
    folder = _PACKAGED / "base" if name == EMBEDDED else _folder_or_hub(name, revision, only="config.json")
    if not (folder / "config.json").is_file():
        raise InputError(f"there is no model in {folder} (config.json); name a folder or a hub id that holds one")
    return folder


def demo_catalog() -> Path:
    """The bundled synthetic catalogue, priced; no book of it was trained on."""
    return _PACKAGED / "demo.jsonl"


def _folder_or_hub(name: str | Path, revision: str | None, only: str | None = None) -> Path:
    try:
        path = Path(name).expanduser()
        is_folder, is_there = path.is_dir(), path.exists()
    except (OSError, RuntimeError) as error:  # a name that no file can have, or no such user's home
        raise InputError(f"there is no model folder {str(name)[:80]}; check the name") from error
    if is_folder:
        return path
    if is_there:
        raise InputError(f"{name} is a file; a model is a folder, a hub id, or 'embedded'")
    if not _HUB_ID.fullmatch(str(name)) or str(name).startswith("."):
        raise InputError(f"there is no model folder {name}; name a folder, a hub id such as owner/name, or 'embedded'")
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(
            snapshot_download(
                str(name),
                revision=revision,
                allow_patterns=only,
                ignore_patterns=["*.bin", "*.pt", "*.pth", "*.gguf", "original/*"],
            )
        )
    except errors.GatedRepoError as error:
        raise InputError(
            f"the model {name} is gated: accept its licence on its hub page and log in with `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"the model {name} has no revision {revision}") from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(f"there is no model {name}, neither as a folder nor on the hub") from error
    except Exception as error:  # the hub client raises what its HTTP library raises
        raise InputError(
            f"there is no folder {name}, and the hub cannot be reached ({type(error).__name__}); "
            "check the name and the network"
        ) from error


def fingerprint_weights(folder: Path) -> str:
    """A hash of the names, sizes and blocks, spread over each, of a model's safetensors files.

    Raises:
        InputError: no safetensors file in the folder.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(f"{folder} holds no model weights (*.safetensors)")
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        with file.open("rb") as stream:
            for block in range(_BLOCKS):
                stream.seek(max(0, size - _BLOCK_BYTES) * block // (_BLOCKS - 1))
                digest.update(stream.read(_BLOCK_BYTES))
    return digest.hexdigest()


@contextmanager
def new_folder(target: Path, overwrite: bool = False, marker: str = "pricer.json") -> Iterator[Path]:
    """A folder to fill beside `target`, which it becomes only when the block ends without an error.

    Raises:
        InputError: `target` exists and may not be overwritten, or cannot be written.
    """
    try:
        check_new(target, overwrite, marker)
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error.strerror}); choose another place") from error
    try:
        work.chmod(0o755)
        yield work
        move_folder(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def move_folder(source: Path, target: Path) -> None:
    """Give a folder the name `target`; a folder of that name is there until then, and removed after."""
    if not target.exists():
        source.rename(target)
        return
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    target.rename(old)
    source.rename(target)
    shutil.rmtree(old)


def check_new(target: Path, overwrite: bool, marker: str = "pricer.json") -> None:
    """Refuse a target that is there already, unless it is empty, or holds `marker` and may be overwritten.

    Raises:
        InputError: as said.
    """
    if not target.exists():
        return
    if target.is_dir() and not any(target.iterdir()):
        return
    if not overwrite:
        raise InputError(f"{target} exists already; choose another name, or pass --overwrite to replace it")
    if not (target / marker).is_file():
        raise InputError(f"{target} holds no {marker} and will not be replaced; choose another name")

"""Pushing to, and reading from, a hub: a server on this machine that speaks its API, asked by the real client.

The client reads its settings when it is imported, and the other tests switch it off: it runs in processes of its own.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import ModelCard, errors

from bookpricer.training.baselines.similar import KernelRidgeBaseline, NeighboursBaseline, VectorBoostingBaseline
from bookpricer.training.baselines.simple import MedianBaseline
from bookpricer.training.baselines.words import TfidfRidgeBaseline
from bookpricer.training.book import Book
from bookpricer.training.comparables import Comparables
from bookpricer.training.dataset import PricedBook
from bookpricer.training.errors import InputError
from bookpricer.training.evidence import EvidenceSettings
from bookpricer.training.model_folder import ModelFolder, PricerConfig, find_model
from bookpricer.training.publishing.hub import SINGLE_BOOKS, check_push, files_to_push, hub_errors, push_model

# Kept by the hub in large file storage, as its .gitattributes says.
_LARGE = (".safetensors", ".npy", ".skops", ".png")
_USERS = {"hf_me": "me", "hf_stranger": "stranger"}


class Hub(ThreadingHTTPServer):
    """Repositories of models: their commits, their branches, and what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories: dict[str, dict] = {}
        self.large: dict[str, bytes] = {}
        self.uploads: list[str] = []

    def commit(self, name: str, branch: str, files: dict[str, bytes]) -> str:
        repository = self.repositories[name]
        sha = hashlib.sha1(repr((repository["log"], sorted(files.items()))).encode()).hexdigest()
        repository["commits"][sha] = files
        repository["branches"][branch] = sha
        repository["log"].append((branch, sha))
        return sha


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments) -> None:
        pass

    @property
    def user(self) -> str | None:
        return _USERS.get(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, value: object, status: int = 200, **headers: str) -> None:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def refuse(self, status: int, code: str = "", message: str = "no") -> None:
        self.answer({"error": message}, status, X_Error_Code=code, X_Error_Message=message)

    def do_PUT(self) -> None:
        data = self.body()
        self.server.large[hashlib.sha256(data).hexdigest()] = data
        self.answer({})

    def do_POST(self) -> None:
        data, path = self.body(), unquote(urlsplit(self.path).path)
        if path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if self.user is None:
            return self.refuse(401, message="Invalid credentials in Authorization header")
        if path == "/api/repos/create":
            asked = json.loads(data)
            owner = asked.get("organization") or self.user
            name = f"{owner}/{asked['name']}"
            if owner != self.user:
                return self.refuse(403, message="You don't have the rights to create a model there")
            if name in self.server.repositories:
                there = {"error": "You already created this model repo", "url": f"{self.server.url}/{name}"}
                return self.answer(there, 409)
            self.server.repositories[name] = {
                "private": asked.get("visibility", "private" if asked.get("private") else "public") == "private",
                "commits": {}, "branches": {}, "log": [],
            }  # fmt: skip
            self.server.commit(name, "main", {".gitattributes": b"*.safetensors filter=lfs\n"})
            return self.answer({"url": f"{self.server.url}/{name}", "name": name})
        name = "/".join(path.removeprefix("/api/models").split("/")[1:3]).removesuffix(".git")
        if name not in self.server.repositories:
            return self.refuse(404, "RepoNotFound", "Repository not found")
        if self.user != name.split("/")[0]:
            return self.refuse(403, message="no write access")
        rest = path.partition(f"{name}")[2].strip("/").split("/", 1)
        return getattr(self, f"_{rest[0].strip('.').replace('-', '_')}")(name, rest[-1], data)

    def _branch(self, name: str, branch: str, data: bytes) -> None:
        branches = self.server.repositories[name]["branches"]
        if branch in branches:
            return self.refuse(409, message="Reference already exists")
        branches[branch] = branches["main"]
        return self.answer({})

    def _preupload(self, name: str, revision: str, data: bytes) -> None:
        there = self.files(name, revision)
        self.answer(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(_LARGE) else "regular",
                        "shouldIgnore": False,
                        "oid": _oid(file["path"], there[file["path"]]) if file["path"] in there else None,
                    }
                    for file in json.loads(data)["files"]
                ]
            }
        )

    def _git(self, name: str, rest: str, data: bytes) -> None:
        self.answer(
            {
                "transfer": "basic",
                "objects": [
                    {**wanted, "actions": {"upload": {"href": f"{self.server.url}/large/{wanted['oid']}"}}}
                    for wanted in json.loads(data)["objects"]
                ],
            }
        )

    def _commit(self, name: str, branch: str, data: bytes) -> None:
        files = dict(self.files(name, branch))
        for line in map(json.loads, data.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
            if "path" in value:
                self.server.uploads.append(value["path"])
        sha = self.server.commit(name, branch, files)
        self.answer({"commitOid": sha, "commitUrl": f"{self.server.url}/{name}/commit/{sha}"})

    def files(self, name: str, revision: str) -> dict[str, bytes]:
        repository = self.server.repositories[name]
        return repository["commits"][repository["branches"].get(revision, revision)]

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/api/whoami-v2":
            if self.user is None:
                return self.refuse(401, message="Invalid credentials in Authorization header")
            return self.answer({"type": "user", "name": self.user, "orgs": []})
        parts = path.removeprefix("/api/models").strip("/").split("/")
        name, verb, revision = "/".join(parts[:2]), parts[2] if len(parts) > 2 else "revision", "main"
        revision = parts[3] if len(parts) > 3 else revision
        repository = self.server.repositories.get(name)
        if repository is None or (repository["private"] and self.user != parts[0]):
            return self.refuse(401 if self.user is None else 404, "RepoNotFound", "Repository not found")
        sha = repository["branches"].get(revision, revision)
        if sha not in repository["commits"]:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        files = repository["commits"][sha]
        if verb == "revision":
            siblings = [{"rfilename": file} for file in files]
            return self.answer({"id": name, "modelId": name, "sha": sha, "siblings": siblings, "tags": []})
        if verb == "tree":
            return self.answer(
                [
                    {"type": "file", "path": file, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for file, data in files.items()
                ]
            )
        file = "/".join(parts[4:])
        if file not in files:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        return self.answer(files[file], X_Repo_Commit=sha, ETag=f'"{_oid(file, files[file])}"')

    do_HEAD = do_GET


def _oid(path: str, data: bytes) -> str:
    if path.endswith(_LARGE):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.fixture(scope="module")
def hub():
    server = Hub()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(hub, tmp_path, root):
    """Runs a program in a process that knows this hub; gives what it printed last, as JSON."""

    def runner(program: str, token: str | None = "hf_me", **environment: str):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        settings = {
            "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1",
        }  # fmt: skip
        if token:
            settings["HF_TOKEN"] = token
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=inherited | settings | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return runner


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The embedded model's folder with baselines, comparables, and what a run may leave in one."""
    folder = tmp_path_factory.mktemp("models") / "model"
    companions = shutil.ignore_patterns("baselines", "comparables", "blend")
    shutil.copytree(find_model("embedded"), folder, ignore=companions, copy_function=shutil.copyfile)
    books = [
        Book(title=f"A {kind} of Rome {number}", author="Ann Reed", description=f"The secret {kind} of the emperors.")
        for number in range(8)
        for kind in ("history", "novel", "atlas", "garden", "life")
    ]
    prices = [5.0 + 3 * number for number in range(len(books))]
    for kind in (MedianBaseline, NeighboursBaseline, TfidfRidgeBaseline, KernelRidgeBaseline, VectorBoostingBaseline):
        kind().fit(books, prices).save(folder / "baselines" / kind.name)
    (folder / "baselines" / "results.json").write_text('{"methods": {}}')
    for name in PRIVATE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"A secret")
    priced = [PricedBook(book, price) for book, price in zip(books, prices, strict=True)]
    Comparables.fit(priced).save(folder / "comparables")
    return folder


PRIVATE = (
    "notes.txt", "data.csv", ".env", "pricer.json.bak", "adapter/training_args.bin", "adapter/optimizer.pt",
    "adapter/adapter_model.bin", "checkpoints/checkpoint-10/optimizer.pt", "report/checkpoint-10/trainer_state.json",
    "report/checkpoint-10/adapter_model.safetensors", "report/predictions.parquet", "report/evaluation.html",
    "baselines/median/model.pkl", "baselines/own/model.joblib", "blend/model.pkl", "runs/events.out.tfevents.1",
    "wandb/latest-run/files/config.yaml", "report/predictions.jsonl", "model.pt", "pytorch_model.bin",
)  # fmt: skip
COMPARABLES = ("comparables/manifest.json", "comparables/titles.npy", "comparables/index/prices.npy")
INDEXES = tuple(f"baselines/{name}/" for name in SINGLE_BOOKS)


def test_a_push_takes_what_is_on_the_list_and_no_single_book(model):
    names, left_out = files_to_push(model)
    assert {"pricer.json", "calibration.json", "adapter/adapter_model.safetensors", "report/training.json"} <= set(
        names
    )
    assert {"baselines/median/manifest.json", "baselines/results.json"} <= set(names)
    assert not set(names) & {*PRIVATE, *COMPARABLES} and not any(name.startswith(INDEXES) for name in names)
    assert left_out == [*INDEXES, "comparables/"]
    everything, nothing = files_to_push(model, comparables=True)
    assert nothing == [] and not set(everything) & set(PRIVATE)
    assert set(COMPARABLES) <= set(everything) and set(names) < set(everything)
    assert "baselines/vector_boosting/index/prices.npy" in everything


def test_all_that_ships_with_the_embedded_model_may_be_pushed():
    folder = find_model("embedded")
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {"README.md"}
    assert set(files_to_push(folder, comparables=True)[0]) == there
    names, left_out = files_to_push(folder)
    assert left_out == ["comparables/"] and any(name.startswith("blend/") for name in names)


def test_what_is_pushed_holds_no_running_text(model):
    for name in files_to_push(model)[0]:
        assert b"secret history of the emperors" not in (model / name).read_bytes().lower(), name


@pytest.mark.slow
def test_a_pushed_model_is_read_back_by_id_and_revision(run, hub, model):
    printed = run(f"""
import json
from pathlib import Path
from bookpricer.training.publishing.hub import push_model
said = []
first = push_model(Path({str(model)!r}), "me/my-pricer", say=said.append)
again = push_model(Path({str(model)!r}), "me/my-pricer")
from bookpricer import PricingChain
record = {{"title": "A History of Rome", "format": "Hardcover", "pages": 480}}
prices = [
    PricingChain.from_pretrained(name, revision=revision, device="cpu").invoke(record)
    for name, revision in (("me/my-pricer", first.revision), ("me/my-pricer", None), ({str(model)!r}, None))
]
errors = []
for name, revision in (("me/my-pricer", "no-such-branch"), ("me/nothing", None)):
    try:
        PricingChain.from_pretrained(name, revision=revision)
    except ValueError as error:
        errors.append(str(error))
from bookpricer.training.baselines import load_baselines
from bookpricer.training.model_folder import ModelFolder, find_model
baselines = list(load_baselines(ModelFolder(find_model("me/my-pricer")).baselines))
print(json.dumps([vars(first), vars(again), said, [p.model_dump(exclude={{"model"}}) for p in prices], errors,
    baselines]))
""")
    first, again, said, prices, errors, baselines = printed
    repository = hub.repositories["me/my-pricer"]
    assert repository["private"]
    assert [sha for _, sha in repository["log"]][1:] == [first["revision"]] == [again["revision"]], "one commit"
    assert first["url"].endswith(first["revision"])
    files = repository["commits"][first["revision"]]
    names, left_out = files_to_push(model)
    assert set(files) == {*names, "README.md", ".gitattributes"}
    assert all(files[name] == (model / name).read_bytes() for name in names if name != "README.md")
    card = files["README.md"].decode()
    assert 'from_pretrained("me/my-pricer")' in card and ModelCard(card).data.library_name == "peft"
    assert all(name in card and name in said[0] for name in left_out)
    assert prices[0] == prices[1] == prices[2] and prices[0]["low"] is not None
    assert "no revision no-such-branch" in errors[0] and "there is no model me/nothing" in errors[1]
    assert baselines == ["median", "tfidf_ridge"]


def test_a_later_push_deletes_what_is_not_in_it_and_nothing_else(run, hub, model, tmp_path):
    smaller = tmp_path / "smaller"
    shutil.copytree(model, smaller)
    run(f"""
import json, shutil
from pathlib import Path
from bookpricer.training.publishing.hub import push_model
from huggingface_hub import HfApi
folder = Path({str(smaller)!r})
push_model(folder, "me/smaller", private=False, comparables=True)
HfApi().upload_file(path_or_fileobj=b"mine", path_in_repo="notes.md", repo_id="me/smaller")
shutil.rmtree(folder / "baselines")
push_model(folder, "me/smaller", revision="next")
print(json.dumps(None))
""")
    repository = hub.repositories["me/smaller"]
    assert not repository["private"]
    assert [branch for branch, _ in repository["log"]] == ["main", "main", "main", "next"]
    before, after = (repository["commits"][repository["branches"][branch]] for branch in ("main", "next"))
    assert "comparables/titles.npy" in before and "baselines/neighbours/prices.npy" in before
    assert not [name for name in after if name.startswith(("comparables", "baselines"))]
    assert after["notes.md"] == b"mine" and ".gitattributes" in after


def test_the_command_pushes(run, hub, model):
    printed = run(f"""
import sys
sys.argv = ["bookpricer", "push", {str(model)!r}, "me/by-command", "--json"]
from bookpricer.ui.cli import main
print()
import io, contextlib, json
with contextlib.redirect_stdout(io.StringIO()) as out:
    try:
        main()
    except SystemExit as end:
        assert not end.code
print(json.dumps(json.loads(out.getvalue())))
""")
    assert printed["repo_id"] == "me/by-command" and printed["revision"] in printed["url"]
    assert "torch" not in printed and hub.repositories["me/by-command"]["private"]


def test_a_llama_comes_with_its_notice_and_licence(run, hub, model, tmp_path):
    llama = tmp_path / "model"
    shutil.copytree(model, llama)
    folder = ModelFolder(llama)
    folder.write_config(folder.config.model_copy(update={"base_model": "meta-llama/Llama-3.2-1B"}))
    cached = tmp_path / "hf" / "hub" / "models--meta-llama--Llama-3.2-1B"
    (cached / "snapshots" / "abc").mkdir(parents=True)
    (cached / "snapshots" / "abc" / "LICENSE.txt").write_text("LLAMA 3.2 COMMUNITY LICENSE AGREEMENT")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc")
    said = run(f"""
import json
from pathlib import Path
from bookpricer.training.publishing.hub import push_model
said = []
push_model(Path({str(llama)!r}), "me/my-llama", say=said.append)
print(json.dumps(said))
""")
    files = hub.repositories["me/my-llama"]["commits"][hub.repositories["me/my-llama"]["branches"]["main"]]
    assert files["NOTICE"].startswith(b"Llama 3.2 is licensed under")
    assert files["LICENSE.txt"] == b"LLAMA 3.2 COMMUNITY LICENSE AGREEMENT"
    assert any("begin with 'Llama'" in sentence for sentence in said)


def test_what_goes_wrong_is_one_sentence(run, hub, model):
    program = f"""
import json
from pathlib import Path
from bookpricer.training.publishing.hub import push_model
errors = []
for name in NAMES:
    try:
        push_model(Path({str(model)!r}), name)
    except ValueError as error:
        errors.append(str(error))
print(json.dumps(errors))
"""

    def complaints(*names, **arguments):
        before = len(hub.uploads)
        said = run(program.replace("NAMES", repr(names)), **arguments)
        assert len(said) == len(names) and len(hub.uploads) == before
        assert all("\n" not in sentence and len(sentence) < 500 for sentence in said), said
        return said

    no_owner, odd, strange = complaints("pricer", "me/my pricer!", "someone/pricer")
    assert "has no owner" in no_owner and "no id for the hub" in odd and "may not write there" in strange
    assert "nobody is logged in" in complaints("me/pricer", token=None)[0]
    assert "login is not valid" in complaints("me/pricer", token="hf_expired")[0]
    assert "check the network" in complaints("me/pricer", HF_ENDPOINT="http://127.0.0.1:9")[0]
    assert "HF_HUB_OFFLINE" in complaints("me/pricer", HF_HUB_OFFLINE="1")[0]


def test_a_model_that_others_could_not_use_is_refused_first():
    with pytest.raises(InputError, match="bookpricer export"):
        check_push("me/pricer", PricerConfig(base_model="/models/my-llama"))
    with pytest.raises(InputError, match="--with-comparables"):
        check_push("me/pricer", PricerConfig(base_model="embedded", evidence=EvidenceSettings()))


def test_no_model_folder_is_pushed(tmp_path):
    with pytest.raises(InputError, match=r"pricer\.json"):
        push_model(tmp_path, "me/pricer")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.HFValidationError("bad"), "no id"),
        (errors.LocalTokenNotFoundError("none"), "logged in"),
        (errors.OfflineModeIsEnabled("off"), "HF_HUB_OFFLINE"),
        (ConnectionError("refused\nat line 5"), r"\(refused\); check the network"),
        (RuntimeError(), r"\(RuntimeError\)"),
        (InputError("mine"), "^mine$"),
    ],
)
def test_errors_of_the_client_become_sentences(error, words):
    with pytest.raises(InputError, match=words) as caught, hub_errors("nothing was pushed"):
        raise error
    assert "\n" not in str(caught.value)

"""The Modal app without an account: what it would run, on which GPU, with which volume and secrets."""

import importlib.util
import json
import sys
import warnings
from pathlib import Path

import pytest

modal = pytest.importorskip("modal")


@pytest.fixture
def load(root: Path, monkeypatch):
    """Reads modal_app.py as `modal run` does, under a given environment."""

    def loader(**environment):
        for name in ("BOOKPRICER_GPU", "BOOKPRICER_MODEL", "BOOKPRICER_SECRETS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        spec = importlib.util.spec_from_file_location("modal_app", root / "training" / "cloud" / "modal_app.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "modal_app", module)
        spec.loader.exec_module(module)
        return module

    return loader


def test_the_app_has_its_functions_and_an_entry_point(load):
    module = load()
    assert isinstance(module.app, modal.App) and module.app.name == "bookpricer"
    assert set(module.app.registered_functions) == {"train", "evaluate", "serve"}
    assert set(module.app.registered_entrypoints) == {"main"}
    assert set(module.app.registered_web_endpoints) == {"serve"}


def test_gpu_volume_and_secrets_are_those_asked_for(load):
    module = load()
    for function in (module.train, module.evaluate, module.serve):
        assert function._spec_.gpus == "L4"
        # Modal wraps a volume anew for each look: the same one by its name.
        assert {path: repr(volume) for path, volume in function._spec_.volumes.items()} == {
            "/volume": repr(module.volume)
        }
        assert len(function._spec_.secrets) >= 1
    assert module.SECRETS == ["huggingface-secret"]
    module = load(BOOKPRICER_GPU="A100-80GB", BOOKPRICER_SECRETS="huggingface-secret,wandb-secret")
    assert module.train._spec_.gpus == "A100-80GB" and module.SECRETS == ["huggingface-secret", "wandb-secret"]
    module = load(BOOKPRICER_GPU="", BOOKPRICER_SECRETS="")
    assert module.train._spec_.gpus is None and module.SECRETS == []


def test_the_entry_point_hands_the_command_line_on(load, monkeypatch):
    module = load()
    called = []
    for name in ("train", "evaluate"):
        monkeypatch.setattr(getattr(module, name), "remote", lambda words, name=name: called.append((name, words)))
    module.main("train", "books.csv", "my-model", "--preset", "llama-3.1-8b")
    module.main("evaluate", "my-model", "books.csv", "--json")
    assert called == [
        ("train", ["books.csv", "my-model", "--preset", "llama-3.1-8b"]),
        ("evaluate", ["my-model", "books.csv", "--json"]),
    ]
    for wrong in ((), ("dance",)):
        with pytest.raises(SystemExit, match="train DATA MODEL"):
            module.main(*wrong)


def test_the_functions_run_the_command_line_in_the_volume(load, monkeypatch, tmp_path):
    module = load()
    commands = []

    def run(command, cwd, check):
        commands.append((command[1:], cwd))
        return module.subprocess.CompletedProcess(command, 2)

    monkeypatch.setattr(module.subprocess, "run", run)
    for function in (module.train, module.evaluate):
        with pytest.raises(SystemExit), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a local run has no volume
            function.local(["a", "b"])
    assert commands == [
        (["-m", "bookpricer.ui", "train", "a", "b"], Path("/volume")),
        (["-m", "bookpricer.ui", "evaluate", "a", "b"], Path("/volume")),
    ]


def test_a_copy_outside_of_a_checkout_says_where_to_run_it(root, tmp_path, monkeypatch):
    copy = tmp_path / "a" / "b" / "modal_app.py"
    copy.parent.mkdir(parents=True)
    copy.write_text((root / "training" / "cloud" / "modal_app.py").read_text())
    spec = importlib.util.spec_from_file_location("modal_copy", copy)
    with pytest.raises(SystemExit, match="clone the repository"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.mark.slow
def test_the_endpoint_prices_a_book(load):
    from fastapi.testclient import TestClient

    module = load(BOOKPRICER_GPU="")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = TestClient(module.serve.local())
    answer = client.post("/price", json={"title": "A History of Rome", "format": "Hardcover"})
    assert answer.status_code == 200 and answer.json()["low"] <= answer.json()["price"] <= answer.json()["high"]
    refused = client.post("/price", json={"title": ""})
    assert refused.status_code == 422 and "text" in refused.json()["detail"]
    assert client.post("/price", json=[1]).status_code == 422


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_trains_and_evaluates_for_real(load, monkeypatch, tmp_path, capfd):
    from bookpricer.training.synthetic import synthetic_records

    module = load(BOOKPRICER_GPU="")
    monkeypatch.setattr(module, "VOLUME", tmp_path)
    with (tmp_path / "books.jsonl").open("w") as file:
        file.writelines(json.dumps(record) + "\n" for record in synthetic_records(120, seed=3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module.train.local(["books.jsonl", "model", "--set", "sft.max_steps=2", "--device", "cpu", "--json"])
        assert (tmp_path / "model" / "pricer.json").is_file()
        capfd.readouterr()
        module.evaluate.local(["model", "books.jsonl", "--json"])
    assert json.loads(capfd.readouterr().out)["llm"]["n"] > 50

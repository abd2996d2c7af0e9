"""Every example runs as it is."""

import importlib.util
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def examples(root: Path) -> Path:
    return root / "examples"


def test_every_example_is_in_the_list(examples: Path) -> None:
    listed = (examples / "README.md").read_text()
    names = [path.name for path in examples.iterdir() if path.suffix == ".py" or path.is_dir()]
    assert all(f"`{name}" in listed for name in names if not name.startswith("__"))


def test_chain_in_a_graph(examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(examples / "chain_in_a_graph.py"), run_name="__main__")
    assert "list it at" in (said := capsys.readouterr().out) or "a person should look" in said


def test_tool_of_an_agent(examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(examples / "tool_of_an_agent.py"), run_name="__main__")
    assert "I would price" in capsys.readouterr().out


def test_fastapi_route(examples: Path) -> None:
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    app = runpy.run_path(str(examples / "fastapi_route.py"))["app"]
    client = TestClient(app)
    assert client.post("/price", json={"Book title": "A History of Rome"}).json()["price"] > 0
    refused = client.post("/price", json={})
    assert refused.status_code == 422 and "no text" in refused.json()["detail"]


def test_langgraph_app(examples: Path) -> None:
    folder = examples / "langgraph_app"
    file, _, name = json.loads((folder / "langgraph.json").read_text())["graphs"]["bookpricer"].partition(":")
    spec = importlib.util.spec_from_file_location("langgraph_app", folder / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    answer = getattr(module, name).invoke({"messages": "What is Emma by Jane Austen worth?"})
    assert "I would price" in answer["messages"][-1].text


@pytest.mark.slow
def test_mcp_client(examples: Path, root: Path) -> None:
    pytest.importorskip("mcp")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root.parent), os.environ.get("PYTHONPATH", "")])}
    run = subprocess.run(
        [sys.executable, str(examples / "mcp_client.py")], capture_output=True, text=True, env=environment, timeout=300
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "cross_check_price" in run.stdout

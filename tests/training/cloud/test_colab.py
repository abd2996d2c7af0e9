"""The notebook is one that Colab opens, holds no output, and runs from top to bottom."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

# Fewer steps and invented books than the notebook has: this tests that it runs, not what it reaches.
STEPS = 3


@pytest.fixture(scope="module")
def notebook(root: Path) -> dict:
    return json.loads((root / "training" / "cloud" / "colab.ipynb").read_text(encoding="utf-8"))


def source(cell: dict) -> str:
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def test_it_is_a_notebook_of_format_4_without_outputs(notebook):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["language"] == "python"
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[\w-]{1,64}", name) for name in ids)
    for cell in notebook["cells"]:
        fields = {"cell_type", "id", "metadata", "source"}
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            fields |= {"outputs", "execution_count"}
        assert set(cell) == fields


def test_only_the_installing_cell_is_more_than_python(notebook):
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and "install" not in tags(cell):
            compile(source(cell), cell["id"], "exec")


def test_it_mounts_nothing_and_uploads_nothing(notebook):
    code = "\n".join(source(cell) for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert not re.search(r"drive\.mount|push_to_hub|push-to-hub|wandb", code)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_it_runs_from_top_to_bottom(notebook, root, tmp_path):
    code = [source(cell) for cell in notebook["cells"] if cell["cell_type"] == "code" and "install" not in tags(cell)]
    parameters = next(number for number, part in enumerate(code) if part.startswith("PRESET"))
    code.insert(parameters + 1, f'SETTINGS += ["sft.max_steps={STEPS}", "sft.logging_steps=1"]')
    text = "\n\n".join(code)
    assert text.count("synthetic_records(1500,") == 1
    script = tmp_path / "notebook.py"
    script.write_text(text.replace("synthetic_records(1500,", "synthetic_records(400,"), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    report = json.loads((tmp_path / "model" / "report" / "training.json").read_text())
    assert report["steps"] == STEPS
    assert "Verdict" in run.stdout and re.search(r"\d+\.\d\d USD\n80% of such books", run.stdout)
    assert (tmp_path / "model.zip").is_file()

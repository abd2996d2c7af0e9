"""The package as a whole: what is packaged, what is declared, and what an import loads."""

import importlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bookpricer

LAYERS = ("training", "tools", "chains", "ui")
HEAVY = ("torch", "transformers", "langchain", "langchain_core", "streamlit")


@pytest.fixture(scope="module")
def pyproject(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def source_files(root: Path) -> list[str]:
    """The files of the checkout: tracked, or new and not ignored."""
    git = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"]
    if not (root / ".git").exists() or not shutil.which("git"):
        pytest.skip("needs a git checkout")
    names = subprocess.run(git, check=True, capture_output=True, text=True).stdout.splitlines()
    return [name for name in names if (root / name).is_file()]


def loaded_by(code: str, names: tuple[str, ...]) -> set[str]:
    """Which of `names` a fresh interpreter has loaded after running `code`."""
    report = f"\nimport json, sys\nprint(); print(json.dumps([name for name in {names!r} if name in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", code + report], check=True, stdout=subprocess.PIPE, text=True)
    return set(json.loads(run.stdout.splitlines()[-1]))


# Packages and files


def test_packages_are_the_folders_with_an_init(root: Path, pyproject: dict) -> None:
    folders = {init.parent.relative_to(root) for layer in LAYERS for init in (root / layer).rglob("__init__.py")}
    expected = {"bookpricer", *(".".join(("bookpricer", *folder.parts)) for folder in folders)}
    assert set(pyproject["tool"]["setuptools"]["packages"]) == expected


def test_every_module_is_in_a_package(root: Path) -> None:
    homeless = [
        path for layer in LAYERS for path in (root / layer).rglob("*.py") if not (path.parent / "__init__.py").exists()
    ]
    assert not homeless


def test_layers_are_the_only_packages_at_the_root(root: Path) -> None:
    folders = {init.parent.name for init in root.glob("*/__init__.py")}
    assert folders == set(LAYERS)


def test_wheel_holds_the_layers_with_their_data_and_nothing_else(
    root: Path, source_files: list[str], tmp_path: Path
) -> None:
    for name in source_files:  # a copy, so that building leaves nothing in the checkout
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, tmp_path / "source" / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(tmp_path / "source")], check=True)

    [wheel] = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    shipped = {name for name in source_files if name.startswith(tuple(f"{layer}/" for layer in LAYERS))}
    assert packed == {f"bookpricer/{name}" for name in {*shipped, "__init__.py", "py.typed"}}


# Dependencies


def test_every_requirement_has_a_pin_within_its_range(root: Path, pyproject: dict) -> None:
    lines = (root / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    project = pyproject["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [Requirement(line) for group in groups for line in group]
    others = [requirement for requirement in requirements if requirement.name != project["name"]]
    wrong = [str(r) for r in others if pins.get(canonicalize_name(r.name), "") not in r.specifier]
    assert not wrong


def test_constraints_are_sorted_plain_pins(root: Path) -> None:
    pins = [line for line in (root / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins)
    names = [canonicalize_name(pin.split("==")[0]) for pin in pins]
    assert names == sorted(set(names))


def test_extra_all_holds_every_extra_but_dev(pyproject: dict) -> None:
    extras = pyproject["project"]["optional-dependencies"]
    [requirement] = extras["all"]
    assert Requirement(requirement).extras == set(extras) - {"all", "dev"}


# The public API


@pytest.mark.parametrize("name", bookpricer.__all__)
def test_public_name_can_be_imported(name: str) -> None:
    assert getattr(importlib.import_module("bookpricer"), name) is not None
    assert name in dir(bookpricer)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = bookpricer.nonsense


def test_import_loads_nothing_heavy() -> None:
    assert loaded_by("import bookpricer", HEAVY) == set()


def test_help_loads_nothing_heavy() -> None:
    code = """
import sys
from bookpricer.ui.cli import main
sys.argv = ["bookpricer", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    assert loaded_by(code, HEAVY) == set()


@pytest.mark.slow
def test_pricing_loads_no_training_or_front_end_library() -> None:
    code = "from bookpricer import PriceParser, PricingChain, PricingLLM"
    assert loaded_by(code, ("trl", "datasets", "gensim", "streamlit")) == set()


# Make


@pytest.mark.parametrize("target", ["help", "demo", "test", "test-slow", "lint", "ui", "bench", "clean"])
def test_make_target_exists_and_is_explained(root: Path, target: str) -> None:
    assert re.search(rf"^{target}:.*## \w", (root / "Makefile").read_text(), flags=re.MULTILINE)

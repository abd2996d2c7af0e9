"""The pages say what the result files say."""

import json
import runpy
from pathlib import Path

from bookpricer.training.embedded.build import report_table
from bookpricer.training.model_folder import ModelFolder, find_model


def test_readme_shows_the_embedded_models_report(root: Path) -> None:
    report = json.loads((ModelFolder(find_model("embedded")).report / "evaluation.json").read_text())
    assert report_table(report) in (root / "README.md").read_text(encoding="utf-8")
    assert report_table(report) in (find_model("embedded") / "README.md").read_text(encoding="utf-8")


def test_the_training_log_shows_its_results_file(root: Path) -> None:
    recipes = runpy.run_path(str(root / "tests" / "bench" / "recipes.py"))
    results = json.loads(recipes["RESULTS"].read_text(encoding="utf-8"))
    assert recipes["table"](results) in recipes["PAGE"].read_text(encoding="utf-8")
    readme = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    rows = results["methods"]
    assert f"errs by {rows['evidence, QLoRA']['mae']:.2f} on the {results['books']['test']} test books" in readme
    assert f"errs by {rows[results['best_baseline']]['mae']:.2f}, which" in readme
    assert f"errs by {rows['text alone, QLoRA']['mae']:.2f} (" in readme
    low, high = rows["evidence, QLoRA"]["against_best_baseline_interval"]
    assert f"{low:+.1f} to {high:+.1f}".replace("-", "−") in readme


def test_pages_show_their_result_files(root: Path) -> None:
    pages = runpy.run_path(str(root / "tests" / "bench" / "pages.py"))
    for name in pages["TABLES"]:
        page, text = pages["page_of"](name)
        assert page.read_text(encoding="utf-8") == text, name
    readme = " ".join((root / "README.md").read_text(encoding="utf-8").split())
    figures = pages["load"]("scoring")
    assert f"this is {figures['times_loop']:.1f} times as fast as `generate()`" in readme
    assert f"{figures['times_pipeline']:.1f} times as fast as a pipeline" in readme
    figures = pages["load"]("cross_check")["with_llm"]
    best = min(error for name, error in figures["parts"].items() if name != "mean of the parts")
    assert best == figures["parts"]["llm"]
    assert f"cross-check errs by {figures['mae']:.2f}, its best part, the language model, by {best:.2f}" in readme
    assert f"flags are {figures['bad_ratio']:.1f} times as often priced" in readme

"""The pages say what the result files say."""

import json
from pathlib import Path

from bookpricer.training.embedded.build import report_table
from bookpricer.training.model_folder import ModelFolder, find_model


def test_readme_shows_the_embedded_models_report(root: Path) -> None:
    report = json.loads((ModelFolder(find_model("embedded")).report / "evaluation.json").read_text())
    assert report_table(report) in (root / "README.md").read_text(encoding="utf-8")
    assert report_table(report) in (find_model("embedded") / "README.md").read_text(encoding="utf-8")

import json

import pytest

from bookpricer.training.baselines import BASELINES
from bookpricer.training.baselines.report import PUBLISHED, markdown_table, with_table
from bookpricer.training.errors import InputError


@pytest.fixture
def results(root):
    return json.loads((root / "docs/results/baselines.json").read_text(encoding="utf-8"))


def test_the_page_shows_the_results_file(root, results):
    page = (root / "docs/baselines.md").read_text(encoding="utf-8")
    assert with_table(page, results) == page


def test_the_table_has_every_method_and_every_published_figure(results):
    table = markdown_table(results)
    assert set(results["methods"]) == set(BASELINES) and set(PUBLISHED) < set(BASELINES)
    assert all(kind.title in table for kind in BASELINES.values())
    assert all(f"{figure:.2f}" in table for figure in PUBLISHED.values())


def test_a_page_without_the_block_is_refused(results):
    with pytest.raises(InputError, match="no block"):
        with_table("# Baselines", results)

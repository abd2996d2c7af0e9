import json

import pytest
from huggingface_hub import ModelCard

from bookpricer.training.embedded.build import model_card
from bookpricer.training.errors import InputError
from bookpricer.training.model_folder import ModelFolder, PricerConfig, find_model
from bookpricer.training.publishing.model_card import books_by_split, build_card, errors_table, is_local, read_errors

ROW = {"n": 446, "mae": 25.4, "median_ae": 12.0, "rmsle": 0.5, "r2": 0.3, "hit_rate": 0.84, "coverage": 0.801}


@pytest.fixture
def folder(tmp_path):
    """What a run on a Llama leaves, without its weights."""
    files = ModelFolder(tmp_path / "Llama-books")
    files.adapter.mkdir(parents=True)
    files.report.mkdir()
    files.baselines.mkdir()
    files.calibration.write_text("{}")
    files.write_config(
        PricerConfig(
            preset="llama-3.2-1b", base_model="meta-llama/Llama-3.2-1B", quantized=True, currency="VND", unit=1000,
            data_fingerprint="2a1c98d9deed" + "0" * 52,
        )
    )  # fmt: skip
    training = {
        "settings": {"preset": "llama-3.2-1b", "lora": {"r": 8, "target_modules": ["q_proj"]}, "sft": {"seed": 42}},
        "trainable_parameters": 851_968,
        "steps": 843,
        "books": {"train": 3373, "test": 446},
    }
    (files.report / "training.json").write_text(json.dumps(training))
    (files.report / "evaluation.json").write_text(json.dumps({"test": {"llm": ROW}}))
    baselines = {"methods": {"median": {**ROW, "mae": 32.9, "title": "Constant (median)", "coverage": None}}}
    (files.baselines / "results.json").write_text(json.dumps(baselines))
    return files.path


def test_the_header_is_what_the_hub_reads(folder):
    card = ModelCard(build_card(folder, "me/Llama-books"))
    data = card.data
    assert (data.license, data.library_name, data.pipeline_tag) == ("llama3.2", "peft", "text-generation")
    assert (data.base_model, data.to_dict()["base_model_relation"]) == ("meta-llama/Llama-3.2-1B", "adapter")
    assert {"book-pricer", "lora"} <= set(data.tags)
    assert data.model_name == "Llama-books"
    results = {result.metric_type: result for result in data.eval_results}
    assert results["mae"].metric_value == 25.4 and results["mae"].dataset_split == "test"
    assert results["mae"].metric_name == "Mean absolute error, units of 1,000 VND"
    assert results["mae"].dataset_name == "Priced books 2a1c98d9deed"
    assert set(results) == {"mae", "median_absolute_error", "rmsle", "r_squared", "hit_rate", "coverage"}


def test_the_card_tells_of_the_run(folder):
    card = build_card(folder, "me/Llama-books")
    for words in (
        "**Built with Llama**", 'PricingChain.from_pretrained("me/Llama-books")', "units of 1,000 VND", "3,373 train",
        "2a1c98d9deed", "preset `llama-3.2-1b`", "851,968 trained parameters", "r: 8", "843 steps", "80.1% of these",
        "| this model | 25.40 |", "| Constant (median) | 32.90 |", "Llama 3.2 is licensed under", "calibrated: 80 of",
        "rounded to NF4", "## Limits", "## What it is for",
    ):  # fmt: skip
        assert words.lower() in " ".join(card.split()).lower(), words
    assert "Without Book Pricer" not in card, "an adapter cannot be served by itself"
    assert "does not yet" not in card


def test_the_card_says_that_a_name_breaks_the_licence(folder):
    assert "begins with “Llama”, which this one's does not yet" in build_card(folder, "me/my-pricer")


def test_the_card_says_what_is_not_there(folder):
    assert "`comparables/`" not in build_card(folder)
    card = build_card(folder, left_out=["comparables/"])
    assert "Not here, for they tell of single books: comparables/. Without" in card


def test_a_folder_that_says_little_has_a_card(tmp_path):
    ModelFolder(tmp_path).write_config(PricerConfig(base_model="embedded", demonstration=True))
    card = build_card(tmp_path, "me/pricer")
    assert "has not been measured" in card and "was not calibrated" in card and "demonstration model" in card
    assert ModelCard(card).data.eval_results is None
    (tmp_path / "report").mkdir()
    for text in ("[1]", "{", '{"test": {"llm": {"mae": 3}, "x": 5}, "books": 7}'):
        (tmp_path / "report" / "evaluation.json").write_text(text)
        (tmp_path / "report" / "training.json").write_text(text)
        assert build_card(tmp_path, "me/pricer") == card


def test_no_model_folder_has_no_card(tmp_path):
    with pytest.raises(InputError, match=r"pricer\.json"):
        build_card(tmp_path)


def test_a_folder_of_baselines_has_a_card(tmp_path):
    ModelFolder(tmp_path).write_config(PricerConfig())
    card = build_card(tmp_path, "me/baselines")
    assert "without a language model" in card and "from_pretrained" not in card and "## Licence" not in card


def test_a_card_never_names_a_place_on_this_machine(folder):
    config = ModelFolder(folder).config.model_copy(update={"base_model": str(folder / "Llama-3.2-1B")})
    ModelFolder(folder).write_config(config)
    card = build_card(folder, "me/Llama-books")
    assert str(folder.parent) not in card and "`Llama-3.2-1B`" in card
    assert ModelCard(card).data.base_model is None and ModelCard(card).data.license == "llama3.2"


def test_other_base_models_bring_their_licence(folder):
    config = ModelFolder(folder).config.model_copy(update={"base_model": "Qwen/Qwen3-0.6B"})
    ModelFolder(folder).write_config(config)
    data = ModelCard(build_card(folder, "me/pricer")).data
    assert data.license == "other" and data.license_link == "https://huggingface.co/Qwen/Qwen3-0.6B"


def test_errors_measured_on_other_books_are_not_compared(folder):
    assert set(read_errors(folder)) == {"llm", "median"}
    path = ModelFolder(folder).baselines / "results.json"
    path.write_text(path.read_text().replace("446", "99"))
    assert set(read_errors(folder)) == {"llm"}


def test_sizes_of_the_splits_are_the_trainings_or_the_baselines(folder):
    assert books_by_split(folder) == {"train": 3373, "test": 446}
    (ModelFolder(folder).report / "training.json").unlink()
    (ModelFolder(folder).baselines / "results.json").write_text('{"books": {"train": 5}}')
    assert books_by_split(folder) == {"train": 5}


@pytest.mark.parametrize(
    ("base", "local"),
    [("embedded", False), ("meta-llama/Llama-3.2-1B", False), ("/models/llama", True), ("llama", True), ("..", True)],
)
def test_which_base_models_are_folders(base, local):
    assert is_local(base) == local


def test_the_embedded_models_card_is_that_of_its_report():
    folder = find_model("embedded")
    report = json.loads((ModelFolder(folder).report / "evaluation.json").read_text())
    card = ModelCard(model_card(report))
    assert card.data.license == "apache-2.0" and "demonstration" in card.data.tags
    assert errors_table(report["test"]) in card.text
    assert card.text.strip() == ModelCard((folder / "README.md").read_text(encoding="utf-8")).text.strip()

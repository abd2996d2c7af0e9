import pytest

from bookpricer.training.publishing.licences import licence_advice, licence_files, licence_of, name_breaks_licence


@pytest.mark.parametrize(
    ("base", "licence"),
    [
        ("meta-llama/Llama-3.2-1B", "llama3.2"),
        ("meta-llama/Llama-3.2-3B", "llama3.2"),
        ("meta-llama/Llama-3.1-8B", "llama3.1"),
        ("unsloth/Meta-Llama-3.1-8B-bnb-4bit", "llama3.1"),
        ("meta-llama/Meta-Llama-3-8B", "llama3"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama3.3"),
        ("meta-llama/Llama-4-Scout-17B-16E", "llama4"),
        ("Llama-3.2-1B", "llama3.2"),
        ("embedded", "apache-2.0"),
        ("TinyLlama/TinyLlama-1.1B", "other"),
        ("openlm-research/open_llama_3b", "other"),
        ("someone/open-llama-3b", "other"),
        ("Qwen/Qwen3-0.6B", "other"),
        ("", "other"),
    ],
)
def test_the_licence_by_the_base_models_name(base, licence):
    assert licence_of(base).id == licence
    assert bool(licence_of(base).notice) == licence.startswith("llama")


def test_what_metas_licences_ask():
    licence = licence_of("meta-llama/Llama-3.2-1B")
    assert licence.built_with == "Built with Llama" and licence.name_prefix == "Llama"
    assert licence.link == "https://www.llama.com/llama3_2/license/"
    assert licence.notice.startswith("Llama 3.2 is licensed under the Llama 3.2 Community License, Copyright © Meta")


def test_the_words_of_the_first_llama_3_are_those_of_its_licence(shared):
    text = (shared / "tokenizers" / "llama3" / "LICENSE").read_text(encoding="utf-8")
    licence = licence_of("meta-llama/Meta-Llama-3-8B")
    for words in (licence.built_with, licence.name_prefix, licence.notice.strip()):
        assert f"“{words}”" in text


@pytest.mark.parametrize(
    ("name", "breaks"),
    [("me/my-pricer", True), ("me/Llama-pricer", False), ("llama_3.2-books", False), ("Llama/my-pricer", True)],
)
def test_a_name_that_does_not_begin_with_llama(name, breaks):
    licence = licence_of("meta-llama/Llama-3.2-1B")
    assert name_breaks_licence(name, licence) == breaks
    assert bool(licence_advice(name, licence)) == breaks
    assert not name_breaks_licence(name, licence_of("embedded"))


def test_licence_files_of_a_base_that_is_here_already(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--meta-llama--Llama-3.2-1B"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    (repository / "snapshots" / "abc").mkdir(parents=True)
    (repository / "snapshots" / "abc" / "LICENSE.txt").write_text("LLAMA 3.2 COMMUNITY LICENSE AGREEMENT")
    assert [path.name for path in licence_files("meta-llama/Llama-3.2-1B")] == ["LICENSE.txt"]
    assert licence_files("meta-llama/Llama-3.1-8B") == licence_files("embedded") == licence_files("/a/folder") == []

import json
import os

import pytest

from bookpricer.training.errors import InputError
from bookpricer.training.model_folder import (
    FORMAT_VERSION,
    ModelFolder,
    PricerConfig,
    check_new,
    find_base,
    find_model,
    fingerprint_weights,
    new_folder,
)
from bookpricer.training.prompt import PROMPT_VERSION

CONFIG = PricerConfig(
    preset="embedded", base_model="embedded", base_fingerprint="abc", quantized=True, content_tokens=160
)


def files(folder) -> dict:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    ModelFolder(folder).write_config(CONFIG)
    return folder


def test_a_new_folder_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "deep" / "model"
    with new_folder(target) as work:
        (work / "a").write_text("1")
        assert not target.exists()
        assert work.parent == target.parent  # on one file system, so that renaming is enough
    assert files(target) == {"a": "1"}
    assert [path.name for path in target.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path, error):
    with pytest.raises(error), new_folder(tmp_path / "model") as work:
        (work / "a").write_text("1")
        raise error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_keeps_what_was_to_be_replaced(model, error):
    before = files(model)
    with pytest.raises(error), new_folder(model, overwrite=True) as work:
        (work / "pricer.json").write_text("{}")
        raise error
    assert files(model) == before
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_replaces_a_model_folder_whole(model):
    (model / "old").write_text("1")
    with new_folder(model, overwrite=True) as work:
        (work / "new").write_text("2")
    assert files(model) == {"new": "2"}
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_an_empty_folder_may_be_filled(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    with new_folder(target) as work:
        (work / "a").write_text("1")
    assert files(target) == {"a": "1"}


def test_asks_before_it_replaces(model):
    with pytest.raises(InputError, match="--overwrite"), new_folder(model):
        pytest.fail("the block must not run")
    assert (model / "pricer.json").exists()


@pytest.mark.parametrize("overwrite", [True, False])
def test_never_replaces_what_is_no_model_folder(tmp_path, overwrite):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "cat.jpg").write_text("meow")
    for target in (photos, photos / "cat.jpg"):
        with pytest.raises(InputError) as error, new_folder(target, overwrite):
            pytest.fail("the block must not run")
        assert "\n" not in str(error.value)
    assert files(photos) == {"cat.jpg": "meow"}


def test_says_that_a_place_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "file" / "model", tmp_path / ("x" * 5000)):
        with pytest.raises(InputError, match="cannot be written"), new_folder(target):
            pytest.fail("the block must not run")


def test_a_new_folder_can_be_read_by_others(tmp_path):
    with new_folder(tmp_path / "model"):
        pass
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o755


def test_check_new_lets_a_new_name_pass(tmp_path):
    assert check_new(tmp_path / "none", overwrite=False) is None


def test_the_config_survives(model):
    assert ModelFolder(model).config == CONFIG
    assert json.loads((model / "pricer.json").read_text())["prompt_version"] == PROMPT_VERSION


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format_version": FORMAT_VERSION + 1}, "later version"),
        ({"format_version": FORMAT_VERSION + 1, "new_setting": 1}, "later version"),
        ({"prompt_version": PROMPT_VERSION + 1}, "another version of the prompt"),
        ({"quantized": "perhaps"}, "cannot be read"),
        ({"unknown": 1}, "cannot be read"),
        ({"preset": None}, "cannot be read"),
        ({"format_version": "new"}, "cannot be read"),
    ],
)
def test_says_in_one_sentence_why_a_config_is_no_good(model, change, words):
    path = model / "pricer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=words) as error:
        _ = ModelFolder(model).config
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"5", b"\xff\xfe\x00", b"[" * 100_000])
def test_says_in_one_sentence_that_a_config_is_damaged(model, data):
    (model / "pricer.json").write_bytes(data)
    with pytest.raises(InputError, match="cannot be read") as error:
        _ = ModelFolder(model).config
    assert "\n" not in str(error.value)


def test_says_that_a_folder_is_no_model_folder(tmp_path):
    with pytest.raises(InputError, match=r"holds no pricer\.json"):
        _ = ModelFolder(tmp_path).config


@pytest.mark.parametrize("find", [find_model, find_base])
def test_finds_a_folder_by_its_path(tmp_path, monkeypatch, find):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert find(str(tmp_path)) == tmp_path
    assert find("owner/name").resolve() == tmp_path / "owner" / "name"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find("~/owner") == tmp_path / "owner"


def test_embedded_is_the_packages_own_whatever_lies_around(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "embedded").mkdir()
    assert find_model("embedded").parent == find_base("embedded").parent != tmp_path
    assert (find_model("embedded").name, find_base("embedded").name) == ("pricer", "base")


@pytest.mark.parametrize("find", [find_model, find_base])
@pytest.mark.parametrize(
    "name",
    [
        "no-such-model", "../x", "./x", "a/b/c", "no such/model", "owner/name", "owner/..", "-/-", "x" * 5000,
        "~no-such-user/model", "https://example.org/owner/name", "file\x00name", "owner/" + "x" * 300, "é/ü",
    ],
)  # fmt: skip
def test_says_in_one_sentence_that_there_is_no_model(tmp_path, monkeypatch, find, name):
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        find(name)
    assert "\n" not in str(error.value)


def test_says_that_a_file_is_no_model(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_text("")
    with pytest.raises(InputError, match="is a file"):
        find_model(path)


def test_the_fingerprint_changes_with_the_weights(tmp_path):
    weights = tmp_path / "model.safetensors"
    seen = set()
    for data in (b"", b"a", b"b", b"ab", b"\0" * 70_000, b"\0" * 69_999 + b"\1", b"\1" + b"\0" * 69_999):
        weights.write_bytes(data)
        seen.add(fingerprint_weights(tmp_path))
        assert fingerprint_weights(tmp_path) in seen
    assert len(seen) == 7
    (tmp_path / "model-2.safetensors").write_bytes(b"a")
    assert fingerprint_weights(tmp_path) not in seen


@pytest.mark.parametrize("position", [0, 1_000_000, 2_222_222, 3_999_999])
def test_no_change_of_a_small_file_goes_unseen(tmp_path, position):
    data = bytearray(4_000_000)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(data)
    before = fingerprint_weights(tmp_path)
    data[position] = 1
    weights.write_bytes(data)
    assert fingerprint_weights(tmp_path) != before


def test_the_fingerprint_is_that_of_the_weights_alone(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"a")
    before = fingerprint_weights(tmp_path)
    (tmp_path / "README.md").write_text("words")
    assert fingerprint_weights(tmp_path) == before


def test_says_that_there_are_no_weights(tmp_path):
    with pytest.raises(InputError, match="no model weights"):
        fingerprint_weights(tmp_path)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookpricer.training.errors import InputError
from bookpricer.training.presets import PRESETS, FinetuneSettings, load_settings


def test_the_published_settings_are_those_of_the_paper():
    settings = load_settings("llama-3.1-8b")
    assert settings.base_model == "meta-llama/Llama-3.1-8B" and settings.content_tokens == 160
    assert settings.quantization == {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": "bfloat16",
    }
    assert settings.lora == {
        "r": 8,
        "lora_alpha": 16,
        "lora_dropout": 0.1,
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"],
    }
    sft = settings.sft
    assert sft["per_device_train_batch_size"] * sft["gradient_accumulation_steps"] == 16
    assert (sft["optim"], sft["learning_rate"], sft["lr_scheduler_type"]) == ("paged_adamw_32bit", 1e-4, "cosine")
    assert (sft["warmup_steps"], sft["weight_decay"], sft["max_grad_norm"]) == (0.03, 0.001, 0.3)
    assert (sft["num_train_epochs"], sft["bf16"]) == (4, True)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_loads_and_names_itself(preset):
    settings = load_settings(preset)
    assert settings.preset == preset and settings.quantization["bnb_4bit_quant_type"] == "nf4"


@pytest.mark.parametrize(
    ("override", "group", "name", "value"),
    [
        ("lora.r=16", "lora", "r", 16),
        ("sft.learning_rate=1e-4", "sft", "learning_rate", 1e-4),
        ("sft.learning_rate=2.5E-05", "sft", "learning_rate", 2.5e-5),
        ("sft.learning_rate=.5", "sft", "learning_rate", 0.5),
        ("sft.bf16=false", "sft", "bf16", False),
        ("sft.optim=adamw_torch", "sft", "optim", "adamw_torch"),
        ("lora.target_modules=[q_proj, v_proj]", "lora", "target_modules", ["q_proj", "v_proj"]),
        ("lora.target_modules=all-linear", "lora", "target_modules", "all-linear"),
        (" lora.r = 4 ", "lora", "r", 4),
        ("sft.run_name=a=b", "sft", "run_name", "a=b"),
        ("sft.max_steps=", "sft", "max_steps", None),
        ("lora.new_name=1", "lora", "new_name", 1),
    ],
)
def test_an_override_sets_one_value_of_its_type(override, group, name, value):
    settings = load_settings("embedded", overrides=[override])
    got = getattr(settings, group)[name]
    assert got == value and type(got) is type(value)
    rest = load_settings("embedded")
    assert {k: v for k, v in getattr(settings, group).items() if k != name} == {
        k: v for k, v in getattr(rest, group).items() if k != name
    }


@given(st.floats(1e-12, 1e12))
def test_a_number_stays_a_number(number):
    for text in (str(number), f"{number:e}"):
        got = load_settings("embedded", overrides=[f"sft.learning_rate={text}"]).sft["learning_rate"]
        assert isinstance(got, float) and got == float(text)


def test_overrides_come_after_the_file_and_later_ones_win(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("lora: {r: 4, lora_alpha: 99}\ncontent_tokens: 64\n")
    settings = load_settings("embedded", path, ["lora.r=5", "lora.r=6"])
    assert (settings.lora["r"], settings.lora["lora_alpha"], settings.content_tokens) == (6, 99, 64)
    assert settings.lora["target_modules"] == ["q_proj", "k_proj", "v_proj", "o_proj"]


def test_no_change_leaks_into_the_next_call(tmp_path):
    before = {preset: load_settings(preset) for preset in PRESETS}
    path = tmp_path / "run.yaml"
    path.write_text("lora: {target_modules: [q_proj]}\n")
    for preset in PRESETS:
        changed = load_settings(preset, path, ["lora.r=99", "sft.learning_rate=7", "quantization.load_in_4bit=no"])
        changed.lora["target_modules"].append("x")
        load_settings(preset).lora["target_modules"].append("x")
    assert {preset: load_settings(preset) for preset in PRESETS} == before


@pytest.mark.parametrize("preset", ["", "llama", "EMBEDDED", "llama-3.1-8b ", "../embedded"])
def test_names_the_presets_where_one_is_unknown(preset):
    with pytest.raises(InputError, match=r"choose one of .*llama-3\.1-8b") as error:
        load_settings(preset)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "override",
    [
        "lora.r", "", "=5", " =5", "learning_rate=5", "lora=5", "content_tokens=many", "content_tokens=1.5",
        "base_model=[1]", "sft.x=[1", "sft.x={", "sft.x=\x00", "sft.x=2020-13-45", "sft.x=: :", "preset.x=1",
    ],
)  # fmt: skip
def test_says_in_one_sentence_that_an_override_is_wrong(override):
    with pytest.raises(InputError) as error:
        load_settings("embedded", overrides=[override])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        "just words",
        "",
        "lora: [",
        "\tlora: 1",
        "unknown: 1",
        "1: 2",
        "lora: 5",
        "content_tokens: x",
        "d: 2020-13-45",
    ],
)
def test_says_in_one_sentence_that_a_settings_file_is_wrong(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_settings("embedded", path)
    assert "\n" not in str(error.value)


def test_says_that_a_settings_file_cannot_be_read(tmp_path):
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.yaml", tmp_path, binary):
        with pytest.raises(InputError, match="cannot be read"):
            load_settings("embedded", path)


def test_never_builds_objects_from_yaml(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(
        f"lora: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{tmp_path}/x']]"
    )
    with pytest.raises(InputError):
        load_settings("embedded", path)
    assert not (tmp_path / "x").exists()


def test_settings_are_frozen():
    settings = load_settings("embedded")
    assert isinstance(settings, FinetuneSettings)
    with pytest.raises(ValueError, match="frozen"):
        settings.content_tokens = 5

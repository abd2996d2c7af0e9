"""Sizes from a config alone equal those of the model that the libraries build."""

from pathlib import Path

import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, T5Config

from bookpricer.training.errors import InputError
from bookpricer.training.model_folder import find_base, find_config
from bookpricer.training.planning.model_shape import KNOWN_CONFIGS, known_config, read_config, read_shape
from bookpricer.training.presets import load_settings

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
LORA = {"r": 8, "target_modules": ATTENTION}
NF4 = load_settings("llama-3.1-8b").quantization


def test_the_embedded_base_has_the_parameters_of_the_model_that_is_loaded():
    chosen = load_settings("embedded")
    shape = read_shape(read_config(find_config("embedded")), chosen.lora, chosen.quantization)
    model = AutoModelForCausalLM.from_pretrained(find_base("embedded"))
    assert shape.parameters == model.num_parameters()
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **chosen.lora))
    assert shape.trainable == tuned.get_nb_trainable_parameters()[0]
    assert shape.trained == tuple(p.numel() for p in tuned.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("name", "parameters", "trained"),
    [
        ("meta-llama/Llama-3.2-1B", 1_235_814_400, 1_703_936),
        ("meta-llama/Llama-3.2-3B", 3_212_749_824, 4_587_520),
        ("meta-llama/Llama-3.1-8B", 8_030_261_248, 6_815_744),
    ],
)
def test_the_llamas_have_their_published_sizes_and_none_of_their_weights_is_allocated(name, parameters, trained):
    before = psutil.Process().memory_info().rss
    shape = read_shape(known_config(name), LORA, NF4)
    assert (shape.parameters, shape.trainable) == (parameters, trained)
    assert len(shape.quantized) == 7 * shape.layers and sum(shape.quantized) == shape.linear
    assert psutil.Process().memory_info().rss - before < 2**30


def test_every_llama_preset_is_known():
    assert {load_settings(f"llama-{size}").base_model for size in ("3.2-1b", "3.2-3b", "3.1-8b")} == set(KNOWN_CONFIGS)
    assert known_config("someone/else") is None


@st.composite
def llamas(draw):
    heads = draw(st.sampled_from([1, 2, 4]))
    return LlamaConfig(
        vocab_size=draw(st.integers(10, 300)),
        hidden_size=heads * 16,
        intermediate_size=draw(st.integers(8, 100)),
        num_hidden_layers=draw(st.integers(1, 3)),
        num_attention_heads=heads,
        num_key_value_heads=draw(st.sampled_from([n for n in (1, 2, 4) if heads % n == 0])),
        head_dim=draw(st.sampled_from([8, 16])),
        tie_word_embeddings=draw(st.booleans()),
        attention_bias=draw(st.booleans()),
    )


@settings(max_examples=20)
@given(
    config=llamas(),
    rank=st.integers(1, 9),
    targets=st.lists(st.sampled_from([*ATTENTION, "gate_proj", "down_proj"]), min_size=1, unique=True),
    head=st.booleans(),
)
def test_any_llama_with_any_adapter(config, rank, targets, head):
    lora = {"r": rank, "target_modules": targets, "modules_to_save": ["lm_head"] if head else None}
    model = LlamaForCausalLM(config)
    assert read_shape(config, None).trainable == read_shape(config, None).parameters == model.num_parameters()
    shape = read_shape(config, lora)
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora))
    assert shape.trained == tuple(p.numel() for p in tuned.parameters() if p.requires_grad)
    assert shape.head_trained == head
    assert not shape.full and read_shape(config, None).full
    assert len(shape.lora) == len(targets) * config.num_hidden_layers


SMALL = LlamaConfig(
    vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, head_dim=16
)


@pytest.mark.parametrize(
    ("lora", "quantization", "sentence"),
    [
        ({**LORA, "r": 0}, {}, "`r`"),
        ({**LORA, "target_modules": ["no_such_proj"]}, {}, "no_such_proj"),
        ({**LORA, "no_such_setting": 1}, {}, "no_such_setting"),
        (None, NF4, "load_in_4bit"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(lora, quantization, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        read_shape(SMALL, lora, quantization)
    assert "\n" not in str(caught.value)


def test_what_is_no_causal_language_model_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no causal language model"):
        read_shape(T5Config(), LORA)
    with pytest.raises(InputError, match="no readable model config"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no readable model config"):
        read_config(tmp_path)


def test_ways_to_start_an_adapter_that_need_weights_do_not_matter():
    assert read_shape(SMALL, {**LORA, "init_lora_weights": "pissa"}) == read_shape(SMALL, LORA)
    assert torch.get_default_device().type == "cpu"

"""Operations beside torch's own count of them, and what makes a run longer."""

from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from bookpricer.training.planning.duration import cpu_seconds, cpu_step_seconds, gpu_seconds, operations
from bookpricer.training.planning.hardware import GPUS, CpuSpeed
from bookpricer.training.planning.memory import Batch
from bookpricer.training.planning.model_shape import known_config, read_shape
from bookpricer.training.presets import load_settings

PUBLISHED = load_settings("llama-3.1-8b")
LORA = {"r": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]}


@pytest.mark.parametrize("lora", [None, LORA, {"r": 4, "target_modules": ["q_proj", "down_proj"]}])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_operations_are_those_that_torch_counts(lora, checkpointing):
    config = LlamaConfig(
        vocab_size=32, hidden_size=64, intermediate_size=176, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, attn_implementation="eager",
    )  # fmt: skip
    model = LlamaForCausalLM(config).train()
    if lora:
        model = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora))
        model.enable_input_require_grads()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    ids = torch.randint(0, 32, (4, 48))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    batch = Batch(sequences=4, tokens=48, checkpointing=checkpointing, on_gpu=False)
    # The head is small here: TRL's works twice forward, a plain one once.
    assert operations(read_shape(config, lora), batch) == pytest.approx(counter.get_total_flops(), rel=0.06)


SHAPE = read_shape(known_config(PUBLISHED.base_model), PUBLISHED.lora, PUBLISHED.quantization)
BATCH = Batch(sequences=8, tokens=200, checkpointing=True, on_gpu=True)


def test_operations_a_parameter_and_token_with_lora():
    assert operations(SHAPE, BATCH) / (SHAPE.linear * 1600) == pytest.approx(5.5, rel=0.05)
    assert operations(SHAPE, replace(BATCH, checkpointing=False)) / (SHAPE.linear * 1600) == pytest.approx(4, rel=0.05)


def test_faster_gpus_take_less_time_and_small_batches_waste_theirs():
    seconds = {name: gpu_seconds(SHAPE, BATCH, gpu) for name, gpu in GPUS.items()}
    assert seconds["t4"] > seconds["a10g"] > seconds["a100-80gb"] > seconds["h100"] > 0
    one = gpu_seconds(SHAPE, replace(BATCH, sequences=1), GPUS["h100"])
    assert seconds["h100"] / 8 < one < seconds["h100"]


def test_a_cpu_twice_as_fast_takes_half_the_time():
    batch = replace(BATCH, on_gpu=False)
    slow, fast = CpuSpeed(1e10, 1e8, 1e8), CpuSpeed(2e10, 2e8, 2e8)
    assert cpu_seconds(SHAPE, batch, slow) == pytest.approx(2 * cpu_seconds(SHAPE, batch, fast))
    assert cpu_step_seconds(SHAPE, slow) == pytest.approx(2 * cpu_step_seconds(SHAPE, fast))

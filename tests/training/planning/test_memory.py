"""The bytes of each part beside those of real tensors, on a CPU, where all numbers are float32."""

import warnings

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM, LlamaModel

from bookpricer.training.planning.memory import (
    Batch,
    estimate_memory,
    frozen_weights,
    knows_optimizer,
    layer_activations,
    optimizer_state,
    quantized_matrix,
)
from bookpricer.training.planning.model_shape import known_config, read_shape
from bookpricer.training.presets import load_settings

PUBLISHED = load_settings("llama-3.1-8b")
CPU = Batch(sequences=4, tokens=24, checkpointing=False, on_gpu=False)


def llama(layers: int = 2) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=500, hidden_size=64, intermediate_size=176, num_hidden_layers=layers, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16,
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(64, 64), (256, 96), (1000, 33), (1, 7)])
@pytest.mark.parametrize("double", [True, False])
def test_a_quantized_matrix_has_the_bytes_that_bitsandbytes_gives_it(shape, double):
    from bitsandbytes.functional import quantize_4bit

    packed, state = quantize_4bit(torch.randn(shape), quant_type="nf4", compress_statistics=double)
    tensors = [packed, state.absmax, state.code]
    if double:  # the table of its own 256 values is one for all matrices
        tensors += [state.offset, state.state2.absmax]
    assert quantized_matrix(packed.numel() * 2, double) == sum(tensor.nbytes for tensor in tensors)


def test_a_quantized_model_has_the_predicted_bytes(tmp_path):
    config = llama()
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    quantization = {**PUBLISHED.quantization, "bnb_4bit_compute_dtype": "float32"}
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path, quantization_config=BitsAndBytesConfig(**quantization), dtype=torch.float32, device_map="cpu"
    )
    actual = 0
    for parameter in model.parameters():
        actual += parameter.nbytes
        if state := getattr(parameter, "quant_state", None):
            actual += sum(x.nbytes for x in (state.absmax, state.code, state.offset, state.state2.absmax))
    assert frozen_weights(read_shape(config, PUBLISHED.lora, quantization), CPU) == actual


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("AdamW", "adamw_torch"),
        ("PagedAdamW32bit", "paged_adamw_32bit"),
        ("AdamW8bit", "adamw_8bit"),
        ("Lion8bit", "lion_8bit"),
    ],
)
@pytest.mark.parametrize("size", [100, 5000])
def test_an_optimizer_keeps_the_predicted_bytes(name, bits, size):
    import bitsandbytes.optim

    parameter = torch.nn.Parameter(torch.randn(size))
    optimizer = getattr(torch.optim if bits == "adamw_torch" else bitsandbytes.optim, name)([parameter], lr=1e-3)
    parameter.grad = torch.randn(size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nothing is paged on a CPU
        optimizer.step()
    kept = [x for key, x in optimizer.state[parameter].items() if isinstance(x, torch.Tensor) and "qmap" not in key]
    assert optimizer_state(size, bits) == sum(tensor.nbytes for tensor in kept if tensor.ndim)
    assert knows_optimizer(bits) and not knows_optimizer("of_next_year")


def saved_bytes(config: LlamaConfig, lora: dict | None, batch: Batch, padded: bool) -> int:
    """What autograd keeps in a forward pass, weights left out."""
    model = LlamaModel(config).train()
    if lora:
        model = get_peft_model(model, LoraConfig(**lora))
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    sizes, keep = {}, []

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
            keep.append(tensor)  # or another could take its place
        return tensor

    ids = torch.randint(0, config.vocab_size, (batch.sequences, batch.tokens))
    mask = torch.ones_like(ids)
    if padded:
        mask[0, -3:] = 0
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(input_ids=ids, attention_mask=mask, use_cache=False)
    return sum(sizes.values())


@pytest.mark.parametrize(
    "lora",
    [
        None,
        {"r": 8, "lora_dropout": 0.0, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]},
        {"r": 8, "lora_dropout": 0.1, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]},
        {"r": 4, "lora_dropout": 0.0, "target_modules": "all-linear"},
        {"r": 4, "lora_dropout": 0.1, "target_modules": ["q_proj", "down_proj"]},
    ],
)
@pytest.mark.parametrize("sequences", [1, 4])
def test_a_block_keeps_the_predicted_bytes(lora, sequences):
    batch = Batch(sequences=sequences, tokens=48, checkpointing=False, on_gpu=False)
    few, many = (saved_bytes(llama(n), lora, batch, padded=sequences > 1) for n in (1, 3))
    block = (many - few) / 2
    assert layer_activations(read_shape(llama(), lora), batch) == pytest.approx(block, rel=0.03)


def eight(**changes):
    """Memory of Llama 3.1 8B on a GPU, as published."""
    batch = {"sequences": 1, "tokens": 200, "checkpointing": True, "on_gpu": True, "optimizer": "paged_adamw_32bit"}
    return estimate_memory(
        read_shape(known_config(PUBLISHED.base_model), PUBLISHED.lora, PUBLISHED.quantization),
        Batch(**{**batch, **changes}),
    )


def test_llama_8b_takes_what_is_known_of_it():
    memory = eight()
    # 7 billion weights in 4 bits and a billion of embeddings and head in 16.
    assert 5.2 < memory.weights / 2**30 < 6.2
    assert memory.adapter == memory.gradients == 4 * 6_815_744 and memory.optimizer == 8 * 6_815_744
    assert memory.total < 15 * 2**30, "published to train on one 16 GB GPU"


def test_each_choice_moves_its_own_part():
    memory = eight()
    assert eight(checkpointing=False).activations > 10 * memory.activations
    assert eight(optimizer="adamw_8bit").optimizer < 0.3 * memory.optimizer
    assert eight(sequences=4).activations == pytest.approx(4 * memory.activations, rel=0.15)
    assert eight(devices=2).gradients == 2 * memory.gradients
    assert eight(double_quantization=False).weights > memory.weights


def test_a_loss_at_the_answers_only_needs_less_for_logits():
    shape = read_shape(llama(), None)
    theirs, ours = (
        estimate_memory(shape, Batch(4, 200, checkpointing=False, on_gpu=False, own_loss=own)).logits
        for own in (False, True)
    )
    # Eight places of 200, in four rows, and their gradient.
    assert ours >= 2 * 4 * 8 * 500 * 4 and ours < theirs / 5


def test_full_tuning_takes_sixteen_bytes_a_parameter():
    shape = read_shape(known_config("meta-llama/Llama-3.2-1B"), None)
    memory = estimate_memory(shape, Batch(1, 200, checkpointing=True, on_gpu=True))
    assert memory.weights + memory.gradients + memory.optimizer == 16 * shape.parameters
    assert memory.adapter == 0

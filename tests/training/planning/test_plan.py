"""The plan: steps and tokens as the trainer has them, a verdict, and no need of a hub."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler, SequentialSampler
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

from bookpricer.training.book import Book
from bookpricer.training.dataset import PricedBook, prompt_rows
from bookpricer.training.errors import InputError
from bookpricer.training.evidence import evidence_lines
from bookpricer.training.model_folder import find_base, find_config, find_tokenizer
from bookpricer.training.planning.plan import (
    TrainingPlan,
    count_steps,
    format_bytes,
    format_time,
    plan_rows,
    plan_run,
    plan_training,
    token_lengths,
    usual_rows,
    verdict,
)
from bookpricer.training.presets import load_settings
from bookpricer.training.prompt import PromptBuilder

TINY = LlamaConfig(vocab_size=2000, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1)
BOOKS = [
    PricedBook(Book(title=f"Book {n}", description="A long story of gardens and of cats. " * (1 + n % 12)), 5.0 + n)
    for n in range(40)
]


def full_tuning(preset: str, *overrides: str):
    return load_settings(preset, overrides=["quantization.load_in_4bit=false", "lora=null", *overrides])


@pytest.mark.parametrize("rows", [1, 7, 33, 100])
@pytest.mark.parametrize(
    ("size", "accumulated", "epochs", "max_steps", "drop_last"),
    [
        (1, 16, 4, -1, False),
        (16, 1, 3, -1, False),
        (4, 3, 0.5, -1, False),
        (3, 2, 2.7, -1, False),
        (4, 3, 3, 11, False),
        (5, 1, 3, 2, False),
        (5, 2, 2, -1, True),
    ],
)
def test_steps_are_the_trainers_own(rows, size, accumulated, epochs, max_steps, drop_last, tmp_path):
    sft = {
        "per_device_train_batch_size": size, "gradient_accumulation_steps": accumulated, "num_train_epochs": epochs,
        "max_steps": max_steps, "dataloader_drop_last": drop_last,
    }  # fmt: skip
    data = [{"input_ids": [1, 2], "labels": [1, 2]}] * rows
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, report_to="none", **sft)
    trainer = Trainer(model=LlamaForCausalLM(TINY), args=arguments, train_dataset=data)
    chosen = load_settings("embedded", overrides=[f"sft.{name}={str(value).lower()}" for name, value in sft.items()])
    if drop_last and rows < size:
        with pytest.raises(InputError, match="drop_last"):
            count_steps(chosen, rows)
        return
    expected = trainer.set_initial_training_values(arguments, trainer.get_train_dataloader())[-1]
    assert count_steps(chosen, rows).steps == expected


def test_settings_left_out_are_transformers_own():
    bare = load_settings("embedded").model_copy(update={"sft": {}})
    defaults = TrainingArguments("unused", use_cpu=True, report_to="none")
    steps = math.ceil(math.ceil(100 / defaults.per_device_train_batch_size) * defaults.num_train_epochs)
    assert count_steps(bare, 100).steps == steps
    assert plan_training(bare, find_config("embedded"), 100, 50.0, "cpu").optimizer == defaults.optim


@pytest.mark.parametrize("rows", [13, 32, 101])
@pytest.mark.parametrize("devices", [2, 3])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_are_shared_out_as_accelerate_does(rows, devices, drop_last):
    sampler = BatchSampler(SequentialSampler(range(rows)), 4, drop_last)
    share = len(BatchSamplerShard(sampler, num_processes=devices, process_index=0))
    options = ["sft.per_device_train_batch_size=4", "sft.num_train_epochs=1", "sft.gradient_accumulation_steps=1"]
    chosen = load_settings("embedded", overrides=[*options, f"sft.dataloader_drop_last={str(drop_last).lower()}"])
    assert share and count_steps(chosen, rows, devices).steps == share


@pytest.mark.parametrize("cut", [False, True])
def test_tokens_are_those_of_the_rows_that_trl_makes(cut, tmp_path):
    from datasets import Dataset
    from tokenizers import Tokenizer
    from trl import SFTConfig, SFTTrainer

    from bookpricer.training.loading import load_tokenizer

    tokenizer = load_tokenizer(find_base("embedded"))
    plain = Tokenizer.from_file(str(find_tokenizer("embedded")))
    chosen = load_settings("llama-3.1-8b", overrides=["content_tokens=60"])
    rows = list(prompt_rows(BOOKS, PromptBuilder(tokenizer, 60)))
    assert list(usual_rows(chosen, BOOKS, plain)) == rows
    max_length = sorted(token_lengths(rows, plain, 0))[len(BOOKS) // 2] if cut else 224
    trainer = SFTTrainer(
        model=LlamaForCausalLM(LlamaConfig(**{**TINY.to_dict(), "vocab_size": len(tokenizer)})),
        args=SFTConfig(str(tmp_path), max_length=max_length, use_cpu=True, bf16=False, report_to="none"),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    expected = [len(ids) for ids in trainer.train_dataset["input_ids"]]
    assert token_lengths(rows, plain, max_length) == expected
    assert len(expected) < len(BOOKS) if cut else len(expected) == len(BOOKS)


def test_evidence_has_the_tokens_that_it_will_have():
    from tokenizers import Tokenizer

    from bookpricer.training.loading import load_tokenizer

    tokenizer = Tokenizer.from_file(str(find_tokenizer("embedded")))
    chosen = load_settings("embedded")
    found, rng = chosen.recipe.evidence, np.random.default_rng(0)
    estimates = {name: rng.uniform(0, 999, len(BOOKS)) for name in found.baselines}
    lines = evidence_lines(rng.uniform(0, 999, (len(BOOKS), found.neighbours)), estimates)
    builder = PromptBuilder(load_tokenizer(find_base("embedded")), chosen.content_tokens)
    real = token_lengths(prompt_rows(BOOKS, builder, lines=lines), tokenizer, 0)
    assert token_lengths(usual_rows(chosen, BOOKS, tokenizer), tokenizer, 0) == real
    plain = chosen.model_copy(update={"recipe": chosen.recipe.model_copy(update={"evidence": None})})
    assert sum(token_lengths(usual_rows(plain, BOOKS, tokenizer), tokenizer, 0)) < sum(real)


def test_the_embedded_preset_is_planned_for_this_machine():
    plan = plan_run(load_settings("embedded"), BOOKS, gpu="cpu")
    assert (plan.device, plan.method, plan.fits) == ("cpu", "QLoRA", True)
    epochs = load_settings("embedded").sft["num_train_epochs"]
    assert (plan.steps, plan.batch, plan.epochs) == (3 * epochs, 16, epochs)
    assert plan.tokens == pytest.approx(plan.examples * plan.mean_tokens, rel=0.01)
    assert plan.memory["total"] == sum(size for part, size in plan.memory.items() if part != "total")
    assert plan.seconds > 0
    assert TrainingPlan.model_validate_json(json.dumps(plan.model_dump())) == plan


def test_a_llama_is_planned_without_a_hub_and_says_so():
    plan = plan_run(load_settings("llama-3.1-8b"), BOOKS, gpu="a100-80gb")
    assert plan.parameters == 8_030_261_248 and plan.trainable == 6_815_744
    assert any("without the hub" in note for note in plan.notes) and "published" in plan.sizes_from
    assert plan.fits and plan.smallest_gpu == "t4"
    table = dict(plan_rows(plan))
    assert "6,815,744" in table["Trained"] and "fits on a100-80gb" in table["Verdict"]
    assert "GiB" in table["Memory: weights"]


def test_a_run_too_large_for_a_gpu_names_one_that_holds_it():
    plan = plan_training(full_tuning("llama-3.2-3b"), None, 1000, 180.0, "t4")
    assert plan.method == "full tuning" and plan.trainable == plan.parameters
    assert plan.fits is False and plan.smallest_gpu == "a100-80gb"
    assert verdict(plan) == "does not fit on t4; the smallest GPU for it is a100-80gb"
    huge = plan_training(full_tuning("llama-3.1-8b", "sft.per_device_train_batch_size=64"), None, 1000, 180.0, "h200")
    assert huge.smallest_gpu is None and "no listed GPU" in verdict(huge)


def test_lora_on_whole_weights_is_told_from_qlora():
    chosen = load_settings("llama-3.2-1b", overrides=["quantization.load_in_4bit=false"])
    plain, quantized = (plan_training(each, None, 100, 150.0, "l4") for each in (chosen, load_settings("llama-3.2-1b")))
    assert (plain.method, quantized.method) == ("LoRA", "QLoRA")
    assert plain.memory["weights"] > 2 * quantized.memory["weights"]


def test_a_gpu_without_bfloat16_says_which_settings_to_pass():
    [warning] = plan_training(load_settings("llama-3.2-1b"), None, 100, 150.0, "t4").warnings
    options = [word for word in warning.split() if "=" in word]
    assert plan_training(load_settings("llama-3.2-1b", overrides=options), None, 100, 150.0, "t4").warnings == []
    assert plan_training(load_settings("llama-3.2-1b"), None, 100, 150.0, "l4").warnings == []


def test_more_devices_need_fewer_steps_and_less_time():
    one, four = (plan_training(load_settings("llama-3.2-1b"), None, 6400, 150.0, "l4", devices=n) for n in (1, 4))
    assert one.steps == 4 * four.steps and four.batch == 64
    assert four.seconds == pytest.approx(one.seconds / 4, rel=0.01)
    assert "4 × l4" in dict(plan_rows(four)).__str__()


def test_packing_makes_fewer_rows_and_says_that_they_are_estimated():
    chosen = load_settings("llama-3.2-1b", overrides=["sft.packing=true", "sft.max_length=1024"])
    plan = plan_training(chosen, None, 1000, 200.0, "l4")
    assert plan.steps == math.ceil(200 / 16) * 4 and any("packed" in note for note in plan.notes)


def test_what_cannot_be_planned_is_one_sentence(tmp_path: Path):
    with pytest.raises(InputError, match="no books"):
        plan_run(load_settings("embedded"), [])
    with pytest.raises(InputError, match="no GPU 'abacus'"):
        plan_training(load_settings("llama-3.2-1b"), None, 100, 150.0, "abacus")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no device 'cuda:0' here"):
            plan_training(load_settings("llama-3.2-1b"), None, 100, 150.0, "cuda:0")
    with pytest.raises(InputError, match=r"config\.json"):
        plan_run(load_settings("embedded", overrides=[f"base_model={tmp_path}"]), BOOKS)
    with pytest.raises(InputError, match="someone/else"):
        plan_training(load_settings("embedded", overrides=["base_model=someone/else"]), None, 100, 150.0, "t4")
    with pytest.raises(InputError, match="max_length"):
        plan_run(load_settings("embedded", overrides=["sft.max_length=4"]), BOOKS, gpu="cpu")


def test_sizes_and_times_in_words():
    assert (format_bytes(3 * 2**30), format_bytes(5 * 2**19)) == ("3.00 GiB", "2.5 MiB")
    assert format_time(0.2) == "about a second"
    assert [format_time(s) for s in (80, 600, 9000, 200_000)] == [
        "about 80 seconds", "about 10.0 minutes", "about 2.5 hours", "about 2.3 days",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_prediction_is_right_about_a_real_run(root: Path):
    script = root / "tests" / "bench" / "bench_plan.py"
    run = subprocess.run([sys.executable, str(script)], check=True, stdout=subprocess.PIPE, text=True)
    figures = json.loads(run.stdout.splitlines()[-1])
    assert figures["steps"] == figures["planned_steps"]
    assert figures["trainable"] == figures["planned_trainable"]
    assert 0.5 < figures["memory_grown_mib"] / figures["planned_memory_grown_mib"] < 1.6
    assert torch.cuda.is_available() or figures["device"] == "cpu"

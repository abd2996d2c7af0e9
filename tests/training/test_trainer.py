"""What is our own in training: soft targets, scaled prices, and what stops a run."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bookpricer.training.dataset import prompt_rows
from bookpricer.training.errors import InputError
from bookpricer.training.finetune import ValidationRows, build_trainer
from bookpricer.training.loading import load_tokenizer
from bookpricer.training.model_folder import find_base
from bookpricer.training.presets import load_settings
from bookpricer.training.prompt import HEAD, TAIL, PromptBuilder
from bookpricer.training.trainer import (
    PriceTokens,
    TrainingStoppedError,
    last_complete_checkpoint,
    plot_curves,
    soft_targets,
)

BASE = find_base("embedded")


@pytest.fixture(scope="module")
def embedded():
    return load_tokenizer(BASE)


@given(price=st.integers(0, 999), width=st.floats(0.01, 1.0))
def test_soft_targets_are_distributions_around_the_price(price, width):
    row = soft_targets(width)[price].double()
    assert abs(float(row.sum()) - 1) < 1e-4 and (row >= 0).all()
    cumulative = row.cumsum(0)
    # The targets stop at 999, so that the median of a price close to it lies below.
    if 1 <= price * np.exp(3 * width) < 999:
        assert cumulative[max(price - 1, 0)] <= 0.5 + 1e-3 or price <= 1
        assert cumulative[min(price + 1, 999)] >= 0.5 - 1e-3


def test_without_width_the_target_is_the_price():
    assert torch.equal(soft_targets(0), torch.eye(1000))


@pytest.mark.parametrize("name", ["embedded", "llama3"])
def test_all_prices_of_a_prompt_are_scaled_alike_and_no_other_number(name, request):
    tokenizer = request.getfixturevalue(name)
    content = "Evidence: similar $12$8, estimates $10\nEmma in 320 pages\nPaperback, 2016"
    prompt = tokenizer(f"{HEAD}{content}{TAIL}9")["input_ids"]
    ids = torch.tensor([prompt, prompt])
    labels = torch.full_like(ids, -100)
    labels[:, -1] = ids[:, -1]
    scaled, answers = PriceTokens(tokenizer).scaled(ids, labels, torch.tensor([1.0, 2.5]))
    assert torch.equal(scaled[0], ids[0]) and torch.equal(answers[0], labels[0])
    expected = f"{HEAD}{content}{TAIL}9".replace("$12$8", "$30$20").replace("$10", "$25")[:-1] + "23"
    assert scaled[1].tolist() == tokenizer(expected)["input_ids"]
    assert answers[1, -1] == scaled[1, -1] and (answers[1, :-1] == -100).all()


@given(factor=st.floats(0.01, 100.0), price=st.integers(0, 999))
def test_a_scaled_price_stays_one(factor, price):
    tokens = PriceTokens(load_tokenizer(BASE))
    ids = torch.tensor([[5, int(tokens._signs[0]), int(tokens.tokens[price])]])
    changed = int(tokens.price_of(tokens.scaled(ids, ids, torch.tensor([factor]))[0][0, -1]))
    assert changed == price if factor == 1 else 1 <= changed <= 999


def test_a_tokenizer_of_digits_is_refused(digits):
    with pytest.raises(InputError, match="one token"):
        PriceTokens(digits)


@pytest.fixture(scope="module")
def make_trainer(embedded, synthetic_books):
    books = synthetic_books(48, seed=3)
    rows = list(prompt_rows(books, PromptBuilder(embedded, 40)))

    def make(folder, *overrides, validation=None):
        settings = load_settings(
            "embedded",
            overrides=["recipe.evidence=null", "content_tokens=40", "sft.per_device_train_batch_size=4", *overrides],
        )
        return build_trainer(settings, BASE, embedded, rows, folder, validation=validation, device="cpu")

    return make


@pytest.fixture(scope="module")
def validation(embedded, synthetic_books):
    books = synthetic_books(24, seed=4)
    rows = list(prompt_rows(books, PromptBuilder(embedded, 40)))
    return ValidationRows(rows, [priced.units for priced in books])


def test_with_hard_targets_our_loss_is_that_of_trl(make_trainer, tmp_path):
    ours = make_trainer(tmp_path, "recipe.target_width=0", "recipe.price_jitter=0", "lora.lora_dropout=0")
    batch = next(iter(ours.get_train_dataloader()))
    count = torch.tensor(int((batch["labels"] != -100).sum()))
    with torch.no_grad():
        loss = ours.compute_loss(ours.model, dict(batch), num_items_in_batch=count)
        ours._prices = None
        trl = ours.compute_loss(ours.model, dict(batch), num_items_in_batch=count)
    assert loss == pytest.approx(float(trl), rel=1e-4)


def test_measures_the_price_keeps_the_best_and_marks_whole_checkpoints(make_trainer, validation, tmp_path):
    trainer = make_trainer(tmp_path, "sft.max_steps=4", "sft.eval_steps=2", "sft.save_steps=2", validation=validation)
    trainer.train()
    measured = {entry["step"]: entry["eval_mae"] for entry in trainer.state.log_history if "eval_mae" in entry}
    assert set(measured) == {2, 4}
    assert trainer.state.best_metric == min(measured.values())
    newest = last_complete_checkpoint(tmp_path)
    assert newest == tmp_path / "checkpoint-4"
    # As after a kill while it was written.
    (newest / "complete").unlink()
    assert last_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-2" and not newest.exists()
    plot_curves(trainer.state.log_history, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_loss_that_is_no_number_stops_and_the_last_good_checkpoint_stays(make_trainer, validation, tmp_path):
    trainer = make_trainer(tmp_path, "sft.max_steps=6", "sft.eval_steps=2", "sft.save_steps=2", validation=validation)

    class Break(type(trainer.callback_handler.callbacks[0])):
        def on_step_begin(self, args, state, control, model=None, **_):
            if state.global_step == 3:
                next(p for p in model.parameters() if p.requires_grad).data.fill_(float("nan"))

    trainer.add_callback(Break())
    with pytest.raises(TrainingStoppedError, match=r"step 4.*learning_rate"):
        trainer.train()
    assert last_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-2"

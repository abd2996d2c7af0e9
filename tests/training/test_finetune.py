"""QLoRA through TRL on the embedded base: the real libraries, a few steps."""

import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bookpricer.training.book import Book
from bookpricer.training.dataset import PricedBook, SplitBooks, prompt_rows, split_books
from bookpricer.training.errors import InputError
from bookpricer.training.finetune import build_trainer, finetune
from bookpricer.training.loading import load_pricer, load_tokenizer
from bookpricer.training.measuring import book_distributions
from bookpricer.training.model_folder import ModelFolder, find_base, fingerprint_weights
from bookpricer.training.presets import load_settings
from bookpricer.training.prompt import PromptBuilder
from bookpricer.training.scoring import PriceScorer

BASE = os.environ.get("BOOKPRICER_TEST_BASE", "embedded")
STEPS = [
    f"base_model={BASE}",
    "sft.max_steps=3",
    "sft.per_device_train_batch_size=4",
    "sft.load_best_model_at_end=false",
]
PUBLISHED = ["recipe.evidence=null", "recipe.target_width=0", "recipe.price_jitter=0"]


@pytest.fixture(scope="module")
def splits() -> dict[str, list[PricedBook]]:
    rng = np.random.default_rng(0)
    kinds = (("Hardcover", 40.0, "A lavish atlas of art."), ("Paperback", 12.0, "A short thriller."))
    books = []
    for number in range(400):
        binding, price, text = kinds[number % 2]
        book = Book(title=f"Book {number}", details={"Format": binding}, description=text)
        books.append(PricedBook(book, price * float(rng.lognormal(0, 0.2))))
    return split_books(books)


@pytest.fixture(scope="module")
def settings():
    return load_settings("embedded", overrides=[*STEPS, *PUBLISHED])


@pytest.fixture(scope="module")
def trainer(settings, splits, tmp_path_factory):
    base = find_base(BASE)
    tokenizer = load_tokenizer(base)
    rows = list(prompt_rows(splits["train"], PromptBuilder(tokenizer, settings.content_tokens)))
    return build_trainer(settings, base, tokenizer, rows, tmp_path_factory.mktemp("trainer"), device="cpu")


def test_only_the_lora_weights_are_trained_and_the_base_stays(trainer):
    parameters = dict(trainer.model.named_parameters())
    trainable = {name for name, parameter in parameters.items() if parameter.requires_grad}
    assert trainable and all("lora_" in name for name in trainable)
    assert {name.split(".")[-4] for name in trainable} == {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert all(parameters[name].dtype == torch.float32 for name in trainable)
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    trainer.train()
    changed = {name for name, parameter in parameters.items() if not torch.equal(parameter, before[name])}
    assert changed == trainable


def test_the_base_is_quantized_to_nf4(trainer):
    from bitsandbytes.nn import Linear4bit

    quantized = [module for module in trainer.model.modules() if isinstance(module, Linear4bit)]
    assert len(quantized) == 7 * trainer.model.config.num_hidden_layers
    assert all(
        module.weight.quant_state.quant_type == "nf4" and module.weight.quant_state.nested for module in quantized
    )


def test_the_loss_is_on_the_completion_only(trainer):
    tokenizer = trainer.processing_class
    batch = next(iter(trainer.get_train_dataloader()))
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        answer = tokenizer.decode(labels[labels != -100])
        number = answer.removesuffix(tokenizer.eos_token)
        assert answer == f"{int(number)}{tokenizer.eos_token}"
        prompt = tokenizer.decode(ids[: int((labels != -100).nonzero()[0])])
        assert prompt.endswith("$") and "answer" in prompt.lower()


@pytest.fixture(scope="module")
def model(settings, splits, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "model"
    before = fingerprint_weights(find_base(BASE))
    said = []
    steps = []
    finetune(
        settings, SplitBooks(splits, "VND", 1000), out, baselines=False, device="cpu", say=said.append,
        progress=lambda done, total, latest: steps.append((done, total)),
    )  # fmt: skip
    assert steps[0] == (0, 3) and steps[-1] == (3, 3)
    assert not [path for path in out.parent.iterdir() if path != out], "no work folder stays"
    assert fingerprint_weights(find_base(BASE)) == before
    assert any("LoRA" in sentence for sentence in said)
    return out


def test_the_model_folder_holds_what_the_design_says(model, splits):
    folder = ModelFolder(model)
    assert folder.config.base_model == BASE and folder.config.quantized
    assert (folder.config.currency, folder.config.unit) == ("VND", 1000)
    assert not folder.config.demonstration
    weights = load_file(folder.adapter / "adapter_model.safetensors")
    assert all("lora_" in name for name in weights)
    assert any(weight.abs().max() > 0 for name, weight in weights.items() if "lora_B" in name), "the adapter learned"
    report = json.loads((folder.report / "training.json").read_text())
    assert report["steps"] == 3 and report["trainable_parameters"] == sum(w.numel() for w in weights.values())
    assert load_pricer(model, device="cpu").calibration.n == len(splits["calibration"])
    assert not list(model.rglob("*.bin")) + list(model.rglob("*.pt")) + list(model.rglob("*.pkl"))


def test_the_merged_model_prices_as_the_quantized_one_with_its_adapter(model, splits):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    pricer = load_pricer(model, device="cpu")
    quantized = AutoModelForCausalLM.from_pretrained(
        find_base(BASE),
        dtype=torch.float32,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32,
        ),
        device_map="cpu",
    )  # fmt: skip
    unmerged = PeftModel.from_pretrained(quantized, str(model / "adapter")).train()
    for module in unmerged.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    prompts = PromptBuilder(pricer.tokenizer, 160).prompts(priced.book for priced in splits["test"][:8])
    merged = PriceScorer(pricer.model, pricer.tokenizer).price_distributions(prompts)
    ids = [pricer.tokenizer(prompt, return_tensors="pt")["input_ids"] for prompt in prompts]
    numbers = pricer.tokenizer.convert_tokens_to_ids([str(price) for price in range(1000)])
    for distribution, row in zip(merged, ids, strict=True):
        # In training mode bitsandbytes computes in float32; its CPU inference kernels round to bfloat16.
        logits = unmerged(input_ids=row).logits[0, -1, numbers].double()
        assert np.abs(logits.softmax(-1).detach().numpy() - distribution.probabilities).max() < 1e-4


def test_a_failure_leaves_no_model_folder(splits, tmp_path):
    broken = load_settings("embedded", overrides=[*STEPS, *PUBLISHED, "lora.target_modules=[no_such_proj]"])
    out = tmp_path / "model"
    with pytest.raises(InputError, match="do not fit"):
        finetune(broken, SplitBooks(splits), out, baselines=False, device="cpu")
    assert not out.exists()
    with pytest.raises(InputError, match="pass --resume, or --overwrite"):
        finetune(broken, SplitBooks(splits), out, baselines=False, device="cpu")
    with pytest.raises(InputError, match="other settings"):
        other = broken.model_copy(update={"content_tokens": 9})
        finetune(other, SplitBooks(splits), out, baselines=False, resume=True, device="cpu")
    with pytest.raises(InputError, match="other settings"):
        finetune(broken, SplitBooks(splits), out, baselines=True, resume=True, device="cpu")
    with pytest.raises(InputError, match="no interrupted training"):
        finetune(broken, SplitBooks(splits), tmp_path / "other", resume=True, device="cpu")
    with pytest.raises(InputError, match="no books"):
        finetune(broken, SplitBooks({"train": []}), tmp_path / "empty", device="cpu")


def test_all_weights_can_be_trained(splits, tmp_path):
    whole = [*STEPS, *PUBLISHED, "lora=null"]
    with pytest.raises(InputError, match="load_in_4bit=false"):
        finetune(load_settings("embedded", overrides=whole), SplitBooks(splits), tmp_path / "no", baselines=False)
    settings = load_settings(
        "embedded", overrides=[*whole, "quantization.load_in_4bit=false", "sft.learning_rate=1e-4"]
    )
    out = tmp_path / "model"
    finetune(settings, SplitBooks(splits), out, baselines=False, device="cpu")
    folder = ModelFolder(out)
    assert folder.weights.is_dir() and not folder.adapter.exists() and not folder.config.quantized
    pricer = load_pricer(out, device="cpu")
    before = load_file(find_base(BASE) / "model.safetensors")
    after = pricer.model.state_dict()
    changed = [name for name, weight in before.items() if not torch.equal(after[name], weight.float())]
    assert any("mlp" in name for name in changed) and any("embed" in name for name in changed)
    assert pricer.calibration and pricer.fingerprint != load_pricer("embedded", device="cpu").fingerprint


@pytest.mark.slow
def test_evidence_stands_in_the_prompts_of_training_and_of_pricing(splits, tmp_path):
    """Learns from it: the description says nothing here that the neighbours' prices do not say better."""
    evidence = {"neighbours": 4, "baselines": ["linear_regression", "neighbours"]}
    settings = load_settings(
        "embedded", overrides=[f"base_model={BASE}", "sft.max_steps=60", f"recipe.evidence={evidence}"]
    )
    out = tmp_path / "model"
    finetune(settings, SplitBooks(splits), out, baselines=False, device="cpu")
    pricer = load_pricer(out, device="cpu")
    prompts = pricer.prompt_builder().prompts(priced.book for priced in splits["test"])
    assert all(prompt.partition("Content: ")[2].startswith("Evidence: similar $") for prompt in prompts)
    assert sorted(path.name for path in (out / "baselines").iterdir() if path.is_dir() and path.name != "plots") == [
        "linear_regression", "neighbours",
    ]  # fmt: skip
    units = np.array([priced.units for priced in splits["test"]])
    constant = np.abs(np.median(units) - units).mean()
    medians = np.array([distribution.median for distribution in book_distributions(pricer, splits["test"])])
    assert np.abs(medians - units).mean() < 0.6 * constant
    (out / "baselines" / "neighbours" / "manifest.json").unlink()
    with pytest.raises(InputError, match="baselines"):
        load_pricer(out, device="cpu")


@pytest.fixture(scope="module")
def llama_base(llama3, tmp_path_factory):
    """Llama-3.2-1B's shape and its tokenizer, random weights, cut to two layers so that it fits anywhere."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=128_256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=2, num_attention_heads=32,
        num_key_value_heads=8, head_dim=64, max_position_embeddings=2048, rms_norm_eps=1e-5, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 500_000.0}, bos_token_id=128_000, eos_token_id=128_001,
    )  # fmt: skip
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("llama") / "base"
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    llama3.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["published", "evidence"])
def test_llama_1b_takes_the_same_path(llama_base, splits, tmp_path, recipe):
    """NF4, five steps, saved, read back and priced: nothing knows which preset it is."""
    evidence = {"neighbours": 3, "baselines": ["linear_regression", "neighbours"]}
    own = [f"recipe.evidence={evidence}", "recipe.target_width=0.2", "recipe.price_jitter=0.5"]
    settings = load_settings(
        "llama-3.2-1b",
        overrides=[
            f"base_model={llama_base}", "sft.max_steps=5", "sft.gradient_accumulation_steps=1", "sft.bf16=false",
            "quantization.bnb_4bit_compute_dtype=float32", "recipe.validation_books=4", "sft.eval_steps=3",
            "sft.save_steps=3", "content_tokens=32", *(own if recipe == "evidence" else ()),
        ],
    )  # fmt: skip
    few = {**splits, "test": splits["test"][:4], "calibration": splits["calibration"][:20]}
    out = tmp_path / "model"
    finetune(settings, SplitBooks(few), out, baselines=False, device="cpu")
    pricer = load_pricer(out, device="cpu")
    assert ModelFolder(out).config.quantized and pricer.calibration
    report = json.loads((ModelFolder(out).report / "training.json").read_text())
    assert report["steps"] == 5 and {entry["step"] for entry in report["curves"] if "eval_mae" in entry} == {3, 5}
    assert len([d.median for d in book_distributions(pricer, few["test"])]) == 4

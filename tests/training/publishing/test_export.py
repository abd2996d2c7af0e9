"""The exported model, read as others read it: by transformers alone."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from bookpricer import PricingChain
from bookpricer.training.baselines.similar import NeighboursBaseline
from bookpricer.training.baselines.simple import MeanBaseline, MedianBaseline
from bookpricer.training.book import Book
from bookpricer.training.errors import InputError
from bookpricer.training.evidence import EvidenceSettings
from bookpricer.training.loading import load_pricer
from bookpricer.training.model_folder import ModelFolder, PricerConfig, find_model, fingerprint_weights
from bookpricer.training.prompt import PromptBuilder
from bookpricer.training.publishing.export import export_model
from bookpricer.training.scoring import PriceScorer

BOOKS = [
    Book(title=f"{title} {number}", details={"Format": binding, "Pages": str(40 * number + 60)}, description=text)
    for number in range(12)
    for title, binding, text in (
        ("A History of Rome", "Hardcover", "From the first kings to the last emperor, with maps."),
        ("Gone by Midnight", "Paperback", "A short thriller."),
        ("Algebra", "Textbook Binding", "Exercises with solutions for engineers, second edition."),
    )
]


@pytest.fixture(scope="module")
def pricer():
    return load_pricer("embedded", device="cpu")


@pytest.fixture(scope="module")
def expected(pricer):
    return distributions(pricer.model, pricer.tokenizer)


@pytest.fixture(scope="module", params=["float32", "bfloat16", "float16"])
def exported(request, tmp_path_factory):
    return export_model("embedded", tmp_path_factory.mktemp("exported") / request.param, dtype=request.param)


def distributions(model, tokenizer):
    prompts = PromptBuilder(tokenizer, 160).prompts(BOOKS)
    return PriceScorer(model.eval(), tokenizer).price_distributions(prompts)


def differences(got, expected):
    """How far medians are apart, a book each, and the largest difference of a probability."""
    pairs = list(zip(got, expected, strict=True))
    apart = np.array([abs(one.median - other.median) for one, other in pairs])
    return apart, max(np.abs(one.probabilities - other.probabilities).max() for one, other in pairs)


def test_transformers_alone_gives_the_same_prices(exported, pricer, expected):
    tokenizer = AutoTokenizer.from_pretrained(exported)
    prompts = PromptBuilder(pricer.tokenizer, 160).prompts(BOOKS)
    assert tokenizer(prompts)["input_ids"] == pricer.tokenizer(prompts)["input_ids"]
    model = AutoModelForCausalLM.from_pretrained(exported)
    assert str(model.dtype) == f"torch.{exported.name}"
    computed = distributions(model, tokenizer)
    apart, most = differences(distributions(model.float(), tokenizer), expected)
    if exported.name == "float32":
        assert most < 1e-6
        return
    assert max(apart) <= 0.5 and most < 0.01, "what rounding the weights costs"
    # In half precision a logit of 10 is rounded to a multiple of 0.06 (bfloat16), whatever the weights.
    apart, most = differences(computed, expected)
    allowed = np.array([max(0.5, 0.02 * distribution.median) for distribution in expected])
    assert np.mean(apart <= allowed) >= 0.95 and max(apart) < 3 and most < 0.02


def test_the_files_are_plain(exported):
    names = {path.name for path in exported.iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))] and "adapter" not in names
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in exported.iterdir()), "a server's user can read them"
    config = json.loads((exported / "config.json").read_text())
    assert config["torch_dtype"] == config["dtype"] == exported.name
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
    assert json.loads((exported / "tokenizer_config.json").read_text())["tokenizer_class"] == "PreTrainedTokenizerFast"
    generation = json.loads((exported / "generation_config.json").read_text())
    assert not generation["do_sample"] and "temperature" not in generation


def test_the_chain_keeps_its_intervals_currency_and_notice(exported, pricer):
    chain = PricingChain.from_pretrained(exported, device="cpu")
    assert chain.parser.calibration == pricer.calibration and chain.parser.currency == "USD"
    assert "demonstration" in chain.parser.model
    estimate, original = chain.invoke(BOOKS[0]), PricingChain.from_pricer(pricer).invoke(BOOKS[0])
    assert estimate.price == pytest.approx(original.price, abs=0.5)
    assert estimate.low == pytest.approx(original.low, abs=0.5)


def test_without_our_files_it_is_a_plain_language_model(exported, tmp_path):
    plain = tmp_path / "plain"
    shutil.copytree(exported, plain, ignore=shutil.ignore_patterns("pricer.json", "calibration.json", "report"))
    chain = PricingChain.from_pretrained(plain, device="cpu")
    assert chain.parser.calibration is None and chain.invoke(BOOKS[0]).price > 0


def test_the_card_says_how_to_ask_it(exported, expected, capsys):
    card = ModelCard((exported / "README.md").read_text(encoding="utf-8"))
    assert card.data.library_name == "transformers" and card.data.license == "apache-2.0"
    for words in (
        f"vllm serve {exported.name} --max-logprobs 1000",
        '"max_tokens": 1, "temperature": 0',
        "before the export",
    ):
        assert words in card.text
    request = json.loads(re.search(r"^\{.*\}$", card.text, re.MULTILINE)[0])
    assert (
        request["prompt"].endswith("Answer: $")
        and request["prompt"] in card.text.replace("\\n", "\n") + request["prompt"]
    )
    program = re.findall(r"```python\n(import torch.*?)```", card.text, re.DOTALL)[0]
    exec(program.replace(json.dumps(exported.name), json.dumps(str(exported))), {})
    tokenizer, model = AutoTokenizer.from_pretrained(exported), AutoModelForCausalLM.from_pretrained(exported)
    [distribution] = PriceScorer(model.eval(), tokenizer).price_distributions([request["prompt"]])
    assert abs(int(capsys.readouterr().out.split()[-1]) - distribution.median) <= 1


def test_weights_are_in_pieces_where_they_are_large(tmp_path, expected):
    out = export_model("embedded", tmp_path / "m", dtype="float32", shard="5MB")
    assert len(list(out.glob("model-*.safetensors"))) > 2 and (out / "model.safetensors.index.json").is_file()
    got = distributions(AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out))
    assert differences(got, expected)[1] < 1e-6


def test_only_an_export_is_replaced_and_only_when_asked(tmp_path):
    out = export_model("embedded", tmp_path / "m")
    with pytest.raises(InputError, match="--overwrite"):
        export_model("embedded", out)
    export_model("embedded", out, dtype="float16", overwrite=True)
    assert json.loads((out / "config.json").read_text())["dtype"] == "float16"
    with pytest.raises(InputError, match="is the model itself"):
        export_model(out, out, overwrite=True)
    model = tmp_path / "model"
    shutil.copytree(find_model("embedded"), model)
    with pytest.raises(InputError, match="not an export"):
        export_model("embedded", model, overwrite=True)
    assert ModelFolder(model).adapter.is_dir()
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "config.json").write_text("{}")
    with pytest.raises(InputError, match="will not be replaced"):
        export_model("embedded", photos, overwrite=True)


def test_what_cannot_be_exported_is_one_sentence(tmp_path):
    ModelFolder(tmp_path).write_config(PricerConfig())
    for name, dtype, words in (
        ("embedded", "int8", "precision"), (tmp_path, "float32", "baselines only"), ("no/such", "float32", "no"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words) as error:
            export_model(name, tmp_path / "out", dtype=dtype)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path):
    """A limit on the size of a file, in a process of its own, stands for the disk."""
    import subprocess
    import sys

    program = f"""
import resource, signal
from pathlib import Path
from bookpricer.training.publishing.export import export_model
from bookpricer.training.errors import InputError
from bookpricer.training.evidence import EvidenceSettings
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000))
try:
    export_model("embedded", Path({str(tmp_path / "m")!r}))
except InputError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert "could not be written" in done.stdout and done.stdout.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def llama(tmp_path_factory, shared):
    """A Llama 3.2 of two narrow layers with random weights, an adapter on it, and a folder that says so."""
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("llama")
    base = folder / "Llama-3.2-1B"
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=128256, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, head_dim=32, max_position_embeddings=131072, tie_word_embeddings=True,
            bos_token_id=128000, eos_token_id=128001, rope_parameters={
                "rope_theta": 500000.0, "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
            },
        )
    )  # fmt: skip
    # As Meta's own: sampling by default.
    model.generation_config.update(do_sample=True, temperature=0.6, top_p=0.9)
    model.save_pretrained(base)
    for path in (shared / "tokenizers" / "llama3").glob("tokenizer*"):
        shutil.copyfile(path, base / path.name)
    (base / "LICENSE.txt").write_text("LLAMA 3.2 COMMUNITY LICENSE AGREEMENT")
    files = ModelFolder(folder / "my-model")
    tuned = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    for name, parameter in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    tuned.save_pretrained(files.adapter)
    files.report.mkdir()
    (files.report / "training.json").write_text(json.dumps({"settings": {"base_model": str(base)}, "steps": 5}))
    files.write_config(
        PricerConfig(
            preset="llama-3.2-1b", base_model=str(base), base_fingerprint=fingerprint_weights(base), quantized=True,
            currency="VND", unit=1000,
        )
    )  # fmt: skip
    return files.path


def test_a_llama_keeps_its_rotation_licence_and_unit(llama, tmp_path):
    said = []
    out = export_model(llama, tmp_path / "my-books", dtype="float32", say=said.append)
    config = json.loads((out / "config.json").read_text())
    assert config["rope_theta"] == 500000.0
    assert config["rope_scaling"]["rope_type"] == "llama3" and config["rope_scaling"]["factor"] == 32.0
    assert not json.loads((out / "generation_config.json").read_text()).get("temperature")
    assert (out / "NOTICE").read_text().startswith("Llama 3.2 is licensed") and (out / "LICENSE.txt").is_file()
    assert said and "begin with 'Llama'" in said[0]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "**Built with Llama**" in card and ModelCard(card).data.license == "llama3.2"
    for path in (out / "README.md", out / "pricer.json", out / "report" / "training.json"):
        assert str(llama.parent) not in path.read_text(encoding="utf-8"), "no place on this machine"
    ours = load_pricer(llama, device="cpu")
    want = distributions(ours.model, ours.tokenizer)
    got = distributions(AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out))
    assert differences(got, want)[1] < 1e-6
    again = load_pricer(out, device="cpu").config
    assert (again.currency, again.unit, again.base_model) == ("VND", 1000, "Llama-3.2-1B") and not again.quantized


def test_a_model_with_evidence_brings_what_its_prompts_need(tmp_path):
    model = ModelFolder(tmp_path / "model")
    shutil.copytree(find_model("embedded"), model.path)
    settings = EvidenceSettings(neighbours=3, baselines=("median", "neighbours"))
    for kind in (MedianBaseline, NeighboursBaseline, MeanBaseline):
        kind().fit(BOOKS, [5.0 + number for number in range(len(BOOKS))]).save(model.baselines / kind.name)
    model.write_config(model.config.model_copy(update={"evidence": settings}))
    said = []
    out = export_model(model.path, tmp_path / "out", dtype="float32", say=said.append)
    assert {path.name for path in ModelFolder(out).baselines.iterdir()} == {"median", "neighbours"}
    assert "single training books" in said[0]
    prices = [PricingChain.from_pretrained(path, device="cpu").invoke(BOOKS[5]) for path in (model.path, out)]
    assert prices[0].price == prices[1].price and prices[0].low == prices[1].low
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "**This model needs evidence in its prompt.**" in card and "Content: Evidence: similar $" in card
    program = re.findall(r"```python\n(from pathlib.*?)```", card, re.DOTALL)[0]
    shown = {}
    exec(
        program.replace(json.dumps(out.name), repr(str(out))).replace("builder.prompts", "shown = builder.prompts"),
        shown,
    )
    assert "Content: Evidence: similar $" in shown["shown"][0]


def test_a_wholly_tuned_model_is_exported_as_it_is(pricer, expected, tmp_path):
    files = ModelFolder(tmp_path / "model")
    pricer.model.save_pretrained(files.weights)
    pricer.tokenizer.save_pretrained(files.weights)
    files.write_config(pricer.config.model_copy(update={"quantized": False}))
    out = export_model(files.path, tmp_path / "out", dtype="float32")
    got = distributions(AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out))
    assert differences(got, expected)[1] < 1e-6


def test_a_tokenizer_that_writes_digits_is_asked_for_three(digits, tmp_path, capsys):
    torch.manual_seed(0)
    plain = tmp_path / "plain"
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(digits), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
            bos_token_id=None, eos_token_id=digits.eos_token_id, pad_token_id=digits.eos_token_id,
        )
    ).save_pretrained(plain)  # fmt: skip
    digits.save_pretrained(plain)
    out = export_model(plain, tmp_path / "out", dtype="float32")
    card = (out / "README.md").read_text(encoding="utf-8")
    assert '"max_tokens": 3' in card and "up to three tokens" in card and str(tmp_path) not in card
    program = re.findall(r"```python\n(import torch.*?)```", card, re.DOTALL)[0]
    exec(program.replace('"out"', repr(str(out))), {})
    assert capsys.readouterr().out.strip()


def test_the_command_exports(tmp_path, monkeypatch, capsys):
    import sys

    from bookpricer.ui import cli

    monkeypatch.setattr(
        sys, "argv", ["bookpricer", "export", "embedded", str(tmp_path / "m"), "--dtype", "float16", "--json"]
    )
    try:
        cli.main()
    except SystemExit as end:
        assert not end.code
    printed = json.loads(capsys.readouterr().out)
    assert printed["dtype"] == "float16" and printed["bytes"] > 5_000_000
    monkeypatch.setattr(sys, "argv", ["bookpricer", "export", "embedded", str(tmp_path / "m")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2 and "--overwrite" in capsys.readouterr().err

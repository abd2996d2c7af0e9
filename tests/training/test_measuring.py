import numpy as np
import pytest

from bookpricer.training.baselines import BASELINES
from bookpricer.training.baselines.fitting import fit_baselines
from bookpricer.training.book import Book
from bookpricer.training.dataset import PricedBook
from bookpricer.training.errors import InputError
from bookpricer.training.evaluation import LEVELS
from bookpricer.training.measuring import Method, ask_methods, book_distributions, load_methods, measures
from bookpricer.training.model_folder import ModelFolder, PricerConfig
from bookpricer.training.predictions import Answers

BOOKS = [
    PricedBook(
        Book(title=f"Book {k} " + "x" * 300 * (k == 3), parent_asin=f"B{k}", categories=("Books", "Cookery") * (k % 2)),
        5.0 + k,
    )
    for k in range(30)
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measuring") / "m"
    fit_baselines({"train": BOOKS}, folder, kinds={name: BASELINES[name] for name in ("mean", "median")})
    return folder


def test_every_method_of_a_folder_prices_every_book(model):
    done = []
    methods = load_methods(model)
    predictions = ask_methods(methods, BOOKS, coverage=0.6, progress=done.append)
    assert [method.name for method in methods] == list(predictions.answers) == ["mean", "median"]
    assert sum(done) == 2 * len(BOOKS)
    assert predictions.method_titles["mean"] == "Constant (mean)"
    assert predictions.answers["mean"].prices == pytest.approx(np.full(30, 19.5))
    assert predictions.ids[3] == "B3" and len(predictions.titles[3]) == 200
    assert predictions.categories[:2] == [None, "Cookery"]
    assert predictions.actual.tolist() == [priced.units for priced in BOOKS]


def test_a_further_method_is_one_entry_and_sees_what_the_others_answered(model):
    def blend(books, levels, others, progress):
        prices = np.mean([answers.prices for answers in others.values()], axis=0)
        return Answers(prices, intervals={level: np.column_stack([prices - 1, prices + 1]) for level in levels})

    predictions = ask_methods([*load_methods(model), Method("cross_check", "Cross-check", blend)], BOOKS)
    answers = predictions.answers["cross_check"]
    others = [predictions.answers[name].prices for name in ("mean", "median")]
    assert answers.prices == pytest.approx(np.mean(others, axis=0))
    assert list(answers.intervals) == sorted({*LEVELS, 0.8})
    row = measures(answers, predictions.actual, 0.8)
    assert row["interval_width"] == 2 and 0 <= row["coverage"] <= 1
    assert measures(predictions.answers["mean"], predictions.actual, 0.8)["coverage"] is None


def test_a_folder_without_methods_and_no_books_are_one_sentence(model, tmp_path):
    ModelFolder(tmp_path).write_config(PricerConfig())
    with pytest.raises(InputError, match="nothing to measure"):
        load_methods(tmp_path)
    with pytest.raises(InputError, match="no books"):
        ask_methods(load_methods(model), [])


def test_a_method_that_gives_no_price_is_one_sentence(model):
    method = Method("broken", "Broken", lambda books, *rest: Answers(np.where(np.arange(len(books)) < 2, np.nan, 5.0)))
    with pytest.raises(InputError, match="Broken gives no price for 2 of 30 books"):
        ask_methods([method], BOOKS)


def test_a_model_with_nan_among_its_weights_is_one_sentence(small):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from bookpricer.training.loading import Pricer

    config = LlamaConfig(
        vocab_size=len(small), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2,
    )  # fmt: skip
    network = LlamaForCausalLM(config).eval()
    pricer = Pricer("mine", None, None, network, small, PricerConfig(), None, "")
    whole = book_distributions(pricer, BOOKS[:3])
    assert len(whole) == 3
    with torch.no_grad():
        network.model.norm.weight.fill_(float("nan"))
    with pytest.raises(InputError, match="mine gives no usable prices"):
        book_distributions(pricer, BOOKS[:3])

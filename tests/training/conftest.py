"""Small tokenizers and models with random weights, on which rules can be checked by brute force."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no reason to fail; what must not hang has a timeout.
settings.register_profile("without deadlines", deadline=None)
settings.load_profile("without deadlines")

WORDS = ("history", "novel", "paperback", "hardcover", "pages", "garden", "rome", "midnight", "algebra", "cats")


@pytest.fixture(scope="session")
def llama3(shared: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shared / "tokenizers" / "llama3")


@pytest.fixture(scope="session")
def small():
    """A tokenizer as the embedded model's: lower case, one token for each of 0–999."""
    from bookpricer.training.embedded.tokenizer import train_tokenizer

    texts = [f"A {word} of the {other}, {number} pages" for number, word in enumerate(WORDS) for other in WORDS]
    return train_tokenizer(texts, vocabulary=2000, general=dict.fromkeys(WORDS, 0.001))


@pytest.fixture(scope="session")
def digits():
    """A tokenizer that writes numbers digit by digit."""
    return _byte_level([" ".join(WORDS)], individual_digits=True)


@pytest.fixture(scope="session")
def pairs():
    """A tokenizer that writes some pairs of digits as one token, so that prices differ in depth."""
    return _byte_level([" ".join(WORDS), *[f"{number} x" for number in range(10, 60)] * 20], individual_digits=False)


def _byte_level(texts: list[str], individual_digits: bool):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=individual_digits), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", model_max_length=2048)


@pytest.fixture(scope="session")
def tokenizer_named(request) -> Callable:
    """A tokenizer by the name of its fixture, so that only the tests of the shared one are skipped without it."""
    return request.getfixturevalue


@pytest.fixture(scope="session")
def synthetic_books() -> Callable:
    """Makes priced books of the synthetic catalogue: `synthetic_books(n, seed)`."""
    from bookpricer.training.columns import to_book
    from bookpricer.training.dataset import PricedBook
    from bookpricer.training.money import parse_price
    from bookpricer.training.synthetic import synthetic_records

    def make(n: int, seed: int = 0) -> list:
        priced = ((record, parse_price(record["price"])) for record in synthetic_records(2 * n, seed=seed))
        return [PricedBook(to_book(record), units) for record, units in priced if 0.5 <= units < 999][:n]

    return make

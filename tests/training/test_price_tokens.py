import pytest

from bookpricer.training.errors import InputError
from bookpricer.training.price_tokens import PriceTrie
from bookpricer.training.prompt import build_prompt

TOKENIZERS = ["llama3", "small", "digits", "pairs"]


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("content", ["a garden in rome", "ends in 12", "$", "9", ""])
def test_the_tokens_are_those_the_tokenizer_writes_after_a_prompt(tokenizer_named, name, content):
    tokenizer = tokenizer_named(name)
    trie = PriceTrie.from_tokenizer(tokenizer)
    prompt = build_prompt(content)
    start = tokenizer(prompt)["input_ids"]
    for price in range(1000):
        assert tokenizer(f"{prompt}{price}")["input_ids"] == [*start, *trie.sequences[price]]


@pytest.mark.parametrize(("name", "single"), [("llama3", True), ("small", True), ("digits", False), ("pairs", False)])
def test_says_whether_one_pass_is_enough(tokenizer_named, name, single):
    tokenizer = tokenizer_named(name)
    trie = PriceTrie.from_tokenizer(tokenizer)
    assert trie.single_token is single is all(len(sequence) == 1 for sequence in trie.sequences)
    assert trie.stop == tokenizer.eos_token_id


@pytest.mark.parametrize("name", TOKENIZERS)
def test_the_prefixes_are_all_proper_prefixes_parents_first(tokenizer_named, name):
    trie = PriceTrie.from_tokenizer(tokenizer_named(name))
    expected = {sequence[:depth] for sequence in trie.sequences for depth in range(1, len(sequence))}
    assert set(trie.prefixes) == expected and len(trie.prefixes) == len(expected)
    for index, prefix in enumerate(trie.prefixes):
        assert len(prefix) == 1 or prefix[:-1] in trie.prefixes[:index]


def test_the_trie_of_digits_is_three_deep(digits):
    trie = PriceTrie.from_tokenizer(digits)
    assert [len(trie.sequences[price]) for price in (0, 9, 10, 99, 100, 999)] == [1, 1, 2, 2, 3, 3]
    assert len(trie.prefixes) == 9 + 90  # nothing follows a 0


def test_the_trie_of_pairs_differs_in_depth(pairs):
    trie = PriceTrie.from_tokenizer(pairs)
    assert len(trie.sequences[37]) == 1 and len(trie.sequences[371]) == 2 and len(trie.sequences[97]) == 2


def made(vocab: dict[str, int], merges: list[tuple[str, str]] = (), **special: str):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = {character: index for index, character in enumerate(pre_tokenizers.ByteLevel.alphabet())}
    vocab = {**alphabet, **{word: len(alphabet) + index for index, word in enumerate(vocab)}}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def test_refuses_a_tokenizer_without_an_end():
    with pytest.raises(InputError, match="no end-of-sequence token"):
        PriceTrie.from_tokenizer(made({}))


def test_refuses_a_tokenizer_that_joins_price_and_prompt():
    with pytest.raises(InputError, match="joins the price"):
        PriceTrie.from_tokenizer(made({"$3": 0, "<end>": 1}, [("$", "3")], eos_token="<end>"))


def test_refuses_a_tokenizer_that_writes_two_prices_alike():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "<end>": 1, "Answer": 2, "1": 3, "2": 4}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Digits()])
    with pytest.raises(InputError, match="two prices alike"):
        PriceTrie.from_tokenizer(
            PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", unk_token="<unk>")
        )

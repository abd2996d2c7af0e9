import random

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bookpricer.training.errors import InputError
from bookpricer.training.prompt import build_prompt
from bookpricer.training.scoring import PriceScorer

TOKENIZERS = ["llama3", "small", "digits", "pairs"]
WORDS = ["a", "history", "of", "the", "garden", "in", "rome", "with", "twelve", "cats", "and", "300", "pages"]


def prompt(words: int, seed: int = 0) -> str:
    return build_prompt(" ".join(random.Random(seed).choices(WORDS, k=words)))


@pytest.fixture(scope="module")
def scorer(request, tokenizer_named):
    """A scorer of a tiny Llama with large random weights, so that its distributions are far from flat."""
    tokenizer = tokenizer_named(request.param)
    torch.manual_seed(1)
    hidden = 16 if len(tokenizer) > 100_000 else 32
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=8192,
            initializer_range=0.3,
        )
    )
    return PriceScorer(model, tokenizer)


each_tokenizer = pytest.mark.parametrize("scorer", TOKENIZERS, indirect=True)


@torch.no_grad()
def brute_force(scorer: PriceScorer, text: str) -> np.ndarray:
    """Each price scored by itself, as the rule says; the tokenizer is asked anew."""
    tokenizer, model = scorer.tokenizer, scorer.model.eval()
    start = tokenizer(text)["input_ids"]
    sequences = [tokenizer(f"{text}{price}")["input_ids"][len(start) :] for price in range(1000)]
    logs = np.zeros(1000)
    for depth in {len(sequence) for sequence in sequences}:
        prices = [price for price in range(1000) if len(sequences[price]) == depth]
        for part in (prices[first : first + 128] for first in range(0, len(prices), 128)):
            rows = torch.tensor([start + sequences[price] for price in part])
            steps = model(rows, logits_to_keep=depth + 1).logits.double().log_softmax(-1)
            for row, price in enumerate(part):
                sequence = sequences[price]
                logs[price] = sum(float(steps[row, step, token]) for step, token in enumerate(sequence))
                if any(len(other) > depth and other[:depth] == sequence for other in sequences):
                    logs[price] += float(steps[row, depth, tokenizer.eos_token_id])
            if depth == 1 and len(prices) == 1000:  # one token each: all stand at the same step of the same prompt
                logs[:] = [float(steps[0, 0, sequence[0]]) for sequence in sequences]
                break
    probabilities = np.exp(logs - logs.max())
    return probabilities / probabilities.sum()


def largest_difference(ones, others) -> float:
    return max(
        float(abs(one.probabilities - other.probabilities).max()) for one, other in zip(ones, others, strict=True)
    )


@each_tokenizer
def test_probabilities_are_those_of_brute_force(scorer):
    text = prompt(4)
    (distribution,) = scorer.price_distributions([text])
    expected = brute_force(scorer, text)
    assert abs(distribution.probabilities - expected).max() < 1e-5
    assert expected.max() > 0.002  # not flat: the comparison can fail


@each_tokenizer
def test_a_batch_gives_what_single_prompts_give_in_any_order(scorer):
    prompts = [prompt(words, seed) for seed, words in enumerate((5, 1, 20, 5, 0, 40))]
    single = [scorer.price_distributions([text])[0] for text in prompts]
    assert largest_difference(scorer.price_distributions(prompts), single) < 1e-5
    order = random.Random(3).sample(range(len(prompts)), len(prompts))
    shuffled = scorer.price_distributions([prompts[index] for index in order])
    assert largest_difference(shuffled, [single[index] for index in order]) < 1e-5
    assert largest_difference(single[:1], single[2:3]) > 1e-4  # prompts tell apart: the comparison can fail


@each_tokenizer
def test_small_batches_give_what_one_gives(scorer):
    prompts = [prompt(words, seed) for seed, words in enumerate((5, 1, 40, 5, 0, 17))]
    little = PriceScorer(scorer.model, scorer.tokenizer, batch_tokens=1)
    assert largest_difference(little.price_distributions(prompts), scorer.price_distributions(prompts)) < 1e-5


@each_tokenizer
def test_progress_adds_up_to_the_prompts(scorer):
    steps: list[int] = []
    little = PriceScorer(scorer.model, scorer.tokenizer, batch_tokens=200)
    little.price_distributions([prompt(words) for words in range(10)], progress=steps.append)
    assert sum(steps) == 10 and len(steps) > 1 and min(steps) > 0


@pytest.mark.parametrize("scorer", ["small"], indirect=True)
def test_nothing_comes_of_nothing(scorer):
    assert scorer.price_distributions([], progress=lambda done: pytest.fail("nothing was done")) == []


@pytest.mark.parametrize("scorer", ["small", "digits"], indirect=True)
def test_a_prompt_longer_than_a_batch_is_scored_alone(scorer):
    long, short = prompt(400), prompt(3)
    little = PriceScorer(scorer.model, scorer.tokenizer, batch_tokens=64)
    assert len(scorer.tokenizer(long)["input_ids"]) > 5 * 64
    roomy = PriceScorer(scorer.model, scorer.tokenizer, batch_tokens=100_000)
    together = little.price_distributions([short, long, short])
    alone = [roomy.price_distributions([text])[0] for text in (short, long, short)]
    assert largest_difference(together, alone) < 1e-5
    assert largest_difference(together[:1], together[1:2]) > 1e-4


@each_tokenizer
@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was_and_dropout_never_counts(scorer, training):
    scorer.model.train(training)
    dropout = scorer.model.config.attention_dropout
    try:
        for layer in scorer.model.get_decoder().layers:
            layer.self_attn.attention_dropout = 0.5
        one, other = (scorer.price_distributions([prompt(9)])[0] for _ in range(2))
        assert largest_difference([one], [other]) == 0
        assert scorer.model.training is training
    finally:
        scorer.model.eval()
        for layer in scorer.model.get_decoder().layers:
            layer.self_attn.attention_dropout = dropout


@pytest.mark.parametrize("scorer", ["small"], indirect=True)
def test_a_bias_of_the_head_counts(scorer):
    head, text = scorer.model.get_output_embeddings(), prompt(4)
    bias = torch.zeros(head.out_features)
    bias[scorer.trie.sequences[37][0]] = 50.0
    head.bias = torch.nn.Parameter(bias)
    try:
        assert scorer.price_distributions([text])[0].mode == 37
        assert abs(scorer.price_distributions([text])[0].probabilities - brute_force(scorer, text)).max() < 1e-5
    finally:
        head.bias = None


@pytest.mark.parametrize("scorer", ["digits"], indirect=True)
def test_half_precision_stays_close(scorer):
    text = prompt(12)
    (exact,) = scorer.price_distributions([text])
    scorer.model.to(torch.bfloat16)
    try:
        (rounded,) = scorer.price_distributions([text])
    finally:
        scorer.model.to(torch.float32)
    assert 0 < largest_difference([exact], [rounded]) < 0.05


@pytest.mark.parametrize("scorer", ["small", "digits"], indirect=True)
def test_out_of_memory_halves_the_batch_and_goes_on(scorer):
    class Cramped(torch.nn.Module):
        """An embedding on a device that has room for three rows."""

        def __init__(self, inner):
            super().__init__()
            self.inner, self.weight, self.widest = inner, inner.weight, 0

        def forward(self, tokens):
            self.widest = max(self.widest, len(tokens))
            if len(tokens) > 3:
                raise torch.OutOfMemoryError("no room")
            return self.inner(tokens)

    prompts = [prompt(words, seed) for seed, words in enumerate((5, 1, 20, 5, 0, 40, 7, 7, 9))]
    expected = scorer.price_distributions(prompts)
    decoder = scorer.model.get_decoder()
    cramped = decoder.embed_tokens = Cramped(decoder.embed_tokens)
    fresh, steps = PriceScorer(scorer.model, scorer.tokenizer), []
    try:
        assert largest_difference(fresh.price_distributions(prompts, steps.append), expected) < 1e-5
    finally:
        decoder.embed_tokens = cramped.inner
    assert sum(steps) == len(prompts) and max(steps) <= 3 and cramped.widest == len(prompts)


@pytest.mark.parametrize("scorer", ["small"], indirect=True)
def test_says_so_when_the_memory_does_not_suffice_for_one(scorer):
    def no_room(*_):
        raise torch.OutOfMemoryError("no room")

    hook = scorer.model.get_decoder().embed_tokens.register_forward_hook(no_room)
    try:
        with pytest.raises(InputError, match="does not suffice"):
            scorer.price_distributions([prompt(4)])
    finally:
        hook.remove()


@pytest.mark.parametrize("scorer", ["small"], indirect=True)
def test_prompts_that_begin_alike_to_the_end_are_scored_like_others(scorer):
    long = prompt(30)
    prompts = [long, long, long[:-1], long]
    single = [scorer.price_distributions([text])[0] for text in prompts]
    assert largest_difference(scorer.price_distributions(prompts), single) < 1e-5
    assert largest_difference(scorer.price_distributions([long, long]), single[:2]) < 1e-5


@pytest.mark.parametrize("tokenizer", ["small", "digits"])
def test_other_architectures_take_the_plain_forward_pass(tokenizer_named, tokenizer):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    words = tokenizer_named(tokenizer)
    torch.manual_seed(2)
    config = Qwen2Config(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.3,
    )  # fmt: skip
    other = PriceScorer(Qwen2ForCausalLM(config).eval(), words)
    prompts = [prompt(length, seed) for seed, length in enumerate((5, 1, 20, 5))]
    together = other.price_distributions(prompts)
    assert largest_difference(together, [other.price_distributions([text])[0] for text in prompts]) < 1e-5
    assert abs(together[0].probabilities - brute_force(other, prompts[0])).max() < 1e-5


@pytest.mark.parametrize("scorer", ["small"], indirect=True)
def test_bf16_stays_close_and_leaves_the_model_alone(scorer):
    prompts = [prompt(words, seed) for seed, words in enumerate((5, 1, 20, 5, 0, 40))]
    before = {name: value.clone() for name, value in scorer.model.state_dict().items()}
    rounded = PriceScorer(scorer.model, scorer.tokenizer, bf16=True).price_distributions(prompts)
    assert 0 < largest_difference(rounded, scorer.price_distributions(prompts)) < 0.05
    after = scorer.model.state_dict()
    assert all(torch.equal(value, after[name]) and value.dtype == after[name].dtype for name, value in before.items())

"""A real llama.cpp server on the embedded model, and one on a random model that writes prices digit by digit."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bookpricer.training.columns import to_book
from bookpricer.training.errors import InputError
from bookpricer.training.loading import describe_pricer, load_pricer
from bookpricer.training.prompt import build_prompt
from bookpricer.training.remote import RemoteScorer
from bookpricer.training.scoring import PriceScorer
from bookpricer.training.server import Server
from bookpricer.training.synthetic import synthetic_records


@pytest.fixture(scope="module")
def pricer():
    return load_pricer("embedded")


@pytest.fixture(scope="module")
def prompts(pricer):
    return pricer.prompt_builder().prompts(to_book(record) for record in synthetic_records(100, seed=5))


@contextmanager
def capped(url: str, most: int):
    """What vLLM does, before a real server: refuses more than `most` log-probabilities, and tells texts or ids."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply(httpx.get(url + "/models"))

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if body["logprobs"] > most:
                message = f"Requested sample logprobs of {body['logprobs']}, which is greater than max allowed: {most}"
                self.reply(httpx.Response(400, json={"error": {"message": message}}))
                return
            answer = httpx.post(url + "/completions", json=body, timeout=60).json()
            rows = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
            top = {f"token_id:{row['id']}": row["logprob"] for row in rows}
            self.reply(httpx.Response(200, json={"choices": [{"logprobs": {"top_logprobs": [top]}}]}))

        def reply(self, answer: httpx.Response):
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *args):
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}/v1"
    finally:
        proxy.shutdown()
        proxy.server_close()


def medians(distributions):
    return np.array([distribution.median for distribution in distributions])


def test_prices_like_the_local_model(llama_server, pricer, prompts):
    remote = RemoteScorer(Server(llama_server("embedded")), describe_pricer("embedded").tokenizer)
    steps: list[int] = []
    found = remote.price_distributions(prompts[:6], steps.append)
    expected = pricer.scorer.price_distributions(prompts[:6])
    assert medians(found) == pytest.approx(medians(expected), abs=0.5)
    assert max(distribution.untold for distribution in found) < 0.01 and sum(steps) == 6
    assert remote.price_distributions([]) == []


@pytest.mark.slow
def test_95_of_100_median_prices_are_the_local_ones(llama_server, pricer, prompts):
    found = RemoteScorer(Server(llama_server("embedded")), pricer.tokenizer).price_distributions(prompts)
    expected = pricer.scorer.price_distributions(prompts)
    same = np.floor(medians(found) + 0.5) == np.floor(medians(expected) + 0.5)
    print(f"{same.sum()} of {len(same)} medians round to the same dollar")
    assert (abs(medians(found) - medians(expected)) <= 0.5).sum() >= 95 and same.sum() >= 95


def test_a_capped_server_is_used_for_what_it_tells(llama_server, pricer, prompts):
    with capped(llama_server("embedded"), 20) as url:
        server = Server(url)
        found = RemoteScorer(server, pricer.tokenizer).price_distributions(prompts[:6])
    expected = pricer.scorer.price_distributions(prompts[:6])
    assert server.limit == 20
    assert min(distribution.untold for distribution in found) > 0.01
    for ours, theirs in zip(found, expected, strict=True):
        wrong = abs(ours.probabilities - theirs.probabilities).sum() / 2
        assert wrong <= ours.untold + 0.01  # it errs by no more than it says


def test_digit_by_digit_takes_a_few_requests_more(llama_server, digits, tmp_path):
    torch.manual_seed(4)
    config = LlamaConfig(
        vocab_size=len(digits), hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, initializer_range=0.2, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    # As a tuned model: what follows is nearly always a digit or the end.
    said = [digits.eos_token_id, *digits.convert_tokens_to_ids(list("0123456789"))]
    with torch.no_grad():
        head = model.lm_head.weight
        loud = 3 * head[said]
        head.zero_()
        head[said] = loud
    model.save_pretrained(tmp_path)
    digits.save_pretrained(tmp_path)
    local = load_pricer(tmp_path)
    prompts = [build_prompt(text) for text in ("a garden in rome", "12 cats")]
    found = RemoteScorer(Server(llama_server(str(tmp_path))), digits).price_distributions(prompts)
    expected = PriceScorer(local.model, digits).price_distributions(prompts)
    for ours, theirs in zip(found, expected, strict=True):
        assert abs(ours.probabilities - theirs.probabilities).max() < 0.02
        assert abs(ours.probabilities - theirs.probabilities).sum() < 0.1


def test_another_models_server_is_refused(llama_server, small):
    remote = RemoteScorer(Server(llama_server("embedded")), small)
    with pytest.raises(InputError, match="another tokenizer"):
        remote.price_distributions([build_prompt("a garden in rome")])

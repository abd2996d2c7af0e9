import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bookpricer.training.errors import InputError
from bookpricer.training.server import Server, ServerError

LOGS = {"choices": [{"logprobs": {"top_logprobs": [{"token_id:7": -0.5, "8": -1.5}]}}]}
LISTS = {"choices": [{"logprobs": {"content": [{"top_logprobs": [{"id": 7, "token": "37", "logprob": -0.5}]}]}}]}
MODELS = {"data": [{"id": "pricer"}]}


@contextmanager
def serving(answer) -> Iterator[tuple[str, list]]:
    """A server on which `answer(path, body)` gives a status and a body; and what it was asked."""
    asked: list = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.reply("GET", None)

        def do_POST(self):
            self.reply("POST", json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def reply(self, method, body):
            if method == "POST":
                asked.append((self.path, body, self.headers.get("Authorization")))
                status, content = answer(self.path, body)
            else:
                status, content = 200, MODELS
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()


def test_reads_log_probabilities_in_either_form():
    for body, by_id, by_text in ((LOGS, {7: 0.607}, {"8": 0.223}), (LISTS, {7: 0.607}, {})):
        with serving(lambda path, _, body=body: (200, body)) as (url, asked):
            tokens = Server(url).complete([1, 2, 3], 1100)
        assert tokens.by_id == pytest.approx(by_id, abs=1e-3) and tokens.by_text == pytest.approx(by_text, abs=1e-3)
        assert tokens.told == pytest.approx(sum([*by_id.values(), *by_text.values()]), abs=1e-3)
        path, request, _ = asked[0]
        assert path == "/v1/completions" and request["prompt"] == [1, 2, 3] and request["model"] == "pricer"
        assert request["logprobs"] == 1100 and request["max_tokens"] == 1


def test_asks_for_fewer_where_many_are_refused_and_remembers():
    def answer(path, body):
        if body["logprobs"] > 20:
            message = f"Requested sample logprobs of {body['logprobs']}, which is greater than max allowed: 20"
            return 400, {"error": {"message": message}}
        return 200, LOGS

    with serving(answer) as (url, asked):
        server = Server(url)
        server.complete([1], 1100)
        server.complete([1], 1100)
    assert [body["logprobs"] for _, body, _ in asked] == [1100, 100, 20, 20]
    assert server.limit == 20


def test_tries_again_while_the_server_is_busy():
    states = iter([503, 429, 200])
    with serving(lambda *_: (next(states), LOGS)) as (url, asked):
        assert Server(url).complete([1], 5).told > 0
    assert len(asked) == 3


def test_gives_up_in_a_sentence():
    with serving(lambda *_: (503, {})) as (url, asked), pytest.raises(ServerError, match="busy or broken"):
        Server(url, attempts=2).complete([1], 5)
    assert len(asked) == 2
    with pytest.raises(ServerError, match="is away") as error:
        Server(url, attempts=2).complete([1], 5)  # nobody listens there any more
    assert "\n" not in str(error.value)


def test_does_not_wait_for_ever():
    def answer(*_):
        time.sleep(2)
        return 200, LOGS

    with serving(answer) as (url, _), pytest.raises(ServerError, match=r"did not answer in 0\.3 seconds"):
        Server(url, timeout=0.3, attempts=1).complete([1], 5)


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, {}, "refuses the key"),
        (400, {"error": {"message": "too\nlong"}}, "too long"),
        (200, b"<html>", "JSON"),
        (200, {"choices": [{"logprobs": None}]}, "no log-probabilities"),
        (200, {"choices": []}, "no log-probabilities"),
    ],
)
def test_says_what_is_wrong_with_an_answer(status, body, says):
    with serving(lambda *_: (status, body)) as (url, asked), pytest.raises(ServerError, match=says) as error:
        Server(url).complete([1], 5)
    assert "\n" not in str(error.value) and len(asked) == 1


@pytest.mark.parametrize("url", ["localhost", "ftp://x/v1", "http://[", "http://a b"])
def test_refuses_what_is_no_address(url):
    with pytest.raises((InputError, ServerError)):
        Server(url, attempts=1).complete([1], 5)


def test_a_server_of_chats_is_told_apart():
    def answer(path, body):
        return (200, LISTS) if path.endswith("/chat/completions") else (404, {})

    with serving(answer) as (url, asked):
        server = Server(url)
        assert server.complete([1], 1100) is None
        assert server.chat("Digits only.", "How much?").by_id
    assert asked[-1][1]["top_logprobs"] == 20 and asked[-1][1]["messages"][1]["content"] == "How much?"


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    with serving(lambda *_: (200, LOGS)) as (url, asked):
        server = Server(url)
        server.complete([1], 5)
    assert asked[0][2] == "Bearer secret" and "secret" not in repr(server)

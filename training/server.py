"""An OpenAI-compatible server (vLLM, llama.cpp …), asked for the probabilities of the next token.

Knows the protocol, time-outs and retries; knows nothing about prices.
"""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from .errors import BookPricerError, InputError

# Numbers of log-probabilities to ask for, down from what a server refuses.
LADDER = (20_000, 5_000, 1_100, 100, 20, 5)
_PASSING = (408, 409, 425, 429, 500, 502, 503, 504)
_TOKEN_ID = re.compile(r"token_id:(\d+)")


class ServerError(BookPricerError):
    """A server that is away, or does not do what it should."""


@dataclass(frozen=True)
class NextTokens:
    """The likeliest next tokens: probabilities by id where the server gives ids, and by text where it gives text.

    `told` is the sum of all of them, `count` their number; a server names only so many.
    """

    by_id: Mapping[int, float]
    by_text: Mapping[str, float]
    texts: Mapping[int, str]
    told: float
    count: int


@dataclass
class Server:
    """One model of a server.

    Args:
        url: its base address, such as `http://localhost:8000/v1`.
        model: the model's name there; the first it lists where None.
        api_key: sent as a bearer token; the environment's OPENAI_API_KEY where None.
        timeout: seconds to wait for an answer.
        attempts: how often to ask, with growing pauses, while a server is away or busy.

    `limit` is the largest number of log-probabilities not refused so far.
    """

    url: str
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 60.0
    attempts: int = 4
    _client: httpx.Client = field(init=False, repr=False)
    limit: int = field(default=LADDER[0], init=False)

    def __post_init__(self) -> None:
        key = self.api_key or os.environ.get("OPENAI_API_KEY")
        try:
            self._client = httpx.Client(
                base_url=self.url.rstrip("/") + "/",
                timeout=httpx.Timeout(self.timeout, connect=min(5.0, self.timeout)),
                headers={"Authorization": f"Bearer {key}"} if key else {},
                limits=httpx.Limits(max_connections=None),
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise InputError(
                f"{self.url} is no address of a server; give one such as http://localhost:8000/v1"
            ) from error
        self._finding_model = threading.Lock()

    def complete(self, tokens: Sequence[int], top: int) -> NextTokens | None:
        """The `top` likeliest tokens after a prompt given as token ids; None from a server that knows chats only.

        Raises:
            ServerError: away, busy for too long, or refusing.
        """
        while True:
            top = min(top, self.limit)
            answer = self._post(
                "completions",
                # vLLM tells ids only when asked; others leave the wish aside.
                {"prompt": list(tokens), "logprobs": top, "return_tokens_as_token_ids": True, **self._request()},
            )
            if self._asked_too_much(answer, top):
                continue
            if answer.status_code in (404, 405):
                return None
            return _read(self._checked(answer))

    def chat(self, system: str, user: str) -> NextTokens:
        """What a chat model's answer may begin with.

        Raises:
            ServerError: as `complete`.
        """
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        while True:
            top = min(20, self.limit)  # 20 is the protocol's limit
            answer = self._post(
                "chat/completions", {"messages": messages, "logprobs": True, "top_logprobs": top, **self._request()}
            )
            if not self._asked_too_much(answer, top):
                return _read(self._checked(answer))

    def _request(self) -> dict[str, Any]:
        with self._finding_model:
            if self.model is None:
                models = self._checked(self._send("GET", "models")).get("data") or []
                if not models:
                    raise ServerError(f"the server {self.url} serves no model; start it with one")
                self.model = str(models[0]["id"])
        return {"model": self.model, "max_tokens": 1, "temperature": 0}

    def _asked_too_much(self, answer: httpx.Response, top: int) -> bool:
        """Whether the server refuses so many log-probabilities; then fewer are asked for from now on."""
        if answer.status_code not in (400, 422) or "logprobs" not in answer.text or top <= LADDER[-1]:
            return False
        self.limit = next(number for number in LADDER if number < top)
        return True

    def _post(self, path: str, body: Mapping[str, Any]) -> httpx.Response:
        return self._send("POST", path, json=body)

    def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        def ask() -> httpx.Response:
            answer = self._client.request(method, path, **content)
            if answer.status_code in _PASSING:
                answer.raise_for_status()
            return answer

        try:
            return Retrying(
                stop=stop_after_attempt(self.attempts),
                wait=wait_exponential_jitter(multiplier=0.5, max=8),
                retry=retry_if_exception(lambda error: isinstance(error, httpx.HTTPError)),
                reraise=True,
            )(ask)
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            raise ServerError(f"the server {self.url} is busy or broken (status {status}); try again later") from error
        except httpx.TimeoutException as error:
            raise ServerError(
                f"the server {self.url} did not answer in {self.timeout:g} seconds; see whether it runs"
            ) from error
        except httpx.UnsupportedProtocol as error:
            raise InputError(f"{self.url} is no address of a server; it starts with http:// or https://") from error
        except httpx.HTTPError as error:
            raise ServerError(f"the server {self.url} is away ({error}); start it, or check the address") from error

    def _checked(self, answer: httpx.Response) -> dict[str, Any]:
        """The body of a good answer."""
        if answer.status_code in (401, 403):
            raise ServerError(f"the server {self.url} refuses the key; set OPENAI_API_KEY to one that it knows")
        if answer.is_error:
            raise ServerError(f"the server {self.url} refuses (status {answer.status_code}): {_message(answer)}")
        try:
            body = answer.json()
        except ValueError as error:
            raise ServerError(f"the server {self.url} does not answer in JSON; check the address") from error
        if not isinstance(body, dict):
            raise ServerError(f"the server {self.url} does not speak the OpenAI protocol; check the address")
        return body


def _message(answer: httpx.Response) -> str:
    """What a refusing server says, on one line."""
    try:
        body = answer.json()
        error = body.get("error", body)
        text = str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError):
        text = answer.text
    return " ".join(text.split())[:200]


def _read(body: Mapping[str, Any]) -> NextTokens:
    """The log-probabilities in either form: lists of tokens (chat, llama.cpp), or a dict by text (completions)."""
    try:
        logs = body["choices"][0]["logprobs"]
        if logs.get("content"):
            entries = [(row.get("id"), row["token"], row["logprob"]) for row in logs["content"][0]["top_logprobs"]]
        else:
            entries = [(None, text, log) for text, log in logs["top_logprobs"][0].items()]
        by_id: dict[int, float] = {}
        by_text: dict[str, float] = {}
        texts: dict[int, str] = {}
        for number, text, log in entries:
            probability = math.exp(min(float(log), 0.0))
            if number is None and (match := _TOKEN_ID.fullmatch(text)):
                by_id[int(match[1])] = probability
            elif number is None:
                by_text[text] = by_text.get(text, 0.0) + probability
            else:
                by_id[int(number)] = probability
                texts[int(number)] = text
        return NextTokens(by_id, by_text, texts, min(1.0, sum(by_id.values()) + sum(by_text.values())), len(entries))
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ServerError(
            "the server gives no log-probabilities; start one that does, such as vLLM or llama.cpp's"
        ) from error

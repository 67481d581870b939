"""The one way to a language model: a budget of tokens, a cache of replies, an end where a server fails too often."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from datatrove.pipeline.inference.types import GenerateFunction, InferenceError

from pipeline.core.context import derive_seed
from pipeline.core.errors import DataError, Requeue, as_user_error
from pipeline.language_model.config import EndpointConfig, Sampling
from pipeline.language_model.response_cache import Response, ResponseCache

THINK_BLOCK = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
"""What reasoning models write before their answer; it is not kept."""
MINIMUM_REQUESTS_JUDGED = 20
"""Requests before the share of failures is held against its limit; with fewer it would say little."""
STREAM = "language_model"
"""What the seeds of all requests are derived from, beside the name of their own random stream."""


class NoUsableReply(Exception):
    """A request without a reply that can be used; the message is the reason in the removal row."""


class ChatClient:
    """The one way to the model: asks nothing twice, keeps to the token budget, counts tokens and failures."""

    def __init__(
        self, config: EndpointConfig, cache: ResponseCache, seed: int, stop_requested: Callable[[], bool]
    ) -> None:
        """Every request gets a seed of its own, derived from `seed` and the name of its random stream."""
        self._config, self._cache, self._seed, self._stop_requested = config, cache, seed, stop_requested
        self.tokens = 0
        """Tokens of all replies so far, and the most that requests under way can still cost."""
        self.asked = self.cached = self.failed = 0
        self._last_failure = ""

    def counts(self) -> dict[str, int]:
        """Requests, failures and tokens so far: the same whether replies came from the cache or from the server."""
        return {"requests": self.asked + self.cached, "failed": self.failed, "tokens": self.tokens}

    async def ask(
        self,
        generate: GenerateFunction,
        messages: Sequence[dict[str, str]],
        sampling: Sampling,
        stream: str,
        **more: Any,
    ) -> str:
        """The model's reply to the messages, without its `<think>` block.

        The most tokens that the reply may have are taken from the budget before the request is sent, so that requests
        side by side cannot spend more together; what the reply did not need goes back. A cached reply costs the same,
        so that the result does not depend on what is in the cache.

        Args:
            generate: datatrove's function, which sends a payload to the server.
            messages: the conversation so far, each with its `role` and `content`.
            sampling: how the reply is sampled, and its most tokens.
            stream: name of the random stream that the request's seed is taken from.
            more: further keys of the request, such as `response_format`.

        Raises:
            NoUsableReply: if there is no reply, it is empty or cut short, or the budget is spent.
            Requeue: after a stop signal.
            UserError: if too many requests failed, or none can succeed.
        """
        if self._stop_requested():
            raise Requeue("stopped between two requests")
        maximum_tokens = sampling.maximum_tokens
        payload = {
            "messages": list(messages),
            "max_tokens": maximum_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            # Some servers take no more than 31 bits.
            "seed": derive_seed(self._seed, STREAM, stream) % 2**31,
            **more,
        }
        request = {**payload, "model": self._config.model}
        if self.tokens + maximum_tokens > self._config.maximum_tokens:
            raise NoUsableReply("token_budget")
        self.tokens += maximum_tokens
        response = self._cache.get(request)
        if response is None:
            try:
                response = await self._send(generate, payload, maximum_tokens)
            except NoUsableReply:
                self.tokens -= maximum_tokens
                raise
            self._cache.put(request, response)
        else:
            self.cached += 1
        self.tokens += response.completion_tokens - maximum_tokens
        if response.finish_reason == "length":
            raise NoUsableReply("cut_short")
        if not (reply := THINK_BLOCK.sub("", response.text).strip()):
            raise NoUsableReply("empty_reply")
        return reply

    async def _send(self, generate: GenerateFunction, payload: dict[str, Any], maximum_tokens: int) -> Response:
        self.asked += 1
        try:
            result = await generate(payload)
        except InferenceError as error:
            # The runner wraps a user's error, which all requests would meet, as if it were this request's.
            if (cause := as_user_error(error, self._config.key)) is not None:
                raise cause from None
            self.failed += 1
            self._last_failure = str(error.error)
            self.check_failures(MINIMUM_REQUESTS_JUDGED)
            raise NoUsableReply(f"request_{error.error}") from None
        # A server that counts no tokens is taken to have given all it may.
        tokens = result.usage.get("completion_tokens", maximum_tokens)
        return Response(text=result.text, finish_reason=result.finish_reason, completion_tokens=tokens)

    def check_failures(self, minimum_requests: int = 1) -> None:
        """Gives up on a server that fails too often, once it was sent so many requests.

        Raises:
            DataError: if more than `maximum_failed_share` of the requests failed.
        """
        limit = self._config.maximum_failed_share
        if self.asked >= minimum_requests and self.failed > limit * self.asked:
            raise DataError(
                f"{self._config.key}.url={self._config.url}: {self.failed} of {self.asked} requests failed, more than "
                f"maximum_failed_share={limit} (the last: {self._last_failure}); look at the server, then run again: "
                "replies are kept"
            )

"""An OpenAI-compatible server for datatrove's inference runner, with retries and limits on time and size.

datatrove 0.10.1 has a server of this kind (`EndpointServer`). It sends requests to a local address without a time
limit or key, ends the run at the first status 500, and does not retry 429; to a remote address it retries nothing,
because the second attempt has lost the model's name. `Endpoint` takes its place and keeps datatrove's interface.
"""

import asyncio
import json
import os
import random
from types import TracebackType
from typing import Any

import httpx
from datatrove.pipeline.inference.run_inference import InferenceConfig, InferenceRunner
from datatrove.pipeline.inference.servers.base import InferenceServer
from datatrove.pipeline.inference.types import InferenceError

from pipeline.core.config import fingerprint, nearest
from pipeline.core.errors import ConfigError, DataError
from pipeline.language_model.config import EndpointConfig

MAXIMUM_RESPONSE_BYTES = 16 * 1024**2
"""A larger response of the server is no reply of a model."""
CHECK_SECONDS = 60.0
"""Longest wait for the list of models, which is asked for once; `timeout_seconds` is for replies, which are retried."""
MAXIMUM_BACKOFF_SECONDS = 60.0
"""Longest wait between two attempts where the server does not say how long."""
MAXIMUM_RETRY_AFTER_SECONDS = 600.0
"""Longest wait where the server says how long (`Retry-After`)."""
RETRYABLE_STATUSES = frozenset({408, 409, 425, 429})
"""HTTP statuses that a later attempt may not meet, beside all of 500 and above."""


class _RetryableError(Exception):
    """An attempt failed in a way that the next one may not; `retry_after` is the wait that the server asks for."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Endpoint(InferenceServer):
    """Sends the runner's requests to a server that someone else started, and retries what may pass."""

    def __init__(self, config: InferenceConfig, rank: int, settings: EndpointConfig) -> None:
        """Opens a client for the server. The key is read from the environment here, and is written to no file.

        Raises:
            ConfigError: if the environment variable of the key is not set.
        """
        super().__init__(config, rank)
        self._settings = settings
        self._client = httpx.AsyncClient(headers=_headers(settings), timeout=settings.timeout_seconds)
        self._server_checked = False
        self._server_check = asyncio.Lock()

    async def start_server(self) -> None:
        """Does nothing, as the server runs already; datatrove calls it."""

    async def monitor_health(self) -> None:
        """Waits forever: a server that is gone is noticed by the requests, which fail."""
        await asyncio.Event().wait()

    async def is_ready(self) -> bool:
        """Always true: the first request checks the server, and if the cache has all replies it need not even run."""
        return True

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await super().__aexit__(exc_type, exc_val, exc_tb)
        await self._client.aclose()

    async def _make_request(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The response to a chat request, in OpenAI's form, after as many attempts as it takes.

        Raises:
            InferenceError: if the server refuses this request, or all attempts failed.
            UserError: if no request can succeed.
        """
        async with self._server_check:
            if not self._server_checked:
                await self._check_server()
                self._server_checked = True
        # Waits have a random part, so that requests that failed together do not come back together.
        draw = random.Random(fingerprint(payload))
        for attempt in range(self._settings.retries + 1):
            try:
                async with asyncio.timeout(self._settings.timeout_seconds):
                    return _validated(await self._post(payload))
            except TimeoutError:
                failure, retry_after = "timeout", None
            except _RetryableError as error:
                failure, retry_after = str(error), error.retry_after
            except httpx.HTTPError as error:
                failure, retry_after = type(error).__name__, None
            if attempt < self._settings.retries:
                backoff = min(self._settings.backoff_seconds * 2**attempt, MAXIMUM_BACKOFF_SECONDS)
                await asyncio.sleep(retry_after if retry_after is not None else backoff * (0.5 + draw.random()))
        raise InferenceError(None, failure)

    async def _check_server(self) -> None:
        """Asks for the list of models, so that a wrong address, key or model ends the stage at the first request."""
        url = f"{self._settings.url.rstrip('/')}/models"
        try:
            response = await self._client.get(url, timeout=CHECK_SECONDS)
        except httpx.HTTPError as error:
            raise DataError(
                f"{self._settings.key}.url={self._settings.url}: no answer ({type(error).__name__}), start a server "
                "there or set the URL of one, such as http://localhost:8000/v1"
            ) from None
        _check_authorized(response.status_code, self._settings)
        try:
            names = [str(each["id"]) for each in response.json()["data"]]
        except (ValueError, KeyError, TypeError):
            return  # Not all servers list their models; requests will tell.
        if names and self._settings.model not in names:
            raise ConfigError(
                f"{self._settings.key}.model={self._settings.model}: not served there, "
                f"{nearest(self._settings.model, names)}"
            )

    async def _post(self, payload: dict[str, Any]) -> Any:
        url = f"{self._settings.url.rstrip('/')}/chat/completions"
        body = bytearray()
        async with self._client.stream("POST", url, json=payload) as response:
            status = response.status_code
            _check_authorized(status, self._settings)
            if status in RETRYABLE_STATUSES or status >= 500:
                raise _RetryableError(f"http_{status}", _retry_after(response))
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAXIMUM_RESPONSE_BYTES:
                    raise InferenceError(None, "reply_too_large")
        if status != 200:
            raise InferenceError(None, f"http_{status}")
        try:
            return json.loads(body)
        except ValueError:
            raise _RetryableError("not_json") from None


class EndpointRunner(InferenceRunner):
    """datatrove's inference runner with `Endpoint` as its server, as `server_type` can only name datatrove's own."""

    def __init__(self, settings: EndpointConfig, **arguments: Any) -> None:
        """Passes everything but the settings on to datatrove's runner."""
        super().__init__(**arguments)
        self._settings = settings

    def _init_server(self, rank: int) -> InferenceServer:
        return Endpoint(self.config, rank, self._settings)


def _headers(settings: EndpointConfig) -> dict[str, str]:
    if settings.api_key_variable is None:
        return {}
    key = os.environ.get(settings.api_key_variable)
    if not key:
        raise ConfigError(
            f"{settings.key}.api_key_variable={settings.api_key_variable}: not in the environment, export it"
        )
    return {"Authorization": f"Bearer {key}"}


def _check_authorized(status: int, settings: EndpointConfig) -> None:
    if status in (401, 403):
        raise ConfigError(
            f"{settings.key}.url={settings.url}: refuses the key ({status}), set {settings.key}.api_key_variable to "
            "the name of an environment variable with one"
        )


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait, if it does; a date, the header's other form, is ignored."""
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return min(seconds, MAXIMUM_RETRY_AFTER_SECONDS) if seconds >= 0 else None


def _validated(response: Any) -> dict[str, Any]:
    """A response that has a text, reduced to what the runner reads."""
    try:
        choice = response["choices"][0]
        text = choice["message"]["content"]
        usage = response.get("usage") or {}
        tokens = usage.get("completion_tokens")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _RetryableError("not_a_reply") from None
    if not isinstance(text, str | None) or not isinstance(tokens, int | None):
        raise _RetryableError("not_a_reply")
    return {
        "choices": [{"message": {"content": text or ""}, "finish_reason": str(choice.get("finish_reason"))}],
        "usage": {} if tokens is None else {"completion_tokens": tokens},
    }

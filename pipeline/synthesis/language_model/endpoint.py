"""An OpenAI-compatible server behind datatrove's inference runner, however badly it behaves.

datatrove 0.10.1 has a server of this kind (`EndpointServer`), which asks a local one without time limit or key, ends
the run at the first 500, and retries neither 429 nor, for a remote one, anything: the second attempt has lost the
model's name. This one is a server in datatrove's sense with limits on time and size, and retries.
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
from pipeline.synthesis.config import LanguageModelConfig

MAXIMUM_REPLY_BYTES = 16 * 1024**2
"""A larger answer of the server is no reply of a model."""
LONGEST_WAIT_SECONDS = 60.0
LONGEST_WANTED_WAIT_SECONDS = 600.0
"""The most that is waited where the server says how long (`Retry-After`)."""
RETRIED = frozenset({408, 409, 425, 429})
"""With all of 500 and above: what a later attempt may not meet."""


class _Again(Exception):
    """An attempt failed in a way that the next one may not."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Endpoint(InferenceServer):
    """Sends requests of the runner to a server that runs already."""

    def __init__(self, config: InferenceConfig, rank: int, settings: LanguageModelConfig) -> None:
        """The key is read from the environment here, and is in no file."""
        super().__init__(config, rank)
        self._settings = settings
        self._client = httpx.AsyncClient(headers=_headers(settings), timeout=settings.timeout_seconds)
        self._answers = False
        self._first = asyncio.Lock()

    async def start_server(self) -> None:
        """Nothing to start."""

    async def monitor_health(self) -> None:
        """Requests notice by themselves."""
        await asyncio.Event().wait()

    async def is_ready(self) -> bool:
        """The first request finds out, if the cache leaves one."""
        return True

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Closes the connections."""
        await super().__aexit__(exc_type, exc_val, exc_tb)
        await self._client.aclose()

    async def _make_request(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The reply to a chat request, in OpenAI's form.

        Raises:
            InferenceError: if the server refuses this request, or all attempts failed.
            UserError: if no request can succeed.
        """
        async with self._first:
            if not self._answers:
                await self._greet()
                self._answers = True
        # Requests that fail together must not come back together.
        draw = random.Random(fingerprint(payload))
        for attempt in range(self._settings.retries + 1):
            try:
                async with asyncio.timeout(self._settings.timeout_seconds):
                    return _checked(await self._post(payload))
            except TimeoutError:
                failure, wait = "timeout", None
            except _Again as again:
                failure, wait = str(again), again.wait
            except httpx.HTTPError as error:
                failure, wait = type(error).__name__, None
            if attempt < self._settings.retries:
                backoff = min(self._settings.backoff_seconds * 2**attempt, LONGEST_WAIT_SECONDS)
                await asyncio.sleep(wait if wait is not None else backoff * (0.5 + draw.random()))
        raise InferenceError(None, failure)

    async def _greet(self) -> None:
        """Asks which models there are: what is wrong with all requests is found at the first."""
        url = f"{self._settings.url.rstrip('/')}/models"
        try:
            response = await self._client.get(url, timeout=min(self._settings.timeout_seconds, 60))
        except httpx.HTTPError as error:
            raise DataError(
                f"language_model.url={self._settings.url}: no answer ({type(error).__name__}), start a server there "
                "or set the URL of one, such as http://localhost:8000/v1"
            ) from None
        _refuse_key(response.status_code, self._settings)
        try:
            names = [str(each["id"]) for each in response.json()["data"]]
        except (ValueError, KeyError, TypeError):
            return  # Not all servers list their models; requests will tell.
        if names and self._settings.model not in names:
            raise ConfigError(
                f"language_model.model={self._settings.model}: not served there, {nearest(self._settings.model, names)}"
            )

    async def _post(self, payload: dict[str, Any]) -> Any:
        url = f"{self._settings.url.rstrip('/')}/chat/completions"
        body = bytearray()
        async with self._client.stream("POST", url, json=payload) as response:
            status = response.status_code
            _refuse_key(status, self._settings)
            if status in RETRIED or status >= 500:
                raise _Again(f"http_{status}", _wanted_wait(response))
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAXIMUM_REPLY_BYTES:
                    raise InferenceError(None, "reply_too_large")
        if status != 200:
            raise InferenceError(None, f"http_{status}")
        try:
            return json.loads(body)
        except ValueError:
            raise _Again("not_json") from None


class EndpointRunner(InferenceRunner):
    """datatrove's runner with this server."""

    def __init__(self, settings: LanguageModelConfig, **arguments: Any) -> None:
        """Everything but the settings is for datatrove's runner."""
        super().__init__(**arguments)
        self._settings = settings

    def _init_server(self, rank: int) -> InferenceServer:
        return Endpoint(self.config, rank, self._settings)


def _headers(settings: LanguageModelConfig) -> dict[str, str]:
    if settings.api_key_variable is None:
        return {}
    key = os.environ.get(settings.api_key_variable)
    if not key:
        raise ConfigError(
            f"language_model.api_key_variable={settings.api_key_variable}: not in the environment, export it"
        )
    return {"Authorization": f"Bearer {key}"}


def _refuse_key(status: int, settings: LanguageModelConfig) -> None:
    if status in (401, 403):
        raise ConfigError(
            f"language_model.url={settings.url}: refuses the key ({status}), set language_model.api_key_variable to "
            "the name of an environment variable with one"
        )


def _wanted_wait(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait; a date, the header's other form, counts as nothing said."""
    try:
        wanted = float(response.headers["retry-after"])
    except (KeyError, ValueError):
        return None
    return min(wanted, LONGEST_WANTED_WAIT_SECONDS) if wanted >= 0 else None


def _checked(answer: Any) -> dict[str, Any]:
    """An answer with a text, in the form that the runner reads."""
    try:
        choice = answer["choices"][0]
        text = choice["message"]["content"]
        usage = answer.get("usage") or {}
        tokens = usage.get("completion_tokens")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise _Again("not_a_reply") from None
    if not isinstance(text, str | None) or not isinstance(tokens, int | None):
        raise _Again("not_a_reply")
    return {
        "choices": [{"message": {"content": text or ""}, "finish_reason": str(choice.get("finish_reason"))}],
        "usage": {} if tokens is None else {"completion_tokens": tokens},
    }

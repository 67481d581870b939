"""An OpenAI-compatible endpoint for a chat model: transformers' own server, told to keep special tokens apart.

Its template setting `sanitize_control_tokens` encodes special tokens that messages, tools and documents spell out as
characters, as `conversation_ids` does in this package. A request may bring settings of its own for the template, which
count more than the server's: what stands before the server here takes that one out of them.
"""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from huggingface_hub.constants import HF_HUB_CACHE
from transformers.utils.import_utils import is_serve_available

from pipeline.core.errors import ConfigError
from pipeline.core.terminal import say

SANITIZED = {"sanitize_control_tokens": True}
"""Setting of `apply_chat_template` (transformers 5.23): control tokens of contents are encoded as text."""
OWN_SETTINGS = "chat_template_kwargs"
"""Key of a request with settings for the template."""
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]
"""An application of ASGI 3 (https://asgi.readthedocs.io/en/latest/specs/main.html)."""


def serve(folder: Path, host: str, port: int) -> None:
    """Answers requests until it is ended by a signal.

    Args:
        folder: Hugging Face folder of a chat model. Requests name it in this spelling as `model`, or name none.
        host: address to listen at; `localhost` is reached from this machine alone.
        port: TCP port.

    Raises:
        ConfigError: if the packages of transformers' server are not installed.
    """
    if not is_serve_available():
        raise ConfigError("--serve: transformers' server is not installed; pip install 'transformers[serving]'")
    from transformers.cli.serve import Serve

    class Server(Serve):
        """transformers' server, which hands over what it has made before it begins to listen."""

        def start_server(self) -> None:
            config = self.server.config
            config.app = without_own_sanitizing(config.app)  # type: ignore[arg-type]
            self.server.run()

    # Its list of models is that of the hub's cache, and fails where nothing was ever downloaded.
    Path(HF_HUB_CACHE).mkdir(parents=True, exist_ok=True)
    say(f"fivephase: http://{host}:{port}/v1 answers with the model {folder}; Ctrl-C ends it")
    Server(force_model=str(folder), host=host, port=port, chat_template_kwargs=json.dumps(SANITIZED), non_blocking=True)


def without_own_sanitizing(app: App) -> App:
    """The same application, to which no request can say that its special tokens count."""

    async def wrapped(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":  # the client has left
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        changed = [{"type": "http.request", "body": checked(body)}]
        # Lengths are counted anew by whoever reads the message.
        await app(scope, lambda: _next(changed, receive), send)

    return wrapped


async def _next(waiting: list[Message], receive: Receive) -> Message:
    return waiting.pop(0) if waiting else await receive()


def checked(body: bytes) -> bytes:
    """A request's body without `sanitize_control_tokens`; one that is no JSON object with such a setting as it is."""
    try:
        request = json.loads(body)
    except ValueError:
        return body
    own = request.get(OWN_SETTINGS) if isinstance(request, dict) else None
    if not isinstance(own, dict) or not own.keys() & SANITIZED.keys():
        return body
    rest = {key: value for key, value in own.items() if key not in SANITIZED}
    return json.dumps({**request, OWN_SETTINGS: rest}).encode()

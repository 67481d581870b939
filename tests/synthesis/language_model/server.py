"""A chat server on this machine that behaves as badly as it is told."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "test-model"
BAD = ("429", "500", "503", "slow", "cut", "not_json", "not_a_reply")
"""What may pass: each of these is tried again."""
Answer = Callable[[str], str]


class ChatServer(ThreadingHTTPServer):
    """Answers each prompt with a function of its text, after as many failures as `behavior` lists."""

    daemon_threads = True

    def __init__(self, answer: Answer, behavior: Callable[[int], tuple[str, ...]] = lambda number: ()) -> None:
        """`behavior` takes the number of a distinct request and names what goes wrong before it is answered."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer, self.behavior = answer, behavior
        self.shown: Callable[[dict[str, Any]], str] = lambda request: request["messages"][0]["content"]
        """What of a request `answer` is given: the first message."""
        self.tokens = 10
        """Tokens that each reply counts."""
        self.delay_seconds = 0.0
        self.finish_reason = "stop"
        self.key: str | None = None
        self.lock = threading.Lock()
        self.attempts: Counter[str] = Counter()
        self.numbers: dict[str, int] = {}
        self.answered = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: the other side may go when it has waited enough."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def serving(server: ChatServer) -> Iterator[ChatServer]:
    """Serves until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test's output is its own."""

    def _send(self, status: int, body: bytes, declared: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if declared is None else declared))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self._refused():
            return
        self._send(200, json.dumps({"data": [{"id": MODEL}]}).encode())

    def _refused(self) -> bool:
        if self.server.key is None or self.headers["Authorization"] == f"Bearer {self.server.key}":
            return False
        self._send(401, b"{}")
        return True

    def do_POST(self) -> None:
        if self._refused():
            return
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with server.lock:
            number = server.numbers.setdefault(body, len(server.numbers))
            attempt = server.attempts[body]
            server.attempts[body] += 1
        wrong = server.behavior(number)
        time.sleep(server.delay_seconds)
        text = server.answer(server.shown(json.loads(body)))
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": server.finish_reason}
        usage = {"prompt_tokens": 1, "completion_tokens": server.tokens, "total_tokens": server.tokens + 1}
        good = json.dumps({"choices": [choice], "usage": usage}).encode()
        match wrong[attempt] if attempt < len(wrong) else "good":
            case "429":
                self._send(429, b"{}", Retry_After="0")
            case "slow":
                # Nothing, until the other side has waited enough and goes.
                self.connection.recv(1)
                self.close_connection = True
            case "cut":
                self._send(200, good[: len(good) // 2], declared=len(good))
                self.close_connection = True
            case "not_json":
                self._send(200, b"<html>502 Bad Gateway</html>")
            case "not_a_reply":
                self._send(200, json.dumps({"choices": [{"message": {"content": 5}}]}).encode())
            case "huge":
                self._send(200, b" " * (17 * 1024**2))
            case "good":
                with server.lock:
                    server.answered += 1
                self._send(200, good)
            case status:
                self._send(int(status), b"{}")

"""A file with every response that a model ever gave, so that no request is paid for twice, in this run or another."""

import json
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.core.config import fingerprint

FILE = "replies.sqlite3"


@dataclass(frozen=True)
class Response:
    """One response of a model to a chat request."""

    text: str
    finish_reason: str
    """`stop`, or `length` where it was cut short."""
    completion_tokens: int


class ResponseCache:
    """Responses by the fingerprint of their request: model, messages, sampling parameters and seed.

    The server's address is no part of it: another server with the same model is not asked again. Each response is
    committed by itself, so that a kill loses only those that were under way.
    """

    def __init__(self, folder: Path) -> None:
        """Opens the cache in a folder, and creates what is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(folder / FILE, isolation_level=None, timeout=60)
        self._connection.execute("CREATE TABLE IF NOT EXISTS replies (request TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    def __enter__(self) -> "ResponseCache":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def get(self, request: dict[str, Any]) -> Response | None:
        """The response to an equal request, or None if there was none yet."""
        row = self._connection.execute(
            "SELECT reply FROM replies WHERE request = ?", (fingerprint(request),)
        ).fetchone()
        return None if row is None else Response(**json.loads(row[0]))

    def put(self, request: dict[str, Any], response: Response) -> None:
        """Stores the response to a request on the disk, in place of an older one."""
        self._connection.execute(
            "INSERT OR REPLACE INTO replies VALUES (?, ?)", (fingerprint(request), json.dumps(asdict(response)))
        )

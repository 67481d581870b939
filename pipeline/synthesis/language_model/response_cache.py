"""What a model has once said, in a file: nothing is paid for twice, in this run or in another."""

import json
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from pipeline.core.config import fingerprint

FILE = "replies.sqlite3"


@dataclass(frozen=True)
class Reply:
    """One reply of a model."""

    text: str
    finish_reason: str
    """`stop`, or `length` where it was cut short."""
    completion_tokens: int


class ResponseCache:
    """A cache of replies by everything that was asked: model, messages, sampling, seed."""

    def __init__(self, folder: Path) -> None:
        """Opens the cache of a folder, or begins it."""
        folder.mkdir(parents=True, exist_ok=True)
        # Every reply is committed by itself: after a kill all but those under way are there.
        self._connection = sqlite3.connect(folder / FILE, isolation_level=None, timeout=60)
        self._connection.execute("CREATE TABLE IF NOT EXISTS replies (request TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    def __enter__(self) -> "ResponseCache":
        """The cache."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the file."""
        self._connection.close()

    def get(self, request: dict[str, Any]) -> Reply | None:
        """What was said to a request, if it was asked before."""
        row = self._connection.execute(
            "SELECT reply FROM replies WHERE request = ?", (fingerprint(request),)
        ).fetchone()
        return None if row is None else Reply(**json.loads(row[0]))

    def put(self, request: dict[str, Any], reply: Reply) -> None:
        """Keeps a reply."""
        self._connection.execute(
            "INSERT OR REPLACE INTO replies VALUES (?, ?)", (fingerprint(request), json.dumps(asdict(reply)))
        )

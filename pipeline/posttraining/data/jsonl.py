"""The files that `sft_data` hands on: JSON lines, not compressed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError


def as_line(row: Mapping[str, Any]) -> str:
    """A row as a line of JSON, its keys sorted, so that equal rows make equal bytes."""
    return json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n"


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes each row as a line of JSON, as `as_line` gives it, and returns their number."""
    count = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(as_line(row))
            count += 1
    return count


def append_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Adds rows to the end of a file, which is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(map(as_line, rows))


def iterate_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file that `write_jsonl` wrote, one at a time.

    Raises:
        DataError: for a line that is not JSON, with its number.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}:{number} is not JSON: {error}") from error


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All rows of a file that `write_jsonl` wrote.

    Raises:
        DataError: for a line that is not JSON, with its number.
    """
    return list(iterate_jsonl(path))

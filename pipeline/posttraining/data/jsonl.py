"""The files that `sft_data` hands on: JSON lines, not compressed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.errors import DataError


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes each row as a line of JSON, its keys sorted, so that equal rows make equal bytes."""
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All rows of a file that `write_jsonl` wrote.

    Raises:
        DataError: for a line that is not JSON, with its number.
    """
    rows = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise DataError(f"{path}:{number} is not JSON: {error}") from error
    return rows

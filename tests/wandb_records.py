"""Reads the offline records of Weights & Biases, for which wandb itself has no reader in Python."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

HEADER_BYTES, BLOCK_BYTES, RECORD_HEADER = 7, 32 * 1024, struct.Struct("<IHB")
RECORD: Any = getattr(wandb_internal_pb2, "Record")  # noqa: B009 - made at run time by protobuf
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[Any]:
    """The records of a .wandb file: LevelDB's log format behind a header of seven bytes."""
    content, at, parts = path.read_bytes(), HEADER_BYTES, b""
    while at + RECORD_HEADER.size <= len(content):
        if BLOCK_BYTES - at % BLOCK_BYTES < RECORD_HEADER.size:  # a block's rest is padding
            at += BLOCK_BYTES - at % BLOCK_BYTES
            continue
        _, length, kind = RECORD_HEADER.unpack_from(content, at)
        parts += content[at + RECORD_HEADER.size : at + RECORD_HEADER.size + length]
        at += RECORD_HEADER.size + length
        if kind in (FULL, LAST):
            record: Any = RECORD()
            record.ParseFromString(parts)
            yield record
            parts = b""


def history(path: Path) -> list[dict[str, Any]]:
    """The metrics of a .wandb file, in order."""
    return [
        {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        for record in records(path)
        if record.WhichOneof("record_type") == "history"
    ]


def sent_tokens(run: Path, stage: str) -> set[int]:
    """The numbers of tokens at which a stage's offline records have metrics; every record is whole."""
    found = list(run.glob(f"wandb/offline-run-*/run-{run.name}-{stage}.wandb"))
    # `wandb sync` takes none of them if one breaks off.
    assert all(list(records(path))[-1].WhichOneof("record_type") == "exit" for path in found)
    return {row["tokens"] for path in found for row in history(path)}

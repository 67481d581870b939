"""Conversations and preference pairs as token ids, written once by `sft_data` and opened memory-mapped by trainers.

A file is an Arrow stream in TRL's columns: with a row for each conversation, `input_ids` and `assistant_masks`; with
one for each pair that reward models train on, `chosen_ids` and `rejected_ids`, and `row`, its place in the file of
pairs. Ranks neither tokenize nor wait for each other, and share one copy of the pages in memory. `tokenized.json` says
by which tokenizer and chat template.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy
import pyarrow
import pyarrow.compute
from datasets import Dataset
from jinja2 import TemplateError

from pipeline.core.config import fingerprint
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.files import read_json, write_json
from pipeline.core.stop_signals import stop_signals_blocked
from pipeline.inference.chat_template import check_assistant_mask
from pipeline.inference.masked_conversation import ConversationEncoder

FOLDER = "tokens"
"""Folder of the files in the stage's output. Files below this name are not hashed where `verify_hashes` is false."""
FACTS = "tokenized.json"
LEFT_OUT = "left_out.jsonl"
PAIRS = "preference_train"
"""File of the pairs that are tokenized, without its suffix; the other is measured with, not trained on."""
IDS = pyarrow.list_(pyarrow.int32())
SCHEMA = pyarrow.schema({"input_ids": IDS, "assistant_masks": pyarrow.list_(pyarrow.int8())})
PAIR_SCHEMA = pyarrow.schema({"chosen_ids": IDS, "rejected_ids": IDS, "row": pyarrow.int64()})
FILES = {"train": SCHEMA, "validation": SCHEMA, PAIRS: PAIR_SCHEMA}
"""Files that are tokenized, without their suffix, and the columns that they get."""
BATCH_ROWS, BATCH_BYTES = 500, 4 << 20
"""A batch, which is one task and one stretch of the file, ends at either; the second bounds the memory of long rows."""
POOLED_BYTES = 32 << 20
"""Smaller files are tokenized before processes would have started."""


@dataclass(frozen=True)
class _Encoded:
    """What became of a batch of rows."""

    rows: int
    columns: tuple[list[Any], ...]
    """Of those that are kept, the columns of their file; `row` counts from the batch's first, which is 0."""
    left_out: list[dict[str, Any]]


def write_tokens(
    folder: Path, tokenizer: Path, workers: int | None = None, advance: Callable[[int], None] = lambda rows: None
) -> dict[str, float]:
    """Tokenizes the files of a folder that `FILES` names into its folder `tokens`, batch by batch.

    Rows that the chat template refuses, that have nothing to train on, or in which what somebody wrote cannot be told
    from a special token, are left out: `left_out.jsonl` has the file, row, id and reason of each.

    Args:
        folder: with the files; that of the pairs may be missing. The result is the same bytes for any number of
            workers.
        tokenizer: folder of the tokenizer with its chat template.
        workers: processes; None is one per processor.
        advance: is given the number of rows whenever a batch is done.

    Returns:
        Metrics: tokens of each file, and of the conversations those trained on; conversations and pairs that were left
        out.

    Raises:
        CheckpointError: for a tokenizer whose template does not train on the assistant's turns and their ends.
        DataError: if no row of a file that has any is left.
    """
    loaded = _load(tokenizer)
    check_assistant_mask(loaded, str(tokenizer))
    (folder / FOLDER).mkdir(exist_ok=True)
    metrics: dict[str, float] = {}
    left_out = dict.fromkeys(("left_out", "pairs_left_out"), 0)
    with (folder / LEFT_OUT).open("w", encoding="utf-8") as log:
        for name, schema in FILES.items():
            source, of_pairs = folder / f"{name}.jsonl", name == PAIRS
            if of_pairs and not source.exists():
                continue
            rows = kept = tokens = trained = 0
            with (
                source.open("rb") as lines,
                (folder / FOLDER / f"{name}.arrow").open("wb") as file,
                pyarrow.ipc.new_stream(file, schema) as stream,
            ):
                needed = workers or len(os.sched_getaffinity(0)) if source.stat().st_size >= POOLED_BYTES else 1
                for batch in _encoded(_batches(lines), tokenizer, needed):
                    first, second, *places = batch.columns
                    given = [first, second, *([rows + place for place in each] for each in places)]
                    columns = [pyarrow.array(values, field.type) for values, field in zip(given, schema, strict=True)]
                    stream.write_batch(pyarrow.record_batch(columns, schema=schema))
                    for each in batch.left_out:
                        row = {"file": source.name, **each, "row": rows + each["row"]}
                        log.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")
                    rows, kept = rows + batch.rows, kept + len(first)
                    left_out["pairs_left_out" if of_pairs else "left_out"] += len(batch.left_out)
                    tokens += sum(map(len, first)) + (sum(map(len, second)) if of_pairs else 0)
                    trained += 0 if of_pairs else sum(map(sum, second))
                    advance(batch.rows)
            if not kept and (rows or not of_pairs):
                raise DataError(
                    f"{source}: none of {rows} {'pairs' if of_pairs else 'conversations'} could be tokenized, "
                    f"{LEFT_OUT} beside it says why; correct them, or set stages.sft_data.inputs.tokenizer to a stage "
                    "whose chat template takes them"
                )
            metrics[f"tokens/{name}"] = float(tokens)
            if not of_pairs:
                metrics[f"trained_tokens/{name}"] = float(trained)
    write_json(folder / FOLDER / FACTS, tokenizer_identity(loaded))
    return {**metrics, **{name: float(count) for name, count in left_out.items()}}


def pair_ids(encoder: ConversationEncoder, pair: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """The ids of a pair's prompt with its chosen reply, and with its rejected one.

    Raises:
        TemplateError, ValueError: as `ConversationEncoder.encode_row`.
    """
    chosen, rejected = (encoder.encode([*pair["prompt"], *pair[side]]).ids for side in ("chosen", "rejected"))
    return chosen, rejected


def tokenizer_identity(tokenizer: Any) -> dict[str, str]:
    """SHA-256 of all that decides a conversation's ids: the tokenizer's own description, and the chat template."""
    description = json.loads(tokenizer.backend_tokenizer.to_str())
    # Left over from the last batch that was encoded; an encoding names its own.
    ids = {key: value for key, value in description.items() if key not in ("truncation", "padding")}
    template = hashlib.sha256((tokenizer.chat_template or "").encode()).hexdigest()
    return {"tokenizer": fingerprint(ids), "chat_template": template}


def open_tokens(data: Path, name: str, tokenizer: Any, model: Path) -> Dataset:
    """The conversations or pairs of one of `FILES`, memory-mapped.

    Args:
        data: folder of the stage `sft_data`.
        name: of the file.
        tokenizer: of the model that is to be trained.
        model: its folder, to name in errors.

    Raises:
        ConfigError: if it was written with another tokenizer or chat template than the model's, or not at all.
    """
    facts, path = data / FOLDER / FACTS, data / FOLDER / f"{name}.arrow"
    if missing := next((each for each in (facts, path) if not each.is_file()), None):
        raise ConfigError(
            f"{missing}: missing, the data was made by an earlier version; "
            f"`fivephase remake {data.name} run={data.parent.name}` makes it anew"
        )
    written, own = read_json(facts), tokenizer_identity(tokenizer)
    if different := [key.replace("_", " ") for key in own if written[key] != own[key]]:
        raise ConfigError(
            f"{data}: tokenized with another {' and '.join(different)} than that of {model}, "
            f"set stages.{data.name}.inputs.tokenizer to the stage that the model's tokenizer comes from"
        )
    return Dataset.from_file(str(path))


def row_lengths(tokens: Dataset, column: str = "input_ids") -> numpy.ndarray:
    """Tokens of each row of `open_tokens` in a column; reads where they begin and end, and no tokens."""
    compute: Any = pyarrow.compute
    chunks = [compute.list_value_length(each) for each in tokens.data.column(column).chunks]
    return numpy.concatenate([each.to_numpy() for each in chunks]) if chunks else numpy.zeros(0, numpy.int32)


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _encoded(batches: Iterator[list[bytes]], tokenizer: Path, workers: int) -> Iterator[_Encoded]:
    """What became of each batch, in order; of those that are read ahead there are two for each process."""
    if workers == 1:
        encode = _Encoder(tokenizer)
        yield from (encode(batch) for batch in batches)
        return
    with ExitStack() as stack:
        # By itself: it unblocks SIGTERM when it has started its process.
        with stop_signals_blocked():
            resource_tracker.ensure_running()
        with stop_signals_blocked():
            # A fork would copy this process's threads and locks in whatever state they are.
            pool = ProcessPoolExecutor(workers, get_context("spawn"), _start_worker, (tokenizer,))
            stack.callback(pool.shutdown, cancel_futures=True)
            ahead: deque[Future[_Encoded]] = deque(
                pool.submit(_encode_in_worker, batch) for batch in islice(batches, 2 * workers)
            )
        while ahead:
            done = ahead.popleft().result()
            if (batch := next(batches, None)) is not None:
                ahead.append(pool.submit(_encode_in_worker, batch))
            yield done


class _Encoder:
    """Encodes batches of rows, of conversations or of pairs, by a tokenizer."""

    def __init__(self, tokenizer: Path) -> None:
        self._encoder = ConversationEncoder(_load(tokenizer))

    def __call__(self, lines: list[bytes]) -> _Encoded:
        encoded: list[tuple[Any, ...]] = []
        left_out: list[dict[str, Any]] = []
        width = 2
        for number, line in enumerate(lines, start=1):
            row = json.loads(line)
            width = 3 if "chosen" in row else 2
            try:
                encoded.append((*pair_ids(self._encoder, row), number - 1) if width == 3 else self._conversation(row))
            except (TemplateError, TypeError, ValueError) as error:
                reason = " ".join(str(error).split())
                left_out.append({"row": number, "id": row.get("id"), "reason": reason})
        return _Encoded(len(lines), tuple([each[at] for each in encoded] for at in range(width)), left_out)

    def _conversation(self, row: Mapping[str, Any]) -> tuple[list[int], list[int]]:
        encoded = self._encoder.encode_row(row)
        if not any(encoded.trained):
            raise ValueError("the chat template marks nothing in it to train on")
        return encoded.ids, list(map(int, encoded.trained))


_worker: _Encoder | None = None
"""Of a process of the pool."""


def _start_worker(tokenizer: Path) -> None:
    global _worker
    owner = parent_process()
    assert owner is not None

    def end_with_owner() -> None:
        # One that was killed closes no queue, on which this process would wait for ever.
        wait([owner.sentinel])
        os._exit(1)

    threading.Thread(target=end_with_owner, daemon=True).start()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _worker = _Encoder(tokenizer)


def _encode_in_worker(lines: list[bytes]) -> _Encoded:
    assert _worker is not None
    return _worker(lines)


def _load(tokenizer: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tokenizer)

"""The pairs that a reward model trains on, as token ids: those of `sft_data`, and those with the model's own mistakes.

What `sft_data` tokenized is opened memory-mapped. What the start model said meanwhile is tokenized by rank 0, once, and
opened by all ranks; an attempt after an interruption finds it. Pairs that are too long are named: TRL leaves them out
in silence.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pyarrow
from datasets import Dataset, concatenate_datasets

from pipeline.core.errors import DataError
from pipeline.core.files import sync
from pipeline.inference.conversation_ids import conversation_ids
from pipeline.inference.masked_conversation import ConversationEncoder
from pipeline.posttraining.data.tokenized import PAIR_SCHEMA, PAIRS, open_tokens, pair_ids, row_lengths
from pipeline.pretraining.engine.distributed import rank, waiting_for_files

Pair = dict[str, Any]
SIDES = ("chosen", "rejected")
TOO_LONG = "too_long.jsonl"
"""File of the stage's output with the pairs that are longer than `max_length`."""
NAMED = 3
"""Of these, so many are in the log."""


def pair_tokens(
    data: Path, pairs: Sequence[Pair], replaced: Sequence[Pair], tokenizer: Any, model: Path, own: Path
) -> Dataset:
    """The pairs in their order, memory-mapped, in the columns of `tokenized.PAIR_SCHEMA`; a collective.

    Args:
        data: folder of the stage `sft_data`.
        pairs: of its file.
        replaced: the same, where some are others.
        tokenizer: of the model that is to be trained.
        model: its folder, to name in errors.
        own: file for the tokens of those that are others; one that is there is taken.

    Raises:
        ConfigError: if the pairs were tokenized for another model, or not at all.
    """
    tokens = open_tokens(data, PAIRS, tokenizer, model)
    changed = [row for row, (before, after) in enumerate(zip(pairs, replaced, strict=True)) if after is not before]
    if not changed:
        return tokens
    with waiting_for_files():
        if rank() == 0 and not own.exists():
            _write(own, [(row, replaced[row]) for row in changed], tokenizer)
    both = concatenate_datasets([tokens, Dataset.from_file(str(own))])
    rows = numpy.asarray(both.data.column("row"))
    is_own = numpy.arange(len(rows)) >= len(tokens)
    kept = numpy.flatnonzero(is_own | ~numpy.isin(rows, changed))
    return both.select(kept[numpy.argsort(rows[kept], kind="stable")].tolist())


def _write(path: Path, pairs: Sequence[tuple[int, Pair]], tokenizer: Any) -> None:
    encoder = ConversationEncoder(tokenizer)
    encoded: list[tuple[list[int], list[int], int]] = []
    for row, pair in pairs:
        try:
            encoded.append((*pair_ids(encoder, pair), row))
        except ValueError as error:
            print(f"pair {row + 1} with the model's own reply is left out: {' '.join(str(error).split())}")
    columns = [pyarrow.array([each[place] for each in encoded], field.type) for place, field in enumerate(PAIR_SCHEMA)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("wb") as file, pyarrow.ipc.new_stream(file, PAIR_SCHEMA) as stream:
        stream.write_batch(pyarrow.record_batch(columns, schema=PAIR_SCHEMA))
    sync(partial)
    partial.replace(path)


def too_long(name: str, rows: numpy.ndarray, lengths: dict[str, numpy.ndarray], limit: int) -> list[dict[str, Any]]:
    """A record of each pair of which a side has more tokens than the limit: file, row from 1, tokens, limit.

    Args:
        name: of the file, without its suffix.
        rows: the place of each pair in it, from 0.
        lengths: tokens of each pair's prompt and reply, for both `SIDES`.
        limit: tokens that each may have.
    """
    long = numpy.flatnonzero(numpy.maximum(*(lengths[side] for side in SIDES)) > limit)
    return [
        {
            "file": f"{name}.jsonl",
            "row": int(rows[place]) + 1,
            **{f"{side}_tokens": int(lengths[side][place]) for side in SIDES},
            "max_length": limit,
        }
        for place in long
    ]


def short_enough(tokens: Dataset, limit: int) -> tuple[Dataset, list[dict[str, Any]]]:
    """The pairs of `pair_tokens` of at most so many tokens, and a record of each other.

    Raises:
        DataError: if none is left.
    """
    lengths = {side: _lengths(tokens, f"{side}_ids") for side in SIDES}
    rows = numpy.asarray(tokens["row"][:], dtype=numpy.int64)
    left_out = too_long(PAIRS, rows, lengths, limit)
    kept = numpy.flatnonzero(numpy.maximum(*lengths.values()) <= limit)
    if not len(kept) and len(tokens):
        raise DataError(_none_left(len(tokens), limit, int(numpy.maximum(*lengths.values()).min())))
    return tokens.select(kept.tolist()).select_columns([f"{side}_ids" for side in SIDES]), left_out


def held_out_short_enough(
    name: str, pairs: Sequence[Pair], tokenizer: Any, limit: int
) -> tuple[list[Pair], list[dict[str, Any]]]:
    """Pairs to measure with of at most so many tokens, as `short_enough`: cut off, both sides would often be equal.

    Raises:
        DataError: if none is left.
    """
    lengths = {
        side: numpy.array([len(conversation_ids(tokenizer, [*pair["prompt"], *pair[side]])) for pair in pairs])
        for side in SIDES
    }
    left_out = too_long(name, numpy.arange(len(pairs)), lengths, limit)
    if len(left_out) == len(pairs):
        raise DataError(_none_left(len(pairs), limit, int(numpy.maximum(*lengths.values()).min())))
    long = {each["row"] - 1 for each in left_out}
    return [pair for row, pair in enumerate(pairs) if row not in long], left_out


def say_too_long(left_out: Sequence[dict[str, Any]], limit: int) -> str:
    """The line of the log that names the first of them."""
    named = ", ".join(
        f"{each['file']} row {each['row']} ({each['chosen_tokens']:,} and {each['rejected_tokens']:,} tokens)"
        for each in left_out[:NAMED]
    )
    return f"{len(left_out):,} pairs longer than max_length={limit:,} tokens are left out, {TOO_LONG} has all: {named}"


def _lengths(tokens: Dataset, column: str) -> numpy.ndarray:
    lengths = row_lengths(tokens, column)
    # `select` leaves the table as it is, and says which of its rows are meant.
    return lengths if tokens._indices is None else lengths[numpy.asarray(tokens._indices.column(0))]


def _none_left(pairs: int, limit: int, shortest: int) -> str:
    return (
        f"of {pairs:,} preference pairs none has at most max_length={limit:,} tokens, the shortest has {shortest:,}; "
        "set max_length higher or add shorter pairs"
    )

"""The sequences that SFT trains on: tokenized conversations, alone or several packed into one.

A sequence is a list of row numbers. Only these are computed, from the lengths of the rows and a seed, so that every
rank and every attempt has the same; tokens are read from the memory-mapped file when a sequence is trained on.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from datasets import Dataset
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from pipeline.core.errors import CheckpointError, DataError
from pipeline.inference.loading import LoadedModel
from pipeline.posttraining.data.tokenized import row_lengths
from pipeline.posttraining.sft.text_replay import ReplayedText
from pipeline.pretraining.data.stream import IGNORE_INDEX

WINDOW = 1000
"""Conversations that are packed among each other. In all of a data set the best fit would put only like lengths
together, and with them like conversations; TRL's packing takes as many."""


OF_TEXT = -1
"""End of a row that is no conversations but text."""


@dataclass(frozen=True)
class Sequences:
    """What is trained on, in the order of the file, or packed."""

    dataset: Any
    """A `datasets.Dataset` with a row for each sequence, as TRL's collator takes it: `input_ids`, `labels`,
    `seq_lengths`."""
    lengths: numpy.ndarray
    """Tokens of each sequence."""
    truncated: int
    """Conversations that were cut."""
    left_out: int
    """Conversations without a trained token before the cut."""


def sequences(
    tokens: Dataset, max_length: int, packing: bool = False, seed: int = 0, text: ReplayedText | None = None
) -> Sequences:
    """The sequences of a file of conversations.

    Args:
        tokens: of `open_tokens`.
        max_length: tokens of a sequence. Longer conversations are cut, and left out if nothing is trained on then.
        packing: fill sequences with conversations, each whole; otherwise each is a sequence.
        seed: of the order in which they are packed.
        text: sequences of pretraining's text to follow those of the conversations.

    Raises:
        DataError: if no conversation is left.
    """
    full = row_lengths(tokens)
    lengths = numpy.minimum(full, max_length)
    long = numpy.flatnonzero(full > max_length)
    lost = [row for row in long.tolist() if not any(tokens[row]["assistant_masks"][:max_length])]
    rows = numpy.delete(numpy.arange(len(full)), lost)
    if not len(rows):
        raise DataError(
            f"of {len(full)} conversations none has a turn of the assistant within max_length={max_length} tokens, "
            "set max_length higher or add shorter conversations"
        )
    if packing:
        shuffled = numpy.random.default_rng(seed).permutation(rows)
        packs: list[list[int]] = []
        for start in range(0, len(shuffled), WINDOW):
            window = shuffled[start : start + WINDOW]
            packs += [window[pack].tolist() for pack in best_fit(lengths[window].tolist(), max_length)]
        rows = numpy.array([row for pack in packs for row in pack], dtype=numpy.int64)
        ends = numpy.cumsum([len(pack) for pack in packs], dtype=numpy.int64)
    else:
        ends = numpy.arange(1, len(rows) + 1)
    begins = numpy.concatenate([[0], ends[:-1]])
    packed = numpy.add.reduceat(lengths[rows], begins)
    if text is not None:
        count = text.count(len(begins))
        # Rows of text have their own number, and no conversation.
        begins = numpy.concatenate([begins, numpy.arange(count)])
        ends = numpy.concatenate([ends, numpy.full(count, OF_TEXT)])
        packed = numpy.concatenate([packed, text.lengths(count)])

    def read(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
        """The sequences of a batch of rows of the table below."""
        made: dict[str, list[Any]] = {"input_ids": [], "labels": [], "seq_lengths": []}
        for begin, end in zip(batch["begin"], batch["end"], strict=True):
            if text is not None and end == OF_TEXT:
                for column, value in text.read(begin).items():
                    made[column].append(value)
                continue
            found = tokens[rows[begin:end].tolist()]
            parts = [ids[:max_length] for ids in found["input_ids"]]
            masks = [mask[:max_length] for mask in found["assistant_masks"]]
            made["input_ids"].append([token for ids in parts for token in ids])
            made["labels"].append(
                [
                    token if trained else IGNORE_INDEX
                    for ids, mask in zip(parts, masks, strict=True)
                    for token, trained in zip(ids, mask, strict=True)
                ]
            )
            made["seq_lengths"].append([len(ids) for ids in parts])
        return made

    table = Dataset.from_dict({"begin": begins, "end": ends}).with_transform(read)
    return Sequences(table, packed, len(long) - len(lost), len(lost))


def best_fit(lengths: list[int], capacity: int) -> list[list[int]]:
    """Best-fit decreasing: longest first, each into the fullest sequence that has room for it, else into a new one.

    Args:
        lengths: none longer than `capacity`.
        capacity: tokens of a sequence.

    Returns:
        The places in `lengths` that each sequence is made of.
    """
    packs: list[list[int]] = []
    room: list[tuple[int, int]] = []
    """Tokens left and number of each sequence, ascending."""
    for place in sorted(range(len(lengths)), key=lambda each: (-lengths[each], each)):
        found = bisect_left(room, (lengths[place], 0))
        if found < len(room):
            left, pack = room.pop(found)
        else:
            left, pack = capacity, len(packs)
            packs.append([])
        packs[pack].append(place)
        insort(room, (left - lengths[place], pack))
    return packs


@torch.inference_mode()
def check_kept_apart(loaded: LoadedModel, where: str) -> None:
    """Makes sure that a model lets no conversation of a packed sequence see another one.

    transformers makes an attention mask of the positions, which begin anew with each conversation. What a model carries
    along in another way than by attention goes past it.

    Args:
        loaded: the model.
        where: its folder, to name in the error.

    Raises:
        CheckpointError: if what one conversation says changes the logits of the next.
    """
    model: Any = loaded.model
    collate = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    length = 8
    logits = []
    for first in (0, length):
        packed = [{"input_ids": list(range(first, first + length))}, {"input_ids": list(range(length))}]
        batch = {key: each for key, each in collate(packed).items() if key != "labels"}
        on_device = {key: each.to(model.device) if torch.is_tensor(each) else each for key, each in batch.items()}
        logits.append(model(**on_device, use_cache=False).logits[0, length:].float())
    difference, scale = (logits[0] - logits[1]).abs().max(), logits[0].abs().max()
    if difference > 1e-3 * scale:
        raise CheckpointError(
            f"{where}: {model.config.model_type} does not keep packed conversations apart, set packing=false"
        )

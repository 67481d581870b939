"""The rows of each optimizer step, for SFT and the reward model: a function of a seed, however a step is divided.

transformers and accelerate leave the last step of a pass smaller, or fill it up as ranks and micro-batches ask for it,
group lengths by what one rank takes, and begin a pass anew in its first order when several ranks go on inside a later
one. Here the order of all steps is laid out beforehand, and is the only pass that they see.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from transformers.trainer_pt_utils import get_length_grouped_indices

IN_ORDER: dict[str, Any] = {"train_sampling_strategy": "sequential"}
"""Keyword arguments of TrainingArguments for a trainer that is given to `train_in_order`."""


def row_order(rows: int, per_step: int, epochs: float, seed: int, lengths: Sequence[int] | None = None) -> list[int]:
    """The number of each row that is trained on, step after step; every step has `per_step` of them.

    Each pass has an order of its own. Its last step takes rows of the step before along, where rows are left over.

    Args:
        rows: in the data set, at least one.
        per_step: rows of an optimizer step, over all ranks.
        epochs: passes over the rows; the steps of a part of one are rounded up.
        seed: of the order.
        lengths: tokens of each row, where those of like length are to share a step, which wastes little on padding.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = math.ceil(epochs * math.ceil(rows / per_step))
    order: list[int] = []
    while len(order) < steps * per_step:
        if lengths is None:
            one_pass = torch.randperm(rows, generator=generator).tolist()
        else:
            one_pass = get_length_grouped_indices(lengths, per_step, generator=generator)
        while len(one_pass) < per_step:
            one_pass += one_pass
        whole = len(one_pass) // per_step * per_step
        order += one_pass[:whole]
        if rows > whole:
            order += one_pass[-per_step:]
    return order[: steps * per_step]


def train_in_order(trainer: Any, order: Sequence[int], per_step: int) -> None:
    """Lets a trainer take its data set's rows in this order, and end with the last of them.

    Args:
        trainer: one of TRL's that has not trained yet, made with `IN_ORDER`.
        order: of `row_order`.
        per_step: as there.
    """
    trainer.train_dataset = trainer.train_dataset.select(order)
    trainer.args.max_steps = len(order) // per_step

"""GRPO's forward and backward pass with each prompt computed once, however many completions it has.

TRL gives the model one row for each completion, its prompt before it, all padded to the longest. Here a row is a prompt
followed by all of its completions, which see the prompt and themselves and not one another, and short groups share a
row. Losses and gradients are those of TRL's rows but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from trl.trainer.grpo_trainer import GRPOTrainer

LONGEST_ROW = 2048
"""Tokens of a group from which TRL's rows are taken: attention under a mask takes memory of their square."""
IGNORED = -100
"""Label of a token whose probability nobody asks for."""


@dataclass
class Group:
    """A prompt with its completions as one sequence: all tokens of the prompt but the last, and each completion behind
    the last one of its own, which predicts its first token."""

    tokens: list[int]
    """Of the prompt at first."""
    positions: list[int]
    branches: list[int]
    """0 for the prompt, n for the n-th completion."""
    sources: list[tuple[int, int]] = field(default_factory=list)
    """For each token of a completion, its row and column in the batch of TRL's."""
    places: list[int] = field(default_factory=list)
    """And its place in `tokens`."""


def group_completions(prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]]) -> list[Group]:
    """The groups of a batch, in the order in which their prompts come; equal prompts are one group.

    Args:
        prompts: token ids of each row's prompt, at least one.
        completions: token ids of its completion; may be empty.
    """
    groups: dict[tuple[int, ...], Group] = {}
    for row, (ids, completion) in enumerate(zip(prompts, completions, strict=True)):
        prompt = tuple(ids)
        before = len(prompt) - 1
        group = groups.setdefault(prompt, Group([*prompt[:-1]], [*range(before)], [0] * before))
        branch = max(group.branches, default=0) + 1
        first = len(group.tokens) + 1
        group.tokens += [prompt[-1], *completion]
        group.positions += range(before, before + 1 + len(completion))
        group.branches += [branch] * (1 + len(completion))
        group.sources += [(row, column) for column in range(len(completion))]
        group.places += range(first, first + len(completion))
    return list(groups.values())


def fill_rows(groups: Sequence[Group]) -> list[list[Group]]:
    """Groups of which each row has as many as fit into the length of the longest: the first row with room, longest
    first."""
    length = max(len(group.tokens) for group in groups)
    rows: list[list[Group]] = []
    for group in sorted(groups, key=lambda each: len(each.tokens), reverse=True):
        taken = len(group.tokens)
        row = next((row for row in rows if sum(len(each.tokens) for each in row) + taken <= length), None)
        if row is None:
            rows.append(row := [])
        row.append(group)
    return rows


class SharedPromptTrainer(GRPOTrainer):
    """TRL's trainer, which computes each prompt of a batch once where it can: with the attention of sdpa over all that
    came before, in rows of at most LONGEST_ROW tokens, without images and without a loss that counts experts' tokens.
    """

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **images: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Log probabilities of the completions' tokens and, if asked for, their entropies: [batch, logits_to_keep]."""
        size = batch_size or len(input_ids)
        split = input_ids.shape[1] - logits_to_keep
        batches = list(zip(input_ids.split(size), attention_mask.bool().split(size), strict=True))
        grouped = [
            group_completions(_kept(ids[:, :split], mask[:, :split]), _kept(ids[:, split:], mask[:, split:]))
            for ids, mask in batches
        ]
        trained: Any = self.model
        config = trained.config
        if (
            config._attn_implementation != "sdpa"
            or getattr(config, "sliding_window", None)
            or max(len(group.tokens) for groups in grouped for group in groups) > LONGEST_ROW
            or compute_aux_loss
            or any(value is not None for value in images.values())
        ):
            return super()._get_per_token_logps_and_entropies(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                **images,
            )
        log_probabilities, entropies = [], []
        for groups, (ids, _) in zip(grouped, batches, strict=True):
            rows, shape = fill_rows(groups), (len(ids), logits_to_keep)
            with self.accelerator.autocast():
                outputs = model(**model_inputs(rows, ids.device), fused_lm_head=True)
            log_probabilities.append(spread(outputs.log_probs, rows, shape))
            if compute_entropy:
                entropies.append(spread(outputs.entropy, rows, shape))
        return torch.cat(log_probabilities), torch.cat(entropies) if compute_entropy else None, None


def _kept(ids: torch.Tensor, mask: torch.Tensor) -> list[list[int]]:
    """The ids of each row without padding."""
    return [row[kept].tolist() for row, kept in zip(ids, mask, strict=True)]


def model_inputs(rows: Sequence[Sequence[Group]], device: torch.device) -> dict[str, torch.Tensor]:
    """What a causal model of transformers takes: ids, positions and labels [rows, length], and who sees whom.

    The mask is [rows, 1, length, length], true where a token sees another: one of the same group before it, of the
    prompt or of its own completion. Padding is a group of its own, as a token that sees nothing has no attention.
    """
    length = max(sum(len(group.tokens) for group in row) for row in rows)
    ids, positions, groups, branches = torch.zeros(4, len(rows), length, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    for number, row in enumerate(rows):
        start = 0
        for place, group in enumerate(row, start=1):
            end = start + len(group.tokens)
            ids[number, start:end] = torch.tensor(group.tokens)
            positions[number, start:end] = torch.tensor(group.positions)
            branches[number, start:end] = torch.tensor(group.branches)
            groups[number, start:end] = place
            scored = torch.tensor(group.places, dtype=torch.long) + start
            labels[number, scored] = ids[number, scored]
            start = end
    same_group = groups[:, :, None] == groups[:, None, :]
    same_branch = (branches[:, None, :] == 0) | (branches[:, :, None] == branches[:, None, :])
    before = torch.ones(length, length, dtype=torch.bool).tril()
    mask = (same_group & same_branch & before)[:, None]
    inputs = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "labels": labels}
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def spread(values: torch.Tensor, rows: Sequence[Sequence[Group]], shape: tuple[int, int]) -> torch.Tensor:
    """Values of the rows' tokens [rows, length - 1], of each token but the first, in their places in TRL's batch; 0
    where this has padding."""
    sources: list[tuple[int, int]] = []
    places: list[tuple[int, int]] = []
    for number, row in enumerate(rows):
        start = 0
        for group in row:
            sources += group.sources
            places += [(number, start + place - 1) for place in group.places]
            start += len(group.tokens)
    taken = values[_index(places)]
    return values.new_zeros(shape).index_put(_index(sources), taken)


def _index(pairs: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, ...]:
    """Rows and columns, also of no pair at all."""
    return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)

"""The trainer of a stage with a curriculum: prompts are drawn when a step begins, since the step before moves them.

TRL's data set has a row for each prompt of the stage, and its loader is a batch ahead of training. A row of a domain
with a curriculum therefore stands for a prompt that is drawn once its step generates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pipeline.posttraining.rl.curriculum import Curriculum
from pipeline.posttraining.rl.prompts import dataset_rows
from pipeline.posttraining.rl.shared_prompts import SharedPromptTrainer
from pipeline.pretraining.engine.distributed import gather_objects

PLACE, DRAWN_FROM = "place", "drawn_from"
"""Columns of the data set: the number of the prompt, and the domain it is drawn from, empty for one that is there."""


def mark_rows(rows: Sequence[dict[str, Any]], order: Sequence[str], domains: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of `dataset_rows` with the columns that say which of them are drawn later.

    Args:
        rows: in the order of training.
        order: the domain or file that each is of.
        domains: with a curriculum.
    """
    return [
        {**row, PLACE: place, DRAWN_FROM: name if name in domains else ""}
        for place, (row, name) in enumerate(zip(rows, order, strict=True))
    ]


class CurriculumTrainer(SharedPromptTrainer):
    """Draws the prompts of a step from a curriculum and tells it their rewards; all of its methods are collectives.

    Ranks share a step's rows, also those of one prompt. Each draws all prompts of the step, in the order of their
    places, and sees all rewards: the curricula of all ranks stay equal, however rows are divided.
    """

    curriculum: Curriculum
    """To be set before training."""
    _drawn_from: Sequence[str] = ()
    """The column of the step's rows, those of all ranks in the order in which rewards are gathered."""

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's, for rows that are this rank's part of a step."""
        rows = [row for part in gather_objects([(row[PLACE], row[DRAWN_FROM]) for row in inputs]) for row in part]
        self._drawn_from = [domain for _, domain in rows]
        drawn = {
            place: {**dataset_rows([self.curriculum.draw(domain)], before=True)[0], PLACE: place, DRAWN_FROM: domain}
            for place, domain in sorted(set(rows))
            if domain
        }
        return super()._generate_and_score_completions([drawn.get(row[PLACE], row) for row in inputs])

    def _calculate_rewards(self, *args: Any) -> torch.Tensor:
        """Rewards of all ranks' completions by each reward function: [completions, functions], NaN for none."""
        rewards: torch.Tensor = super()._calculate_rewards(*args)
        values = rewards.nansum(dim=1).tolist()
        for domain in dict.fromkeys(filter(None, self._drawn_from)):
            self._note(f"curriculum/{domain}/difficulty", self.curriculum.difficulty(domain))
            own = [value for value, name in zip(values, self._drawn_from, strict=True) if name == domain]
            self._note(f"curriculum/{domain}/pass_rate", self.curriculum.observe(domain, own))
        return rewards

    def _note(self, name: str, value: float) -> None:
        """Adds a value of this step to the next row of metrics, as TRL does with its own."""
        self._metrics["train"][name].append(value)

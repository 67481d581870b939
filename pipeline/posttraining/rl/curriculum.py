"""Prompts whose difficulty follows what the policy can do: a state per domain, kept in the trainer's checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from pipeline.core.files import read_json, write_json
from pipeline.environments import Problem
from pipeline.environments.mixed_difficulty import MixedProblems
from pipeline.posttraining.common.checkpoints import PREFIX
from pipeline.posttraining.rl.config import CurriculumConfig

FILE = "curriculum.json"
"""State in a checkpoint of the trainer."""
ROUNDING = 1e-6
"""Of a reward in float32."""


@dataclass
class DomainState:
    """What a domain's difficulty is, and what it is made of."""

    difficulty: float
    passed: int = 0
    """Replies that passed since the difficulty last moved."""
    replies: int = 0
    """Replies since then."""
    drawn: list[list[float]] = field(default_factory=list)
    """All draws, as pairs of a difficulty and how many were drawn with it in a row."""

    def count_draw(self) -> None:
        """Adds a draw with the difficulty as it is."""
        if self.drawn and self.drawn[-1][0] == self.difficulty:
            self.drawn[-1][1] += 1
        else:
            self.drawn.append([self.difficulty, 1])

    def move(self, config: CurriculumConfig) -> None:
        """Moves the difficulty by what was counted, and counts anew."""
        moved = self.difficulty + config.gain * (self.passed / self.replies - config.target)
        self.difficulty = min(max(moved, config.minimum), config.maximum)
        self.passed = self.replies = 0


class Curriculum:
    """The difficulties of a stage's domains and the prompts drawn with them.

    Every rank has one. They stay equal where all draw the same prompts in the same order and observe the same rewards.
    """

    def __init__(self, config: CurriculumConfig, streams: Mapping[str, MixedProblems], samples_per_prompt: int) -> None:
        """Begins with the first difficulty.

        Args:
            config: the rule.
            streams: by domain, where its problems come from; nothing was drawn from them yet.
            samples_per_prompt: replies to each prompt.
        """
        self._config = config
        self._streams = streams
        self._window = config.window * samples_per_prompt
        start = config.minimum if config.start is None else config.start
        self._states = {domain: DomainState(start) for domain in streams}

    def difficulty(self, domain: str) -> float:
        """The difficulty that the domain's next prompt is drawn with."""
        return self._states[domain].difficulty

    def draw(self, domain: str) -> Problem:
        """The domain's next problem, of a difficulty that its share of passed replies has led to.

        Raises:
            DataError: if none of that difficulty can be used.
        """
        state = self._states[domain]
        state.count_draw()
        return self._streams[domain].draw(state.difficulty)

    def observe(self, domain: str, rewards: Sequence[float]) -> float:
        """Counts replies to the domain's prompts, moves its difficulty if they are enough, and returns the share that
        passed.

        Args:
            domain: whose prompts.
            rewards: of all ranks' replies in one step, at least one.
        """
        passed = sum(reward >= self._config.passes_from - ROUNDING for reward in rewards)
        state = self._states[domain]
        state.passed += passed
        state.replies += len(rewards)
        if state.replies >= self._window:
            state.move(self._config)
        return passed / len(rewards)

    def metrics(self) -> dict[str, float]:
        """`curriculum/<domain>/difficulty` of all domains, as they are now."""
        return {f"curriculum/{domain}/difficulty": state.difficulty for domain, state in self._states.items()}

    def state(self) -> dict[str, Any]:
        """What `restore` takes, as JSON holds it."""
        return {domain: vars(state) for domain, state in self._states.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave: all that was drawn then is drawn again, from streams that are new."""
        for domain, values in saved.items():
            self._states[domain] = state = DomainState(**values)
            for difficulty, count in state.drawn:
                for _ in range(int(count)):
                    self._streams[domain].draw(difficulty)


class CurriculumFile(TrainerCallback):
    """Keeps a curriculum's state in the trainer's checkpoints; to stand before the callback that completes them."""

    def __init__(self, curriculum: Curriculum, state: Path) -> None:
        self._curriculum = curriculum
        self._folder = state

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """On every rank: goes on from the checkpoint that training goes on from, if from any."""
        if state.global_step:
            self._curriculum.restore(read_json(self._file(state)))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Rank 0 writes the state, which is the same on all."""
        if state.is_world_process_zero:
            write_json(self._file(state), self._curriculum.state())

    def _file(self, state: TrainerState) -> Path:
        return self._folder / f"{PREFIX}{state.global_step}" / FILE

"""Problems of a difficulty between those of `ProblemConfig`: a mix of the two nearest, drawn one after the other."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from pipeline.core.errors import DataError
from pipeline.environments.problem import Problem, ProblemConfig
from pipeline.environments.registry import DRAWS_WITHOUT_SPLIT, REPEATS_BEFORE_NEW_ROUND, problem_stream

EASIEST, HARDEST = 1, 3
"""Ends of `ProblemConfig.difficulty`."""


class MixedProblems:
    """Endless problems for training of one environment, whose difficulty may be another at every draw.

    Difficulty 1.3 is a problem of difficulty 2 with probability 0.3, else one of 1. What is drawn follows from the
    arguments and from the difficulties asked for before, so that asking for the same again gives the same problems. A
    prompt comes back only once its difficulty has nearly no others.
    """

    def __init__(
        self,
        environment: str,
        seed: int,
        problem_config: ProblemConfig,
        usable: Callable[[Problem], bool] = lambda problem: True,
    ) -> None:
        """Prepares the streams of all difficulties; nothing is drawn.

        Args:
            environment: its name.
            seed: of the problems.
            problem_config: the assistant's name; its difficulty is not used.
            usable: says which problems are taken, the same each time it is asked.

        Raises:
            ConfigError: for an environment that does not exist.
        """
        self._environment = environment
        self._usable = usable
        self._draw = random.Random(f"{environment}/{seed}/mixed difficulty")
        self._streams: dict[int, Iterator[Problem]] = {
            level: problem_stream(environment, seed, "train", replace(problem_config, difficulty=level))
            for level in range(EASIEST, HARDEST + 1)
        }
        self._posed_at: dict[str, int] = {}

    def draw(self, difficulty: float) -> Problem:
        """The next problem, of a difficulty from EASIEST to HARDEST.

        Raises:
            DataError: if none of those of a difficulty can be used.
        """
        easier = int(difficulty)
        level = easier + (self._draw.random() < difficulty - easier)
        elsewhere = 0
        for _ in range(DRAWS_WITHOUT_SPLIT):
            problem = next(self._streams[level])
            if not self._usable(problem):
                continue
            # Another difficulty has posed it. An environment may pose the same at all of them.
            if self._posed_at.get(problem.prompt, level) != level and elsewhere < REPEATS_BEFORE_NEW_ROUND:
                elsewhere += 1
                continue
            self._posed_at[problem.prompt] = level
            return problem
        raise DataError(
            f"{self._environment}: {DRAWS_WITHOUT_SPLIT:,} prompts of difficulty {level} drawn and none that can be "
            f"used, set max_prompt_length higher or curriculum.maximum lower"
        )

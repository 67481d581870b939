"""Tasks of the package reasoning-gym as environments, named `reasoning_gym:leg_counting` wherever a name may stand.

Reasoning Gym (Stojanovski et al., arXiv 2505.24760) draws problems of some hundred kinds, each from a number, at levels
of difficulty, and scores answers. A problem here carries number and level, from which it is drawn again to be graded.
"""

from __future__ import annotations

import ast
import inspect
import random
import re
import sys
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.extras import require
from pipeline.environments.extraction import behind_cue, boxed, reply
from pipeline.environments.problem import JSON, RIGHT, WRONG, Environment, Problem, ProblemConfig, Verdict, malformed

PACKAGE = "reasoning_gym"
SEED = 0
NUMBERS = 1_000_000
"""Problems of a task at a level, each with a number below this; many have fewer different prompts. Some tasks make
a list of that length."""
EVALUATE = frozenset({"eval", "exec", "parse_expr", "sympify"})
"""Functions that run a text as Python; sympy's parser does too. A task whose module calls one may score an answer by
running what the model wrote."""
OTHERS_ELSEWHERE = frozenset({"isomorphic_strings", "ransom_note"})
"""Tasks that draw other problems in another process, from the order of a set (seen in version 0.1.25)."""
MIXTURE = "composite"
"""The one data set that is no task, but a mixture of others."""

_TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def load(task: str) -> Environment:
    """The environment of a task.

    Raises:
        UserError: if the package is not installed, with the command.
        ConfigError: for a task that does not exist, may run what a model writes, draws other problems elsewhere, or
            has no answers to compare with.
    """
    name = f"{PACKAGE}:{task}"
    require("reasoning", PACKAGE)
    from reasoning_gym.factory import DATASETS  # pyright: ignore[reportMissingImports]

    tasks = sorted(DATASETS.keys() - {MIXTURE})
    if task not in tasks:
        raise ConfigError(f"{name}: no such task of Reasoning Gym, {nearest(task, tasks)}")
    if found := sorted(EVALUATE & _called(sys.modules[DATASETS[task][0].__module__])):
        raise ConfigError(f"{name}: its module calls {found[0]}, which runs text as Python; choose another task")
    if task in OTHERS_ELSEWHERE:
        raise ConfigError(f"{name}: it draws other problems in every process; choose another task")
    entry = _entry(task, 1, 0)
    if not _is_right(task, 1, entry["answer"], entry):
        raise ConfigError(f"{name}: it has no answer that it scores as right, to train on; choose another task")

    def generate(draw: random.Random, config: ProblemConfig) -> Problem:
        number = draw.randrange(NUMBERS)
        entry = _entry(task, config.difficulty, number)
        spec: dict[str, JSON] = {"number": number, "difficulty": config.difficulty}
        return Problem(name, entry["question"], entry["answer"], solution=entry["answer"], spec=spec)

    def grade(problem: Problem, completion: str) -> Verdict:
        answer = final_answer(reply(completion, problem.prompt))
        if not answer:
            return malformed("no answer")
        spec: dict[str, Any] = dict(problem.spec)
        entry = _entry(task, spec["difficulty"], spec["number"])
        if entry["question"] != problem.prompt:
            raise DataError(f"{name}: problem {spec['number']} is another one here, was another version installed?")
        return RIGHT if _is_right(task, spec["difficulty"], answer, entry) else WRONG

    return Environment(name, generate, grade)


def sources() -> dict[str, str]:
    """What problems and verdicts depend on beside this package's version of an environment, for fingerprints."""
    require("reasoning", PACKAGE)
    return {PACKAGE: version(PACKAGE)}


def final_answer(text: str) -> str:
    """The answer of a reply: in the last `<answer>` tag, else in a box, else behind a cue, else all of it."""
    if tags := _TAG.findall(text):
        return tags[-1].strip()
    if (found := boxed(text)) is not None:
        return found
    if (found := behind_cue(text)) is not None:
        return found.rstrip("*_. ")
    return text.strip()


def _is_right(task: str, difficulty: int, answer: object, entry: dict[str, Any]) -> bool:
    """Whether a task gives an answer its full score. It gives parts of it for parts of an answer, also for long lists
    of guesses, and raises on some texts."""
    if not isinstance(answer, str):
        return False
    try:
        return float(_dataset(task, difficulty).score_answer(answer, entry)) >= 1.0
    except Exception:
        return False


@lru_cache(maxsize=4096)
def _entry(task: str, difficulty: int, number: int) -> dict[str, Any]:
    """A problem, drawn from its number. Some tasks draw from Python's own generator as well, which is set for that."""
    state = random.getstate()
    random.seed(number)
    try:
        return _dataset(task, difficulty)[number]
    finally:
        random.setstate(state)


@cache
def _dataset(task: str, difficulty: int) -> Any:
    """A task at a difficulty: 1 is the first level of its curriculum. A task without one has a single difficulty.

    Raises:
        ConfigError: where the task refuses the settings of its own curriculum, as some do at one level.
    """
    from reasoning_gym.factory import CURRICULA, DATASETS  # pyright: ignore[reportMissingImports]

    of_task, config = DATASETS[task]
    curricula: dict[str, Any] = CURRICULA
    size = {"seed": SEED, "size": NUMBERS}
    try:
        if task not in curricula:
            return of_task(config(**size))
        curriculum = curricula[task]()
        curriculum.set_global_level(difficulty - 1)
        return of_task(curriculum.generate_configuration(size))
    except (AssertionError, ValueError) as error:
        raise ConfigError(
            f"{PACKAGE}:{task}: not at difficulty {difficulty} ({error}); choose another difficulty or task"
        ) from None


def _called(module: object) -> set[str]:
    """Names of the functions and methods that a module calls."""
    calls = [node.func for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Call)]  # pyright: ignore[reportArgumentType]
    return {
        each.id if isinstance(each, ast.Name) else each.attr
        for each in calls
        if isinstance(each, ast.Name | ast.Attribute)
    }

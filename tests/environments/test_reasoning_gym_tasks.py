"""Tasks of Reasoning Gym are environments like others, and none runs what a model writes."""

import ast
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.core import extras
from pipeline.core.errors import ConfigError, DataError
from pipeline.environments import ProblemConfig, problems, reasoning_gym_tasks
from pipeline.environments.own import own_sources
from pipeline.environments.parallel import verify_all
from pipeline.environments.reasoning_gym_tasks import EVALUATE, final_answer, load
from pipeline.environments.registry import check_names
from pipeline.environments.testing import check_environment
from tests.settings import EASY

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("reasoning_gym") is None, reason="needs the extra reasoning"
)
LEGS = "reasoning_gym:leg_counting"


def test_without_the_package_its_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    with pytest.raises(ValueError, match=r"reasoning_gym: not installed; run `.*-m pip install '?reasoning-gym"):
        check_names(["reasoning_gym:gcd"])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("12", "12"),
        ("There are 3 cats, so the answer is 12.", "12"),
        ("<answer>3</answer> no, <answer>12</answer> it is", "12"),
        ("Four and eight: $\\boxed{12}$", "12"),
        ("1 2\n3 4", "1 2\n3 4"),
        ("", ""),
    ],
)
def test_where_the_answer_of_a_reply_is(text: str, answer: str) -> None:
    assert final_answer(text) == answer


@needs_package
@pytest.mark.parametrize("task", ["leg_counting", "word_sorting", "spell_backward", "family_relationships"])
def test_a_task_is_an_environment_like_others(task: str) -> None:
    check_environment(load(task))


@needs_package
def test_problems_are_drawn_again_to_be_graded_in_other_processes() -> None:
    asked = problems(LEGS, 6, 0, "train", EASY)
    assert len({each.prompt for each in asked}) == 6
    replies = [f"The answer is {each.answer}." for each in asked[:3]] + ["The answer is 1001." for _ in asked[3:]]
    assert [each.score for each in verify_all(asked, replies)] == [1, 1, 1, 0, 0, 0]


@needs_package
def test_a_task_is_harder_at_a_higher_difficulty() -> None:
    def longest(difficulty: int) -> int:
        config = ProblemConfig(difficulty=difficulty, assistant="Ada")
        return max(len(each.answer) for each in problems("reasoning_gym:chain_sum", 40, 0, "train", config))

    assert longest(1) < longest(3)


@needs_package
@pytest.mark.parametrize(
    ("task", "line"),
    [
        ("leg_countin", "reasoning_gym:leg_countin: no such task of Reasoning Gym, .*leg_counting"),
        ("composite", "no such task"),
        ("countdown", "its module calls parse_expr, which runs text as Python"),
        ("ransom_note", "it draws other problems in every process"),
        ("boxnet", "it has no answer that it scores as right"),
    ],
)
def test_what_cannot_be_used_is_one_line(task: str, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        check_names([f"reasoning_gym:{task}"])


@needs_package
def test_a_level_that_a_task_does_not_have_is_one_line() -> None:
    with pytest.raises(ConfigError, match="caesar_cipher: not at difficulty 3"):
        problems("reasoning_gym:caesar_cipher", 1, 0, "train", ProblemConfig(difficulty=3, assistant="Ada"))


@needs_package
def test_fingerprints_have_the_version() -> None:
    (sources,) = own_sources([LEGS, "math"]).values()
    assert sources.keys() == {"reasoning_gym", reasoning_gym_tasks.__name__}


def calls_of_evaluation() -> Iterator[Path]:
    """Files of the package that may run text as Python."""
    spec = importlib.util.find_spec("reasoning_gym")
    assert spec is not None
    assert spec.origin is not None
    for path in Path(spec.origin).parent.rglob("*.py"):
        called = {
            node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        }
        if called & EVALUATE:
            yield path


@needs_package
def test_nothing_that_a_usable_task_imports_runs_text() -> None:
    """Only the modules of tasks themselves are looked at when one is loaded."""
    from reasoning_gym.factory import DATASETS  # pyright: ignore[reportMissingImports]

    of_tasks = {Path(str(sys.modules[task.__module__].__file__)) for task, _ in DATASETS.values()}
    # Templates of word problems, which compute with their own numbers before there is any answer.
    others = {path.name for path in calls_of_evaluation() if path not in of_tasks}
    assert others <= {"generators_00_49.py", "generators_50_99.py"}


PROGRAM = """
import random, sys
from pipeline.core.errors import ConfigError, DataError
from pipeline.environments.reasoning_gym_tasks import _entry, load
for task in sys.argv[1:]:
    random.random()
    for difficulty in (1, 2, 3):
        try:
            print(load(task).name, difficulty, [_entry(task, difficulty, number) for number in (5, 77, 123456)])
        except ConfigError as error:
            print(error)
"""
SLOW = {"acre", "arc_agi", "bf", "jugs", "sokoban"}
"""Tasks that take longer than a test may to draw a few problems."""


def drawn(tasks: list[str], seed: int) -> str:
    """Problems of tasks as a process with another order of sets draws them."""
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *tasks], env=environment, capture_output=True, check=True, text=True
    ).stdout


@needs_package
def test_a_problem_does_not_depend_on_the_process() -> None:
    """Grading draws it again elsewhere: with other hashes of texts, and another state of Python's own generator."""
    tasks = ["leg_counting", "word_sorting", "family_relationships", "syllogism"]
    assert drawn(tasks, 1) == drawn(tasks, 2)


@needs_package
@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(3000)
def test_no_usable_task_depends_on_the_process() -> None:
    from reasoning_gym.factory import DATASETS  # pyright: ignore[reportMissingImports]

    tasks = sorted(DATASETS.keys() - SLOW)
    first, second = (drawn(tasks, seed).splitlines() for seed in (1, 2))
    assert [one for one, other in zip(first, second, strict=True) if one != other] == []


@needs_package
def test_a_problem_of_another_version_is_not_graded() -> None:
    (problem,) = problems(LEGS, 1, 0, "train", EASY)
    with pytest.raises(DataError, match="was another version installed"):
        load("leg_counting").grade(replace(problem, prompt="What is 1 + 1?"), "2")

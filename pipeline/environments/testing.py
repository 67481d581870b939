"""The properties that every environment must have, as a function that the author of one calls in a test."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import fmean
from typing import Any

from pipeline.core.errors import DataError
from pipeline.environments.parallel import OWN_CPU_SECONDS
from pipeline.environments.problem import Environment, Problem, ProblemConfig, Verdict
from pipeline.environments.registry import draw_problems, judge, split_of

HOSTILE = (
    "7", "-3", "1/0", "9" * 5000, "= 7", '{"name": "Tom", "age": 7}', "[" * 50, "NaN", "1e999", "x^2",
    "SELECT name FROM pets", "SELECT 9223372036854775808", "\\boxed{7}", "Monday", "I do not know.", "I am Fivephase.",
    "\x00", "\ud800", "\u0130", "<|end_of_text|>", "%s{}{0}", "\r\n", "\u200b",
)  # fmt: skip
"""Texts that look like answers, and characters that programs trip over: what reaches the deeper lines of a verifier."""
LONG = (
    "a " * 30_000,
    "a" * 60_000,
    "[" * 60_000,
    "7" * 60_000,
    '{"a":' * 12_000,
    "(" * 60_000,
    "\n" * 60_000,
    "x." * 30_000,
)
"""Texts near the limit of what is read, for verifiers whose time grows faster than the text."""
CPU_SECONDS = OWN_CPU_SECONDS
"""Most CPU time of one verdict, in training as here: thousands of times what a built-in one takes."""
TOO_LONG = "a " * 100_000
RIGHT_BY_CHANCE = 0.5
"""Most share of other problems' solutions that may score 1.0: some problems have the same answer in other words."""


class _TimeUp(BaseException):
    """Not an Exception, so that a verifier which catches all of them does not go on."""


def check_environment(
    environment: Environment, difficulties: tuple[int, ...] = (1, 2, 3), assistant: str = "Ada", texts: int = 40
) -> None:
    """Makes sure that an environment has the properties that training and measuring stand on; takes some seconds.

    Problems are a pure function of the generator they are given, and hold what their verifier needs. Prompts of the
    training split are never held out, and both splits have enough. A problem's own solution scores 1.0, empty text 0,
    most solutions of problems with other answers less than 1.0. Any text gets a verdict, the same every time and in
    bounded time, however hostile it is. To be called from the main thread, whose timer it uses.

    Args:
        environment: to be checked; its name need not be known.
        difficulties: at which problems are drawn.
        assistant: the assistant's name in problems.
        texts: hostile texts that are judged at each difficulty.

    Raises:
        AssertionError: for a property that it lacks, with the problem and the text that show it.
    """
    for difficulty in difficulties:
        config = ProblemConfig(difficulty=difficulty, assistant=assistant)
        try:
            train = draw_problems(environment, 60, 0, "train", config)
            held_out = draw_problems(environment, 40, 1, "held_out", config)
        except DataError as error:
            raise AssertionError(str(error)) from None
        _check_problems(environment, config, train, held_out)
        for problem in [*train, *held_out]:
            _check_record(environment, problem)
            verdict = _judged(environment, problem, problem.solution)
            assert verdict.score == 1.0, f"the solution of {problem} scores {verdict}, not 1.0"
            assert verdict.in_format, f"the solution of {problem} is not in format: {verdict}"
        _check_wrong_answers(environment, train)
        draw = random.Random(difficulty)
        for text in _hostile_texts(draw, texts):
            _judged(environment, draw.choice(train), text)
    for text in LONG:
        _judged(environment, train[0], text)
    for text in ("", " \n", TOO_LONG):
        assert _judged(environment, train[0], text).score == 0.0, f"{text[:10]!r}... scores above 0"
    assert not _judged(environment, train[0], "").in_format, "empty text is said to be in format"


def _check_problems(
    environment: Environment, config: ProblemConfig, train: list[Problem], held_out: list[Problem]
) -> None:
    assert train == draw_problems(environment, 60, 0, "train", config), (
        "the same seed gave other problems: generate may draw from the generator it is given and from nothing else, "
        "and must not depend on the order of a set"
    )
    assert train[:10] == draw_problems(environment, 10, 0, "train", config), "problems depend on how many are drawn"
    assert len({each.prompt for each in train}) > 1, "all problems have the same prompt"
    different = {each.prompt for each in held_out}
    assert len(different) >= 8, (
        f"{len(different)} different held-out prompts are too few to measure anything, pose more"
    )
    for split, drawn in (("train", train), ("held_out", held_out)):
        for problem in drawn:
            assert split_of(f"  {problem.prompt.upper()} \n") == split, f"the split of {problem} depends on its form"
    for problem in train:
        assert all(each.strip() for each in (problem.prompt, problem.solution)), f"{problem} has an empty text"


def _check_record(environment: Environment, problem: Problem) -> None:
    record = json.loads(json.dumps(problem.to_record()))
    again = Problem.from_record(record)
    assert again == problem, f"{problem} comes back from JSON as {again}: spec holds what JSON does not"


def _check_wrong_answers(environment: Environment, problems: list[Problem]) -> None:
    others = [
        (problem, other)
        for problem, other in pairwise(problems)
        if (other.answer, other.solution) != (problem.answer, problem.solution)
    ]
    if others:
        right = fmean(_judged(environment, problem, other.solution).score == 1.0 for problem, other in others)
        assert right <= RIGHT_BY_CHANCE, (
            f"{right:.0%} of the solutions of other problems score 1.0: wrong answers do too"
        )


def _hostile_texts(draw: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        noise = "".join(
            chr(draw.choice((draw.randrange(128), draw.randrange(0x3000)))) for _ in range(draw.randrange(20))
        )
        yield " ".join([*draw.choices(HOSTILE, k=draw.randrange(5)), noise])


def _judged(environment: Environment, problem: Problem, text: str) -> Verdict:
    """The verdict on a text, asked for twice."""

    def ask() -> Verdict:
        return judge(environment.grade, problem, text)

    shown = f"{problem}, judging {text[:80]!r} ({len(text):,} characters)"
    before = json.dumps(problem.to_record())
    try:
        verdict = _within_time(ask, shown)
        again = _within_time(ask, shown)
    except Exception as error:
        raise AssertionError(f"the verifier raised {type(error).__name__} ({error}) for {shown}") from error
    assert isinstance(verdict, Verdict), f"the verifier gave {verdict!r} for {shown}"
    assert 0.0 <= verdict.score <= 1.0, f"the score {verdict.score} is not from 0 to 1 for {shown}"
    assert verdict.reason, f"the verdict has no reason for {shown}"
    assert verdict == again, f"{verdict}, then {again} for {shown}"
    assert json.dumps(problem.to_record()) == before, f"the verifier changed the problem: {shown}"
    return verdict


def _within_time(call: Callable[[], Any], shown: str) -> Any:
    with _cpu_limit(CPU_SECONDS):
        try:
            return call()
        except _TimeUp:
            raise AssertionError(f"more than {CPU_SECONDS:.0f} s of CPU time for {shown}") from None


@contextmanager
def _cpu_limit(seconds: float) -> Iterator[None]:
    def expired(*_: Any) -> None:
        raise _TimeUp

    before = signal.signal(signal.SIGVTALRM, expired)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)

"""`code`: a short Python function by its description. Right is one that gives the values that are known without it.

What a process says of the code that it runs can be forged by that code. So the sandboxed process is given calls alone
and answers with values, and these are compared here. Difficulty 1 asks for one step on a list, 2 for two, 3 for four.
"""

from __future__ import annotations

import ast
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pipeline.core import sandbox
from pipeline.core.restricted_code import Rejected, parse_restricted
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed

PARTLY_SCORE = 0.25
"""Most that a function is worth that gives some of the values; it gets their share of that."""
CALLS = 4
CPU_SECONDS = 1
MEMORY_BYTES = 1 << 28
MAX_CODE_CHARACTERS = 4_000
_BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)
_NAMES = ("solve", "compute", "process", "handle", "work", "reckon", "transform", "evaluate", "derive", "convert")
_THINGS = ("values", "numbers", "items", "list", "series", "row", "batch", "marks", "scores", "entries")
_ASKS = (
    "Write a Python function {}(values) that takes a list of integers, {}.",
    "In Python, define {}(values). It gets a list of integers, {}.",
    "I need a Python function named {} with one parameter, values, a list of integers. It {}.",
)


@dataclass(frozen=True)
class _Step:
    """What is done to a list, in words, as an expression in Python, and as a function."""

    words: str
    code: str
    run: Callable[[list[int]], Any]


def _steps(draw: random.Random) -> list[_Step]:
    n, k = draw.randint(2, 9), draw.randint(1, 3)
    return [
        _Step(f"keeps those above {n}", f"[value for value in values if value > {n}]",
              lambda values: [value for value in values if value > n]),
        _Step(f"keeps those below {n}", f"[value for value in values if value < {n}]",
              lambda values: [value for value in values if value < n]),
        _Step("keeps the even ones", "[value for value in values if value % 2 == 0]",
              lambda values: [value for value in values if value % 2 == 0]),
        _Step("keeps the odd ones", "[value for value in values if value % 2]",
              lambda values: [value for value in values if value % 2]),
        _Step(f"multiplies each by {n}", f"[value * {n} for value in values]",
              lambda values: [value * n for value in values]),
        _Step(f"adds {n} to each", f"[value + {n} for value in values]",
              lambda values: [value + n for value in values]),
        _Step(f"subtracts {n} from each", f"[value - {n} for value in values]",
              lambda values: [value - n for value in values]),
        _Step("squares each", "[value ** 2 for value in values]", lambda values: [value * value for value in values]),
        _Step("sorts them, largest first", "sorted(values, reverse=True)", lambda values: sorted(values)[::-1]),
        _Step("sorts them, smallest first", "sorted(values)", sorted),
        _Step("turns their order around", "values[::-1]", lambda values: [*reversed(values)]),
        _Step(f"leaves out the first {k}", f"values[{k}:]", lambda values: values[k:]),
        _Step(f"keeps only the first {k + 2}", f"values[:{k + 2}]", lambda values: values[: k + 2]),
        _Step("keeps the first of equal ones", "list(dict.fromkeys(values))", lambda values: [*dict.fromkeys(values)]),
    ]  # fmt: skip


_ENDS = (
    _Step("returns their sum", "sum(values)", sum),
    _Step("returns how many there are", "len(values)", len),
    _Step("returns the largest, or 0 if there is none", "max(values, default=0)",
          lambda values: sorted(values)[-1] if values else 0),
    _Step("returns the smallest, or 0 if there is none", "min(values, default=0)",
          lambda values: sorted(values)[0] if values else 0),
    _Step("returns the list", "values", lambda values: values),
)  # fmt: skip


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    name = f"{draw.choice(_NAMES)}_{draw.choice(_THINGS)}"
    while True:
        steps = [draw.choice(_steps(draw)) for _ in range({1: 1, 2: 1, 3: 3}[problem_config.difficulty])]
        end = _ENDS[-1] if problem_config.difficulty == 1 else draw.choice(_ENDS)
        inputs = [[draw.randint(-5, 20) for _ in range(draw.randint(4, 9))] for _ in range(CALLS - 1)]
        inputs = [[*each, each[0]] for each in inputs] + [[]]
        expected = [_run(steps, end, values) for values in inputs]
        # No constant, and not the list as it came, is right for all.
        if len({json.dumps(each) for each in expected[:-1]}) == CALLS - 1 and expected != inputs:
            break
    said = ", ".join([step.words for step in steps]) + f" and {end.words}"
    body = "".join(f"    values = {step.code}\n" for step in steps)
    solution = f"```python\ndef {name}(values):\n{body}    return {end.code}\n```"
    prompt = draw.choice(_ASKS).format(name, said)
    tests: list[JSON] = [[values, value] for values, value in zip(inputs, expected, strict=True)]  # pyright: ignore
    return Problem("code", prompt, solution, solution, {"function": name, "tests": tests})


def _run(steps: list[_Step], end: _Step, values: list[int]) -> Any:
    for step in steps:
        values = step.run([*values])
    return end.run(values)


def _grade(problem: Problem, completion: str) -> Verdict:
    name, tests = str(problem.spec["function"]), problem.spec["tests"]
    assert isinstance(tests, list)
    blocks = _BLOCK.findall(completion)
    if len(blocks) > 1:
        return malformed("several blocks of code")
    code = (blocks or [completion])[0].strip()
    if len(code) > MAX_CODE_CHARACTERS:
        return malformed("the code is too long")
    try:
        tree = parse_restricted(code)
    except Rejected as error:
        return malformed("no Python") if str(error) == "does_not_parse" else Verdict(0.0, str(error))
    if not any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body):
        return malformed(f"defines no function {name:.40}")
    expected = [test[1] for test in tests if isinstance(test, list)]
    found, failure = _values(code, tuple(f"{name}({test[0]!r})" for test in tests if isinstance(test, list)))
    if failure is not None or not isinstance(found, list) or len(found) != len(expected):
        return Verdict(0.0, f"it fails: {failure or 'no values'}")
    right = sum(_plain(one) == _plain(other) for one, other in zip(found, expected, strict=True))
    if right == len(expected):
        return RIGHT
    return Verdict(PARTLY_SCORE * right / len(expected), f"{len(expected) - right} of {len(expected)} values are wrong")


@lru_cache(maxsize=256)
def _values(code: str, calls: tuple[str, ...]) -> tuple[Any, str | None]:
    result, failure = sandbox.execute({"code": code, "calls": list(calls)}, CPU_SECONDS, MEMORY_BYTES)
    if failure is not None or not isinstance(result, dict):
        return None, failure or "no_result"
    return result.get("values"), result.get("failure")


def _plain(value: Any) -> str:
    # By their text: in Python True equals 1.
    return json.dumps(value)


ENVIRONMENT = Environment("code", _generate, _grade)

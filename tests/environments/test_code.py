"""`code`: what is executed, what is refused before, and that a process without end or limit costs a second."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core import sandbox
from pipeline.environments import Problem, problems, verify
from pipeline.environments.code import PARTLY_SCORE
from pipeline.environments.registry import ENVIRONMENTS
from pipeline.environments.testing import check_environment
from tests.clock import assert_bounded_time
from tests.settings import EASY

TESTS = [[[3, -1, 3, 9], [4, 0, 4, 10]], [[1, 2], [2, 3]], [[7, 7], [8, 8]], [[], []]]
PROBLEM = Problem("code", "?", "", "", {"function": "grow", "tests": TESTS})  # pyright: ignore
LIMITS = (1, 1 << 28)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("def grow(values):\n    return [value + 1 for value in values]", 1.0),
        ("Adds:\n```python\ndef grow(values):\n    return list(map(lambda each: each + 1, values))\n```\nDone.", 1.0),
        ("def one(x):\n    return x + 1\n\ndef grow(values):\n    return [one(value) for value in values]", 1.0),
        ("def grow(values):\n    return values", PARTLY_SCORE / 4),
        ("def grow(values):\n    return None", 0.0),
        ("def grow(values):\n    return [True] * len(values)", PARTLY_SCORE / 4),
        ("def grow(values):\n    raise ValueError", 0.0),
        ("def shrink(values):\n    return [value + 1 for value in values]", 0.0),
        ("class Same:\n    def __eq__(self, _):\n        return True\n\ndef grow(values):\n    return Same()", 0.0),
        ("grow = lambda values: values", 0.0),
        ("```python\ndef grow(values):\n    return values\n```\n```python\ndef grow(values):\n    return 1\n```", 0.0),
        ("I do not know.", 0.0),
    ],
)  # fmt: skip
def test_values_decide(text: str, score: float) -> None:
    assert verify(PROBLEM, text).score == score


@pytest.mark.parametrize(
    "body",
    [
        "import os\n    return os.listdir('/')",
        "import socket\n    return 1",
        "return open('/etc/passwd').read()",
        "return __import__('os').getcwd()",
        "return ().__class__.__mro__",
        "return eval('1')",
        "return " + "(" * 500 + "1" + ")" * 500,
        "return " + "-" * 3_900 + "1",
    ],
)
def test_what_could_harm_is_not_executed(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "RUNNER", Path("/nonexistent"))
    verdict = verify(PROBLEM, f"def grow(values):\n    {body}\n")
    assert verdict.score == 0.0
    assert "fails" not in verdict.reason


@pytest.mark.parametrize(
    "body",
    [
        "return [0] * 10**10",
        "return grow(values)",
        pytest.param("while True:\n        pass", marks=pytest.mark.slow),
        pytest.param("return 9 ** 9 ** 9", marks=pytest.mark.slow),
    ],
)
def test_what_does_not_end_is_ended(body: str) -> None:
    def judge() -> None:
        assert verify(PROBLEM, f"def grow(values):\n    {body}\n").score == 0.0

    # The process has one second; it also has to start, each time but those that are remembered.
    assert_bounded_time(judge, wall_seconds=60)


def test_a_program_reads_no_files() -> None:
    probe = "def seen(name):\n    return open(name).read()"
    result, failure = sandbox.execute({"code": probe, "calls": ["seen('/proc/net/dev')"]}, *LIMITS)
    assert failure is None
    assert "PermissionError" in result["failure"]


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_where_the_kernel_lets_it_a_program_has_a_network_with_nothing_in_it() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(sandbox.RUNNER.parent)!r}); import os, sandbox_runner\n"
        "before = os.readlink('/proc/self/ns/net'); sandbox_runner._leave_network()\n"
        "print(os.readlink('/proc/self/ns/net') != before, len(open('/proc/self/net/dev').readlines()) - 2)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    alone, interfaces = done.stdout.split()
    assert alone == "False" or interfaces == "1"


@pytest.mark.slow
def test_code_has_the_properties_of_all_environments() -> None:
    check_environment(ENVIRONMENTS["code"], difficulties=(3,), texts=20)


def test_solutions_are_right() -> None:
    for problem in problems("code", 6, 0, "train", EASY):
        assert verify(problem, problem.solution).score == 1.0

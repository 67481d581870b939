"""Completions verified in child processes: the same verdicts, killed one by one, with nothing left behind."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.stop_signals import STOP_SIGNALS
from pipeline.environments import ENVIRONMENT_NAMES, Problem, parallel, problems, verify, verify_all, workers
from pipeline.environments.expressions import equivalent
from pipeline.environments.workers import OUT_OF_TIME, CallError, Workers, stop_workers
from tests import ROOT
from tests.processes import runs, survivors
from tests.settings import EASY

ENDLESS = "$9^{9^{9^{9^{9}}}} + x$"
CHEAP = "pipeline.environments.registry:split_of"
ALGEBRA = Problem("math", "?", "x^2 + 1", "", {})


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Two children that run in a folder of their own, and in which verdicts are made whatever their number."""
    stop_workers()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workers, "_workers", Workers(2))
    monkeypatch.setattr(parallel, "CHARACTERS_HERE", -1)
    yield workers.workers()
    stop_workers()


def test_children_say_what_this_process_says(started: Workers) -> None:
    asked = [problem for name in ENVIRONMENT_NAMES for problem in problems(name, 8, 0, "train", EASY)]
    texts = [other.solution for other in [*asked[::2], *asked[1::2]]]
    texts[:4] = ["\ud800\x00", "7" * 60_000, "\\boxed{" * 5_000, ""]
    assert verify_all(asked, texts) == [verify(problem, text) for problem, text in zip(asked, texts, strict=True)]


@pytest.mark.slow
def test_a_killed_one_scores_0_and_the_others_what_they_deserve(
    started: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_grades.py").write_text(
        "import subprocess\n"
        "from pipeline.environments.problem import RIGHT\n"
        "def grade(problem, completion):\n"
        "    if completion == 'hang':\n"
        "        while True: pass\n"
        f"    if completion == 'wait': subprocess.run(['sleep', '987'], env={{'STARTED_BY': {str(tmp_path)!r}}})\n"
        "    if completion == 'fill': return bytearray(1 << 34)\n"
        "    print('printed')\n"
        "    return RIGHT\n"
    )
    own = Problem("own_grades:grade", "?", "", "", {})
    texts = ["hang", "good", "fill", "good", "wait", "good"]
    # By the clock, which a good one on a busy machine must meet as well.
    monkeypatch.setattr(workers, "DEADLINE_SECONDS", 20.0)
    monkeypatch.setattr(parallel, "OWN_CPU_SECONDS", 0.5)
    verdicts = verify_all([own] * 6, texts)
    assert [each.score for each in verdicts] == [0, 1, 0, 1, 0, 1]
    assert verdicts[0].reason == verdicts[4].reason == OUT_OF_TIME
    assert "MemoryError" in verdicts[2].reason
    assert not survivors(f"STARTED_BY={tmp_path}"), "what a killed verifier had started is left behind"


@pytest.mark.slow
def test_algebra_without_end_is_killed_and_the_next_is_answered(started: Workers) -> None:
    verdicts = verify_all([ALGEBRA] * 3, [ENDLESS, "1 + x*x", "x^2 + 2"])
    assert [each.score for each in verdicts] == [0, 1, 0]
    assert verdicts[0].reason == OUT_OF_TIME
    # A single verdict is found in a child as well.
    assert equivalent("x^2 + 1", ENDLESS) is None
    assert verify(ALGEBRA, "1 + x^2").score == 1.0


def test_a_stop_signal_to_all_processes_decides_no_verdict(started: Workers) -> None:
    assert started.call(CHEAP, "What is 1 + 1?") in ("train", "held_out")
    before = started.processes()
    for process in before:
        for number in STOP_SIGNALS:
            os.kill(process, number)
    assert started.call(CHEAP, "What is 1 + 1?") in ("train", "held_out")
    assert started.processes() == before


def test_what_a_call_raises_is_said_and_the_child_goes_on(started: Workers) -> None:
    with pytest.raises(CallError, match="raised DataError: the problem record lacks"):
        started.call("pipeline.environments.parallel:verify_record", {}, "", 1.0)
    assert started.call(CHEAP, "What is 1 + 1?") in ("train", "held_out")
    assert len(started.processes()) == 1


def test_children_end_with_the_process_that_started_them() -> None:
    script = (
        "from pipeline.environments import workers\n"
        "workers.workers().call('pipeline.environments.registry:split_of', 'a')\n"
        "print(*workers.workers().processes(), flush=True)\n"
        "import time; time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    until = time.monotonic() + 60
    while runs(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not runs(child)


def test_limits_are_those_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    before = resource.getrlimit(resource.RLIMIT_AS)
    with workers.limited(60.0):
        assert resource.getrlimit(resource.RLIMIT_AS)[0] != before[0]
        with workers.unlimited():
            assert resource.getrlimit(resource.RLIMIT_AS) == before
    assert resource.getrlimit(resource.RLIMIT_AS) == before

"""Workers that are killed, the server that forks them, and signals to all processes: nothing waits for ever."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.core.errors import DataError, LaunchError, Requeue
from pipeline.curation.config import ExecutorConfig
from pipeline.curation.executors.run_tasks import Task, TaskProgress, run_tasks
from tests.processes import running, runs, survivors

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
    pytest.mark.timeout(300),
]


@dataclass
class Leaves:
    """A task that leaves a file."""

    path: Path

    def __call__(self, progress: TaskProgress) -> None:
        self.path.touch()


@dataclass
class Kills:
    """A task in which a process gets SIGKILL, the first time that it is done: this worker, or its fork server."""

    parent: bool
    after: Path
    """File that another task leaves when it has begun."""
    marker: Path

    def __call__(self, progress: TaskProgress) -> None:
        while not self.after.exists():
            time.sleep(0.01)
        if not self.marker.exists():
            process = os.getppid() if self.parent else os.getpid()
            self.marker.write_text(str(process))
            os.kill(process, signal.SIGKILL)
            time.sleep(600)


@dataclass
class Stuck:
    """A task that does not end, and looks at no stop flag; it leaves the id of its process."""

    path: Path

    def __call__(self, progress: TaskProgress) -> None:
        self.path.with_suffix(".part").write_text(str(os.getpid()))
        self.path.with_suffix(".part").rename(self.path)
        time.sleep(600)


class Unpicklable(Exception):
    """An exception that pickles and cannot be made again from what was pickled."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


@dataclass
class Raises:
    """A task that raises."""

    error: str

    def __call__(self, progress: TaskProgress) -> None:
        if self.error == "user":
            raise DataError("pages.jsonl: cut short")
        raise Unpicklable("this", "that")


def run(tasks: list[Task], folder: Path) -> None:
    run_tasks(tasks, folder, ExecutorConfig(kind="local"), 2)


@pytest.mark.parametrize(
    ("parent", "said"),
    [
        (False, "task 2 of 3: its worker was killed by signal 9"),
        # All workers are lost with it; one of them is named.
        (True, r"task \d of 3: the process that starts the workers was killed"),
    ],
)
def test_a_process_that_is_killed_fails_the_task(tmp_path: Path, parent: bool, said: str) -> None:
    killed, stuck = tmp_path / "killed", tmp_path / "stuck"
    tasks: list[Task] = [Leaves(tmp_path / "first"), Stuck(stuck), Kills(parent, stuck, killed)]
    with pytest.raises(LaunchError, match=said) as caught:
        run(tasks, tmp_path / "tasks")
    assert "run again: what is done stays done" in str(caught.value)
    # Nothing of this attempt writes on beside the next one.
    _wait_for_end(int(stuck.read_text()))
    _wait_for_end(int(killed.read_text()))
    tasks[1] = Leaves(tmp_path / "last")
    run(tasks, tmp_path / "tasks")
    assert (tmp_path / "last").exists()


def _wait_for_end(process: int) -> None:
    """Fails if a process runs on."""
    deadline = time.monotonic() + 60
    while runs(process):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_a_task_raises_is_raised(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cut short"):
        run([Raises("user"), Stuck(tmp_path / "stuck")], tmp_path / "user")
    with pytest.raises(RuntimeError, match="Unpicklable: this and that"):
        run([Raises("program"), Stuck(tmp_path / "stuck")], tmp_path / "program")


def test_a_stop_does_not_wait_for_a_task_that_does_not_look(tmp_path: Path) -> None:
    tasks = [Stuck(tmp_path / name) for name in ("one", "other")]
    begun = [task.path for task in tasks]
    with pytest.raises(Requeue):
        run_tasks(
            tasks, tmp_path / "tasks", ExecutorConfig(kind="local"), 2,
            stop_requested=lambda: all(path.exists() for path in begun),
        )  # fmt: skip
    for path in begun:
        _wait_for_end(int(path.read_text()))


SIGNALLED = """
import sys, time
from pathlib import Path
from pipeline.core.context import StopFlag
from pipeline.core.errors import Requeue
from pipeline.curation.config import ExecutorConfig
from pipeline.curation.executors.run_tasks import run_tasks

class Long:
    def __call__(self, progress):
        Path(sys.argv[1], "begun").touch()
        while True:
            time.sleep(0.1)
            progress.document_done()

if __name__ == "__main__":
    stop = StopFlag()
    stop.listen()
    try:
        run_tasks([Long()] * 3, Path(sys.argv[1]), ExecutorConfig(kind="local"), 2, stop_requested=lambda: stop.raised)
    except Requeue:
        sys.exit(75)
"""


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_a_stop_signal_may_reach_all_processes_of_a_stage(tmp_path: Path, number: signal.Signals) -> None:
    """As srun sends it: to the workers and the server that they are forked from too."""
    (tmp_path / "program.py").write_text(SIGNALLED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CHILDREN_OF": str(tmp_path)}
    command = [sys.executable, str(tmp_path / "program.py"), str(tmp_path)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not (tmp_path / "begun").exists():
            assert process.poll() is None
            time.sleep(0.05)
        others = [int(each) for each in running(f"CHILDREN_OF={tmp_path}") if int(each) != process.pid]
        assert len(others) > 1
        for other in others:
            os.kill(other, number)
        # One that died of it would be noticed before the stage's own process has its signal.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(2)
        process.send_signal(number)
        assert process.wait(timeout=120) == 75
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert not survivors(f"CHILDREN_OF={tmp_path}")

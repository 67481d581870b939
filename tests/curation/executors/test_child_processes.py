"""What a killed process leaves behind: nothing that runs on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.processes import running, survivors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

LONG = """
import sys, time
from pathlib import Path
from pipeline.curation.config import ExecutorConfig
from pipeline.curation.executors.run_tasks import run_tasks

class Long:
    def __call__(self, progress):
        Path(sys.argv[1], "begun").touch()
        time.sleep(600)

if __name__ == "__main__":
    run_tasks([Long(), Long()], Path(sys.argv[1]), ExecutorConfig(kind="local"), 2)
"""

DEAD_BEFORE_TIED = """
import os, signal, sys, time
from pathlib import Path
from pipeline.curation.executors.child_processes import kill_with_parent

def wait_for_the_parents_end(parent=os.getpid()):
    while os.getppid() == parent:
        time.sleep(0.01)
    Path(sys.argv[1], "orphaned").touch()

os.register_at_fork(after_in_child=wait_for_the_parents_end)
kill_with_parent(os.getpid())
if os.fork():
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(600)
"""


def start(folder: Path, program: str) -> "subprocess.Popen[bytes]":
    (folder / "program.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CHILDREN_OF": str(folder)}
    command = [sys.executable, str(folder / "program.py"), str(folder)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def test_workers_do_not_finish_their_task_when_their_pool_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path, LONG)
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.05)
    assert len(running(f"CHILDREN_OF={tmp_path}")) > 1
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not survivors(f"CHILDREN_OF={tmp_path}")


def test_a_child_that_was_not_yet_tied_ends_as_well(tmp_path: Path) -> None:
    assert start(tmp_path, DEAD_BEFORE_TIED).wait() == -signal.SIGKILL
    assert not survivors(f"CHILDREN_OF={tmp_path}")
    assert (tmp_path / "orphaned").exists()

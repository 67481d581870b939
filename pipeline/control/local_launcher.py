"""Starts the ranks of a stage as processes of this machine, watches them, and shows the stage's progress."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.control.failures import failed_ranks
from pipeline.control.frozen_stages import FrozenStage
from pipeline.control.lead import lead_seconds
from pipeline.control.progress_display import ProgressDisplay
from pipeline.core.context import ATTEMPT_VARIABLE, FINGERPRINT_VARIABLE, PARENT_PIPE_VARIABLE, StopFlag
from pipeline.core.errors import EXIT_REQUEUE, ConfigError
from pipeline.core.installation import python_path
from pipeline.core.ports import free_port
from pipeline.core.progress import read_progress
from pipeline.stages import stage_type

POLL_SECONDS = 0.2
GRACE_SECONDS = 15.0
"""Time that ranks get to say what they found after one of them failed; without it they can save nothing."""
STOP_SECONDS = 1800.0
"""Least time that ranks get to save after Ctrl-C and the like; only one that hangs needs it."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, `kill`, and the end of the terminal."""


@dataclass
class Ended:
    """How the ranks of a stage ended."""

    codes: dict[int, int] = field(default_factory=dict)
    """Exit code by rank, -n for signal n. One that a stop signal ended before it had anything to save has saved;
    one that was killed because others had failed is left out."""
    limit: float | None = None
    """Seconds that they had, once they were told to end."""
    killed: list[int] = field(default_factory=list)
    """Ranks that were to save and had not ended by then."""


@contextlib.contextmanager
def stop_signals() -> Iterator[StopFlag]:
    """While it is open, Ctrl-C, SIGTERM and SIGHUP raise the flag that it gives, however often they come.

    A signal that this process was told to ignore, as SIGHUP by `nohup`, stays ignored. For the main thread only.
    """
    flag = StopFlag()
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    caught = [number for number, handler in before.items() if handler != signal.SIG_IGN]
    flag.listen(caught)
    try:
        yield flag
    finally:
        for number in caught:
            signal.signal(number, before[number])


def launch(
    stage: FrozenStage, directory: Path, attempt: int, stop: StopFlag, display: ProgressDisplay | None = None
) -> Ended:
    """Runs a prepared stage and waits until all its ranks have ended.

    A rank that fails takes the others with it: they get SIGTERM, and after GRACE_SECONDS SIGKILL. A stop signal to this
    process makes them save: they get SIGTERM, and SIGKILL after the time that saving takes at most. Those of a kind of
    stage that cannot save are killed at once. Each rank is told through its standard input, a pipe that nothing is
    written to, when this process is gone.

    Args:
        stage: the frozen stage; its resources say how many ranks.
        directory: its folder, with the frozen configuration.
        attempt: number of the attempt, whose folder takes the log of each rank.
        stop: raised to end the stage.
        display: shows the stage's progress meanwhile; None shows it without its place in a chain.

    Raises:
        ConfigError: for a stage that wants more than one node.
    """
    check_one_node(stage)
    ranks = stage.resources["processes_per_node"]
    logs = directory / "attempts" / str(attempt)
    logs.mkdir(parents=True, exist_ok=True)
    workers: list[subprocess.Popen[bytes]] = []
    environment = _environment(stage, ranks, attempt)
    for rank in range(ranks):
        with (logs / f"rank-{rank}.log").open("wb") as log:
            workers.append(
                subprocess.Popen(
                    # -P: what lies in the working directory must not stand in for a module of this package.
                    [sys.executable, "-u", "-P", "-m", "pipeline.worker", str(directory)],
                    env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
    saves = stage_type(stage.kind, stage.stage).lead_seconds is not None
    patience = max(STOP_SECONDS, lead_seconds(stage, directory)) if saves else 0.0
    shown = display or ProgressDisplay(stage.stage)
    with _ended_with(workers):
        return _watch(stage.stage, workers, logs / "progress.json", stop, patience, shown)


def check_one_node(stage: FrozenStage) -> None:
    """Makes sure that this launcher can run a stage.

    Raises:
        ConfigError: for a stage that wants more than one node.
    """
    if stage.resources["nodes"] != 1:
        raise ConfigError(
            f"stages.{stage.stage}.resources.nodes={stage.resources['nodes']}: this machine is one node; "
            "submit with launch/chain.sh, or set it to 1"
        )


def _environment(stage: FrozenStage, ranks: int, attempt: int) -> dict[str, str]:
    """The environment variables of all ranks, with a port that is free now for torch.distributed to meet at.

    The number of threads is that of the configuration, else OMP_NUM_THREADS as the user set it, else an even share of
    the cores.
    """
    share = str(max(1, (os.cpu_count() or 1) // ranks))
    threads = stage.resources["threads"] or os.environ.get("OMP_NUM_THREADS") or share
    return {
        **os.environ,
        "PYTHONPATH": python_path(),
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": os.environ.get("TOKENIZERS_PARALLELISM", "true"),
        ATTEMPT_VARIABLE: str(attempt),
        FINGERPRINT_VARIABLE: stage.fingerprint,
        PARENT_PIPE_VARIABLE: "1",
    }


@contextlib.contextmanager
def _ended_with(workers: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """While it is open, Ctrl-\\ ends the ranks and then this process: one that hangs does not see that this is gone."""

    def end(*_: object) -> None:
        _signal(workers, signal.SIGKILL)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGQUIT)

    before = signal.signal(signal.SIGQUIT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGQUIT, before)


def _watch(
    name: str,
    workers: list[subprocess.Popen[bytes]],
    progress: Path,
    stop: StopFlag,
    patience: float,
    display: ProgressDisplay,
) -> Ended:
    """Waits for all ranks and shows their progress meanwhile.

    Args:
        name: of the stage.
        workers: its ranks.
        progress: the file that rank 0 writes its progress to.
        stop: raised to end the stage.
        patience: seconds that the ranks have to save after that; 0 for a kind of stage that cannot.
        display: closed when they have ended.
    """
    ended, deadline = Ended(), math.inf
    while len(ended.codes) < len(workers):
        limit = _time_limit(ended, stop, patience)
        if limit is not None and limit != ended.limit:
            ended.limit, deadline = limit, time.monotonic() + limit
            _signal(workers, signal.SIGTERM)
            if stop.raised and patience and not failed_ranks(ended.codes):
                display.say(f"fivephase: {name}: saving…; Ctrl-\\ ends at once")
        if time.monotonic() >= deadline:
            ended.killed = [rank for rank in range(len(workers)) if rank not in ended.codes]
            _signal(workers, signal.SIGKILL)
        display.show(read_progress(progress))
        time.sleep(POLL_SECONDS)
        ended.codes.update({rank: code for rank, worker in enumerate(workers) if (code := worker.poll()) is not None})
    display.close()
    if stop.raised:
        # SIGTERM ends a rank that does not listen yet.
        nothing_lost = (-signal.SIGTERM,) if patience else (-signal.SIGTERM, -signal.SIGKILL)
        ended.codes = {rank: EXIT_REQUEUE if code in nothing_lost else code for rank, code in ended.codes.items()}
    others = {rank: code for rank, code in ended.codes.items() if rank not in ended.killed}
    if failed_ranks(others):
        ended.codes = others
    return ended


def _time_limit(ended: Ended, stop: StopFlag, patience: float) -> float | None:
    """Seconds that the ranks have to end from now on; None as long as there is no reason to."""
    limits: list[float] = []
    if stop.raised or EXIT_REQUEUE in ended.codes.values():
        limits.append(patience)
    if failed_ranks(ended.codes):
        limits.append(GRACE_SECONDS)
    return min(limits, default=None)


def _signal(workers: list[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    for worker in workers:
        if worker.poll() is None:
            os.killpg(worker.pid, number) if number == signal.SIGKILL else worker.send_signal(number)

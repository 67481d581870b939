"""Starts the ranks of a stage as processes of this machine, watches them, and shows the stage's progress."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline.control.run import FrozenStage
from pipeline.core.context import ATTEMPT_VARIABLE, FINGERPRINT_VARIABLE, PARENT_PIPE_VARIABLE
from pipeline.core.errors import ConfigError
from pipeline.core.installation import python_path
from pipeline.core.progress import read_progress

POLL_SECONDS = 0.2
GRACE_SECONDS = 120.0
"""Time that ranks get to save and end by themselves after one of them failed, or after Ctrl-C."""


def launch(stage: FrozenStage, directory: Path, attempt: int) -> int:
    """Runs a prepared stage and waits until all its ranks have ended.

    A rank that fails takes the others with it: they get SIGTERM, and after GRACE_SECONDS SIGKILL. Each rank is told
    through its standard input, a pipe that nothing is written to, when this process is gone.

    Args:
        stage: the frozen stage; its resources say how many ranks.
        directory: its folder, with the frozen configuration.
        attempt: number of the attempt, whose folder takes the log of each rank.

    Returns:
        The exit code of the first rank that failed, or 0.

    Raises:
        ConfigError: for a stage that wants more than one node.
    """
    ranks = stage.resources["processes_per_node"]
    if stage.resources["nodes"] != 1:
        raise ConfigError(
            f"stages.{stage.stage}.resources.nodes={stage.resources['nodes']}: this machine is one node; "
            "submit with launch/chain.sh, or set it to 1"
        )
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
    return _watch(stage.stage, workers, logs / "progress.json")


def _environment(stage: FrozenStage, ranks: int, attempt: int) -> dict[str, str]:
    """The environment variables of all ranks, with a port that is free now for torch.distributed to meet at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    threads = stage.resources["threads"] or max(1, (os.cpu_count() or 1) // ranks)
    return {
        **os.environ,
        "PYTHONPATH": python_path(),
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": os.environ.get("TOKENIZERS_PARALLELISM", "true"),
        ATTEMPT_VARIABLE: str(attempt),
        FINGERPRINT_VARIABLE: stage.fingerprint,
        PARENT_PIPE_VARIABLE: "1",
    }


def _watch(name: str, workers: list[subprocess.Popen[bytes]], progress: Path) -> int:
    """Waits for all ranks and draws the bar meanwhile, on a terminal; returns the first bad exit code, or 0."""
    failed, deadline = 0, None
    with tqdm(desc=name, unit="", leave=False, disable=None, dynamic_ncols=True) as bar:
        try:
            while any(worker.poll() is None for worker in workers):
                codes = [worker.poll() for worker in workers]
                failures = [code for code in codes if code]
                if failures and deadline is None:
                    failed, deadline = failures[0], time.monotonic() + GRACE_SECONDS
                    _signal(workers, signal.SIGTERM)
                if deadline is not None and time.monotonic() > deadline:
                    _signal(workers, signal.SIGKILL)
                _draw(bar, name, read_progress(progress))
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            _signal(workers, signal.SIGTERM)
            for worker in workers:
                worker.wait(GRACE_SECONDS)
    return failed or next((code for worker in workers if (code := worker.returncode)), 0)


def _signal(workers: list[subprocess.Popen[bytes]], number: signal.Signals) -> None:
    for worker in workers:
        if worker.poll() is None:
            os.killpg(worker.pid, number) if number == signal.SIGKILL else worker.send_signal(number)


def _draw(bar: "tqdm[Any]", name: str, progress: Any) -> None:
    if progress is None or bar.disable:
        return
    label = f"{name}: {progress['label']}" if progress["label"] else name
    if label != bar.desc or progress["total"] != bar.total:
        bar.reset(total=progress["total"])
        bar.initial = progress["done"]
        bar.set_description(label, refresh=False)
        bar.unit = f" {progress['unit']}"
    bar.n = progress["done"]
    bar.set_postfix({key: f"{value:.4g}" for key, value in progress["note"].items()}, refresh=False)
    bar.refresh()

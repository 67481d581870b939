"""Runs a function on real gloo ranks, each its own process."""

import contextlib
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing.spawn import spawn

from pipeline.worker import exit_rank

PORTS = range(20_000, 32_000)
"""Below those that Linux gives to whoever asks for any (32,768 and above): a connection cannot take one meanwhile."""


def free_port() -> int:
    """A port of this machine that nobody listens on; random, so that tests side by side do not get the same one."""
    while True:
        # Not of `random`, which two workers of pytest may have with the same seed.
        port = PORTS[secrets.randbelow(len(PORTS))]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def run_on_ranks(function: Callable[..., None], ranks: int, *arguments: Any) -> None:
    """Calls `function(*arguments)` on `ranks` processes with RANK and the like set; raises if one fails."""
    spawn(_rank, args=(ranks, free_port(), function, arguments), nprocs=ranks, join=True)


def _rank(rank: int, ranks: int, port: int, function: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(ranks),
        LOCAL_WORLD_SIZE=str(ranks),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        # accelerate sets the number of threads by it.
        OMP_NUM_THREADS="1",
    )
    torch.set_num_threads(1)
    function(*arguments)
    exit_rank(0)


def save(path: Path, value: Any) -> None:
    """Saves tensors from rank 0 for the test to look at."""
    if os.environ["RANK"] == "0":
        torch.save(value, path)

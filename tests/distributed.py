"""Runs a function on real gloo ranks, each its own process."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing.spawn import spawn

from pipeline.core.ports import free_port
from pipeline.worker import exit_rank


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

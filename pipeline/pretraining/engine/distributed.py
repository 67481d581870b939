"""What ranks do together: agree, add up, wait; over torch.distributed, which DeepSpeed and Accelerate both start.

A process without a process group is the only rank, so that every function here also serves a stage that runs alone.
Nothing here imports DeepSpeed. What is called a collective must be called by all ranks, in the same order: a rank that
leaves one out makes the others wait until the process group's time limit. Where ranks read or write files in between,
the limit is lifted by `waiting_for_files`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed

from pipeline.core.context import StageContext
from pipeline.core.errors import Requeue

PATIENCE = timedelta(days=1)
"""How long ranks wait for one that reads or writes files: longer than any of it takes. A rank that died is not waited
for: gloo notices its closed connections, and launchers end the others."""


def is_distributed() -> bool:
    """Whether this process has joined a process group, be it one of a single rank."""
    return distributed.is_available() and distributed.is_initialized()


def rank() -> int:
    """This process's number in the process group, from 0."""
    return distributed.get_rank() if is_distributed() else 0


def world_size() -> int:
    """The number of ranks in the process group, 1 without one."""
    return distributed.get_world_size() if is_distributed() else 1


def device() -> torch.device:
    """The GPU that this process has made its current one, or the CPU where there is none."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def barrier() -> None:
    """Waits until all ranks have come here; a collective."""
    if is_distributed():
        distributed.barrier()


def time_limits() -> dict[Any, timedelta]:
    """How long this rank waits in a collective before it gives up with an error, by process group that it is in.

    DeepSpeed has a group of its own beside the default one. Without a process group the answer is empty.
    """
    # torch has no public names for its groups and their limits; torchtitan sets limits in this way too.
    groups: Any = distributed.distributed_c10d._world.pg_map if is_distributed() else ()
    return {group: group._get_backend(group._device_types[0]).options._timeout for group in groups}


def set_time_limit(limit: timedelta) -> None:
    """Sets the limit of all process groups that there are, see `time_limits`; collectives that have begun keep theirs.

    Without a process group nothing is set.
    """
    _set_time_limits(dict.fromkeys(time_limits(), limit))


def _set_time_limits(limits: dict[Any, timedelta]) -> None:
    for group, limit in limits.items():
        distributed.distributed_c10d._set_pg_timeout(limit, group)


@contextmanager
def waiting_for_files() -> Iterator[None]:
    """Inside, this rank waits in collectives as long as others read or write files, however slow these are.

    Elsewhere a rank that is missing for minutes is taken for hung, after the process group's time limit (NCCL then
    aborts the process). What DeepSpeed and transformers do inside counts as well, in every process group that there is
    on entering. All ranks must go through it: entering is no collective, but leaving waits for the others, unless by
    an exception.
    """
    before = time_limits()
    set_time_limit(PATIENCE)
    try:
        yield
        barrier()
    finally:
        _set_time_limits(before)


def sum_over_ranks(value: Tensor) -> Tensor:
    """The elementwise sum of a tensor over all ranks, as a new tensor that every rank gets; a collective.

    Args:
        value: of the same shape and type on all ranks, on the device that the process group's backend works on (NCCL:
            the GPU, gloo: the CPU); see `device`.
    """
    total = value.clone()
    if is_distributed():
        distributed.all_reduce(total)
    return total


def any_rank(flag: bool) -> bool:
    """Whether the flag is set on at least one rank, the same answer on all; a collective.

    With it ranks agree to stop at the same step when a signal reached one of them only.
    """
    return any_rank_each(flag)[0]


def any_rank_each(*flags: bool) -> list[bool]:
    """For each of several flags what `any_rank` says of it, in one collective."""
    return [count > 0 for count in sum_over_ranks(torch.tensor(list(map(int, flags)), device=device())).tolist()]


def requeue_if_stopped(context: StageContext[Any], doing: str) -> None:
    """Ends a stage's work between two parts of it once a stop signal reached any rank; a collective.

    Args:
        context: of the stage.
        doing: what is not finished, for the message.

    Raises:
        Requeue: on all ranks, if it did.
    """
    if any_rank(context.stop_requested()):
        raise Requeue(f"stopped by a signal during {doing}")


def gather_objects(value: Any) -> list[Any]:
    """The values that the ranks pass, in the order of the ranks, on every rank; a collective. They are pickled."""
    values: list[Any] = [value] * world_size()
    if is_distributed():
        distributed.all_gather_object(values, value)
    return values

"""What ranks do together: agree, add up, wait; over torch.distributed, which DeepSpeed and Accelerate both start.

A process without a process group is the only rank, so that every function here also serves a stage that runs alone.
Nothing here imports DeepSpeed. What is called a collective must be called by all ranks, in the same order: a rank that
leaves one out makes the others wait until the process group's time limit.
"""

from typing import Any

import torch
from torch import Tensor, distributed


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
    return bool(sum_over_ranks(torch.tensor([int(flag)], device=device())).item())


def gather_objects(value: Any) -> list[Any]:
    """The values that the ranks pass, in the order of the ranks, on every rank; a collective. They are pickled."""
    values: list[Any] = [value] * world_size()
    if is_distributed():
        distributed.all_gather_object(values, value)
    return values

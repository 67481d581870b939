"""DeepSpeed's engine around the model: one place that turns a phase's settings into DeepSpeed's."""

import os
import socket
from typing import Any

import deepspeed
import torch
from deepspeed import comm
from deepspeed.accelerator import get_accelerator
from torch import Tensor

from pipeline.pretraining import moments
from pipeline.pretraining.config import PhaseConfig, accumulation_steps
from pipeline.pretraining.model import TrainingModel, parameter_groups


def deepspeed_config(phase: PhaseConfig, world_size: int) -> dict[str, Any]:
    """DeepSpeed's configuration for a phase.

    Raises:
        ConfigError: if a step does not divide among the ranks.
    """
    return {
        "train_micro_batch_size_per_gpu": phase.sequences_per_rank,
        "gradient_accumulation_steps": accumulation_steps(phase, world_size),
        "gradient_clipping": phase.optimizer.gradient_clipping,
        "bf16": {"enabled": phase.precision == "bf16"},
        # DeepSpeed accumulates in the model's type unless told (deepspeedai/DeepSpeed#1800).
        "data_types": {"grad_accum_dtype": "fp32"},
        # The client's torch AdamW is what the checks against plain AdamW run with.
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        **phase.deepspeed,
    }


def start_engine(model: TrainingModel, phase: PhaseConfig, world_size: int) -> deepspeed.DeepSpeedEngine:
    """The engine of a phase, over the ranks of the environment (a single rank without one)."""
    start_communication()
    optimizer = torch.optim.AdamW(
        parameter_groups(model, phase.model, phase.optimizer),
        lr=0.0,
        betas=phase.optimizer.betas,
        eps=phase.optimizer.epsilon,
    )
    engine, *_ = deepspeed.initialize(
        model=model, optimizer=optimizer, config=deepspeed_config(phase, world_size), dist_init_required=False
    )
    moments.allocate(engine)
    return engine


def prepare_process_group() -> None:
    """What DeepSpeed's communication needs before it starts: a process that no launcher started is a group of one."""
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}.items():
        os.environ.setdefault(name, value)
    if "MASTER_PORT" not in os.environ:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            os.environ["MASTER_PORT"] = str(probe.getsockname()[1])
    # DeepSpeed would compile a shared-memory all-reduce that only inference uses: half a minute, and a compiler
    # that a newcomer may not have.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def start_communication() -> None:
    """Joins the other ranks: NCCL on GPUs, gloo on CPU."""
    if comm.is_initialized():
        return
    prepare_process_group()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        deepspeed.init_distributed("nccl")
    else:
        deepspeed.init_distributed("gloo")


def end_communication() -> None:
    """Waits for the other ranks and leaves them: one that exits while its peers still talk to it can abort."""
    comm.barrier()
    comm.destroy_process_group()


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of a tensor over all ranks."""
    total = value.clone()
    comm.all_reduce(total)
    return total


def any_rank(flag: bool) -> bool:
    """True on every rank if the flag is set on one: how ranks agree to stop at the same step."""
    return bool(sum_over_ranks(torch.tensor([int(flag)], device=device())).item())


def device() -> torch.device:
    """This rank's device."""
    accelerator: Any = get_accelerator()
    return torch.device(accelerator.current_device_name())

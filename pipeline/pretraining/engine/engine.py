"""DeepSpeed's engine around the model: one place that turns a phase's settings into DeepSpeed's."""

import math
import os
import socket
from typing import Any

import deepspeed
import torch
from deepspeed import comm

from pipeline.pretraining.config import PhaseConfig, accumulation_steps
from pipeline.pretraining.engine import optimizer_state as moments
from pipeline.pretraining.engine.distributed import device, sum_over_ranks
from pipeline.pretraining.engine.step_guard import GuardedAdamW, StepGuard
from pipeline.pretraining.model.model import TrainingModel, parameter_groups


def deepspeed_config(phase: PhaseConfig, world_size: int, universal: bool = False) -> dict[str, Any]:
    """DeepSpeed's configuration for a phase.

    Args:
        phase: its settings.
        world_size: ranks.
        universal: whether a checkpoint will be loaded that was converted for another number of ranks.

    Raises:
        ConfigError: if a step does not divide among the ranks.
    """
    return {
        "train_micro_batch_size_per_gpu": phase.sequences_per_rank,
        "gradient_accumulation_steps": accumulation_steps(phase, world_size),
        # Without ZeRO the optimizer clips itself: DeepSpeed would not say what the norm was.
        "gradient_clipping": phase.optimizer.gradient_clipping if phase.zero_stage else 0.0,
        "checkpoint": {"load_universal": universal},
        "bf16": {"enabled": phase.precision == "bf16"},
        # DeepSpeed accumulates in the model's type unless told (deepspeedai/DeepSpeed#1800).
        "data_types": {"grad_accum_dtype": "fp32"},
        # The client's torch AdamW is what the checks against plain AdamW run with.
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        **phase.deepspeed,
    }


def start_engine(
    model: TrainingModel, phase: PhaseConfig, world_size: int, universal: bool = False
) -> deepspeed.DeepSpeedEngine:
    """The engine of a phase, over the ranks of the environment (a single rank without one); see `deepspeed_config`."""
    start_communication()
    optimizer = GuardedAdamW(
        parameter_groups(model, phase.model, phase.optimizer),
        StepGuard(phase.skip),
        betas=phase.optimizer.betas,
        eps=phase.optimizer.epsilon,
        # One pass over weights and moments on CPU; on a GPU torch's default goes over many tensors at a time.
        fused=not torch.cuda.is_available(),
    )
    engine, *_ = deepspeed.initialize(
        model=model,
        optimizer=optimizer,
        config=deepspeed_config(phase, world_size, universal),
        dist_init_required=False,
    )
    if phase.zero_stage:
        wrapper: Any = engine.optimizer
        # The engine asks for the same attribute, after the step.
        optimizer.norm = lambda: float(wrapper._global_grad_norm)
    else:
        most = phase.optimizer.gradient_clipping
        optimizer.norm = lambda: float(torch.nn.utils.clip_grad_norm_(model.parameters(), most))
    moments.allocate(engine)
    return engine


def update_norm(engine: deepspeed.DeepSpeedEngine) -> float:
    """Length of the last step's change of all weights, if it was measured. A collective."""
    optimizer = moments.base_optimizer(engine)
    squared = float(sum_over_ranks(torch.tensor(optimizer.squared_update, dtype=torch.float64, device=device())))
    # Without ZeRO every rank steps all weights.
    return math.sqrt(squared / (engine.world_size if moments.is_plain(engine) else 1))


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

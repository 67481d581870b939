"""DeepSpeed's engine around the model: the one place that turns a phase's settings into DeepSpeed's."""

import math
import os
from datetime import timedelta
from typing import Any

import deepspeed
import torch
from deepspeed import comm
from deepspeed.constants import default_pg_timeout
from deepspeed.utils import groups

from pipeline.core.ports import free_port
from pipeline.pretraining.config import PhaseConfig, accumulation_steps
from pipeline.pretraining.engine import optimizer_state
from pipeline.pretraining.engine.distributed import (
    PATIENCE,
    device,
    set_time_limit,
    sum_over_ranks,
    waiting_for_files,
)
from pipeline.pretraining.engine.learning_rate import parameter_groups
from pipeline.pretraining.engine.step_guard import GuardedAdamW, StepGuard
from pipeline.pretraining.model.model import TrainingModel


def deepspeed_config(phase: PhaseConfig, world_size: int, universal: bool = False) -> dict[str, Any]:
    """DeepSpeed's configuration for a phase: the phase's own `deepspeed` settings, and what follows from the others.

    Args:
        phase: settings of the phase.
        world_size: number of ranks.
        universal: whether a universal checkpoint will be loaded, see `StepCheckpoints`.

    Raises:
        ConfigError: if a step's sequences do not divide among the ranks.
    """
    return {
        "train_micro_batch_size_per_gpu": phase.sequences_per_rank,
        "gradient_accumulation_steps": accumulation_steps(phase, world_size),
        # Without ZeRO the optimizer clips itself: DeepSpeed would not say what the norm was.
        "gradient_clipping": phase.optimizer.gradient_clipping if phase.zero_stage else 0.0,
        "checkpoint": {"load_universal": universal},
        "bf16": {"enabled": phase.precision == "bf16"},
        # DeepSpeed accumulates in the model's type unless told (deepspeedai/DeepSpeed#1800), and adds up over ranks in
        # it: with one micro-batch to a step nothing of the fp32 accumulator would be left.
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        # The client's torch AdamW is what the checks against plain AdamW run with.
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        **phase.deepspeed,
    }


def start_engine(
    model: TrainingModel, phase: PhaseConfig, world_size: int, universal: bool = False
) -> deepspeed.DeepSpeedEngine:
    """The engine of a phase, with a guarded AdamW whose state is allocated and zero; a collective.

    Joins the process group if that was not done. Arguments and errors are those of `deepspeed_config`.
    """
    join_process_group()
    optimizer = GuardedAdamW(
        parameter_groups(model, phase.shape, phase.optimizer),
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
        optimizer.global_gradient_norm = lambda: float(wrapper._global_grad_norm)
    else:
        limit = phase.optimizer.gradient_clipping
        optimizer.global_gradient_norm = lambda: float(torch.nn.utils.clip_grad_norm_(model.parameters(), limit))
    optimizer_state.allocate_moments(engine)
    return engine


def update_norm(engine: deepspeed.DeepSpeedEngine) -> float:
    """L2 norm of the last step's change of the weights, all of them together; a collective.

    It is 0 if the step was skipped, or if the optimizer's `measures_update` was not set before it.
    """
    optimizer = optimizer_state.base_optimizer(engine)
    squared = torch.tensor(optimizer.squared_update, dtype=torch.float64, device=device())
    # Without ZeRO every rank steps all weights.
    ranks_per_weight = engine.world_size if optimizer_state.is_unwrapped(engine) else 1
    return math.sqrt(float(sum_over_ranks(squared)) / ranks_per_weight)


def prepare_process_group() -> None:
    """Sets what DeepSpeed needs before a process group starts; a process that no launcher started is a group of one.

    The environment variables of a rank get values where they have none, the port one that is free.
    """
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}.items():
        os.environ.setdefault(name, value)
    if "MASTER_PORT" not in os.environ:
        os.environ["MASTER_PORT"] = str(free_port())
    # On CPUs DeepSpeed would compile a shared-memory all-reduce that only inference uses: half a minute, and a compiler
    # that a newcomer may not have. On GPUs it has none, and the table of what it could compile starts compilers.
    if not torch.cuda.is_available():
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def join_process_group(shortest_limit: timedelta = timedelta(0)) -> None:
    """Joins the other ranks, over NCCL on GPUs and gloo on CPUs; a collective. Nothing happens a second time.

    The others are waited for as long as they read their inputs. From then on the time limit of collectives is
    DeepSpeed's, ten minutes unless the environment variable DEEPSPEED_TIMEOUT says otherwise.

    Args:
        shortest_limit: the time limit where DeepSpeed's is shorter.
    """
    prepare_process_group()
    if comm.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    comm.barrier()
    # The group of all ranks that ZeRO works in. DeepSpeed would make it later, with torch's limit instead of its own,
    # and when it loads a checkpoint right after, `waiting_for_files` would not have found it.
    groups._clone_world_group()
    set_time_limit(max(default_pg_timeout, shortest_limit))


def leave_process_group() -> None:
    """Waits for the other ranks, as long as they write files, and ends communication with them; a collective.

    A rank that exits while others still talk to it can make them abort.
    """
    with waiting_for_files():
        comm.barrier()
    comm.destroy_process_group()

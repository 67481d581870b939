"""The training state, fp32 weights and AdamW's moments, as whole tensors by parameter name, whoever holds their parts.

It is what one phase hands to the next: whatever ZeRO stage and number of ranks wrote it, any other reads it. Keys are
`master.<parameter>` for the fp32 weights and `exp_avg.<parameter>` and `exp_avg_sq.<parameter>` for AdamW's moments
(Kingma and Ba 2015); every tensor has the shape of its parameter.

Who holds what: without ZeRO, in fp32, the engine steps our AdamW on the model's own parameters ("unwrapped" below).
Otherwise `engine.optimizer` is ZeRO's wrapper around it, which has it step flat fp32 copies: under ZeRO-1 and 2 a rank
has a slice of each parameter group's flat copy, under ZeRO-3 a slice of every parameter. DeepSpeed's `safe_get_full_*`
and `safe_set_full_*` find a parameter's slices in them, and gather or distribute the whole; they are collectives.
"""

from collections.abc import Iterator
from typing import Any

import deepspeed
import torch
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
)
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")
"""torch's and DeepSpeed's names of AdamW's first and second moment."""
MASTER = "master"


def wrapped_optimizer(engine: deepspeed.DeepSpeedEngine) -> Any:
    """The engine's optimizer: ZeRO's wrapper around AdamW, or AdamW itself where nothing wraps it."""
    # The engine's own annotation names twenty classes.
    return engine.optimizer


def base_optimizer(engine: deepspeed.DeepSpeedEngine) -> Any:
    """The AdamW that steps, inside ZeRO's wrapper if there is one."""
    return wrapped_optimizer(engine) if is_unwrapped(engine) else wrapped_optimizer(engine).optimizer


def is_unwrapped(engine: deepspeed.DeepSpeedEngine) -> bool:
    """Whether the engine steps our AdamW itself, on whole parameters: without ZeRO and in fp32."""
    optimizer = wrapped_optimizer(engine)
    return isinstance(optimizer, torch.optim.Optimizer) and not hasattr(optimizer, "optimizer")


def allocate_moments(engine: deepspeed.DeepSpeedEngine) -> None:
    """Makes the zero moments that AdamW would make at its first step.

    DeepSpeed can set and read moments only where they exist, which must be so before the first step: a phase starts
    from those of the phase before.
    """
    base, wrapper = base_optimizer(engine), wrapped_optimizer(engine)
    if hasattr(wrapper, "fp32_partitioned_groups_flat"):  # ZeRO-3 keeps its flat partitions outside the groups
        flat = list(wrapper.fp32_partitioned_groups_flat)
    else:
        flat = [parameter for group in base.param_groups for parameter in group["params"]]
    for parameter in flat:
        base.state[parameter] = {
            "step": torch.tensor(0.0),
            **{moment: torch.zeros_like(parameter.data) for moment in MOMENTS},
        }
    link_moments(engine)


def link_moments(engine: deepspeed.DeepSpeedEngine) -> None:
    """Makes ZeRO-1 and 2 find each parameter's slices in the flat moments; to be called whenever these are replaced.

    ZeRO keeps with each low-precision parameter a map to its slices of the flat copies. DeepSpeed 0.19.8 adds the
    moments to that map once, after the first parameter group's first step, when the other groups have no moments yet
    (`stage_1_and_2.py`, `_optimizer_step`), and not again after it loads a checkpoint, which drops the maps. Other
    stages have nothing to link.
    """
    wrapper = wrapped_optimizer(engine)
    if hasattr(wrapper, "_hp_optimizer_states_linked"):
        wrapper._hp_optimizer_states_linked = False
        wrapper._lazy_init_hp_params_optimizer_state()


def gather_training_state(engine: deepspeed.DeepSpeedEngine) -> dict[str, Tensor]:
    """All weights and moments of the engine, fp32 on the CPU, by the keys above; a collective.

    Parameter by parameter the ranks' slices are gathered on the device and copied, so that the device needs room for
    one whole tensor only; every rank gets all, and needs 12 bytes of main memory per parameter.
    """
    state = {}
    for name, parameter in _named_parameters(engine):
        state[f"{MASTER}.{name}"] = _full_tensor(engine, parameter, None)
        for moment in MOMENTS:
            state[f"{moment}.{name}"] = _full_tensor(engine, parameter, moment)
    return state


def has_moments(state: dict[str, Tensor]) -> bool:
    """Whether a training state has AdamW's moments beside the weights; that of an imported model has none."""
    return any(name.startswith(f"{MOMENTS[0]}.") for name in state)


def restore_training_state(engine: deepspeed.DeepSpeedEngine, state: dict[str, Tensor], step_count: int) -> None:
    """Puts whole weights and moments into an engine of any ZeRO stage, each rank taking its slices; a collective.

    Args:
        engine: with moments that are allocated.
        state: by the keys above, the same on all ranks.
        step_count: steps that AdamW has made, which its bias correction needs.
    """
    for each in base_optimizer(engine).state.values():
        each["step"].fill_(float(step_count))
    for name, parameter in _named_parameters(engine):
        for moment in MOMENTS:
            value = state[f"{moment}.{name}"].to(parameter.device)
            if is_unwrapped(engine):
                wrapped_optimizer(engine).state[parameter][moment].copy_(value)
            else:
                safe_set_full_optimizer_state(parameter, value, moment)
    set_weights(engine, state)


def set_weights(engine: deepspeed.DeepSpeedEngine, state: dict[str, Tensor]) -> None:
    """Sets every parameter to its `master.<parameter>`, moments untouched; a collective.

    Both copies are set: the fp32 weights that are stepped, and those that compute, in the engine's precision.
    """
    for name, parameter in _named_parameters(engine):
        value = state[f"{MASTER}.{name}"].to(parameter.device)
        if not is_unwrapped(engine):
            safe_set_full_fp32_param(parameter, value)
        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0, enabled=hasattr(parameter, "ds_id")):
            parameter.data.copy_(value)


def adam_step_count(engine: deepspeed.DeepSpeedEngine) -> int:
    """The steps that AdamW has made, over all phases, without those that the step guard skipped."""
    state: Any = next(iter(base_optimizer(engine).state.values()))
    return int(state["step"])


def _full_tensor(engine: deepspeed.DeepSpeedEngine, parameter: nn.Parameter, moment: str | None) -> Tensor:
    """A parameter's fp32 weights, or a moment of it, as a whole on the CPU; a collective under ZeRO."""
    value: Any
    if is_unwrapped(engine):
        value = parameter.data if moment is None else wrapped_optimizer(engine).state[parameter][moment]
    elif moment is None:
        value = safe_get_full_fp32_param(parameter)
    else:
        value = safe_get_full_optimizer_state(parameter, moment)
    return value.detach().float().cpu().clone()


def _named_parameters(engine: deepspeed.DeepSpeedEngine) -> Iterator[tuple[str, nn.Parameter]]:
    module: Any = engine.module
    yield from module.named_parameters()

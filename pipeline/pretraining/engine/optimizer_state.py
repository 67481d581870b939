"""AdamW's state as whole tensors by parameter name, whatever DeepSpeed's stage and number of ranks.

What one phase hands to the next: any stage and world size reads what any other wrote.
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
MASTER = "master"


def optimizer_of(engine: deepspeed.DeepSpeedEngine) -> Any:
    """The engine's optimizer: torch's own, or ZeRO's wrapper around it. The engine's annotation names 20 classes."""
    return engine.optimizer


def allocate(engine: deepspeed.DeepSpeedEngine) -> None:
    """Makes the zero state that AdamW would make at its first step: DeepSpeed's setters need it to exist."""
    base, wrapper = base_optimizer(engine), optimizer_of(engine)
    if hasattr(wrapper, "fp32_partitioned_groups_flat"):  # ZeRO-3 keeps its flat partitions outside the groups
        flat = list(wrapper.fp32_partitioned_groups_flat)
    else:
        flat = [parameter for group in base.param_groups for parameter in group["params"]]
    for parameter in flat:
        base.state[parameter] = {
            "step": torch.tensor(0.0),
            **{moment: torch.zeros_like(parameter.data) for moment in MOMENTS},
        }
    link(engine)


def link(engine: deepspeed.DeepSpeedEngine) -> None:
    """Connects ZeRO-1 and 2's parameters to their slices of the moments, so that these can be read and set.

    DeepSpeed 0.19.8 does so once, after the first group's first step, when the other groups have no moments yet
    (`stage_1_and_2.py`, `_optimizer_step`), and not again after it loads a checkpoint, which drops the links.
    """
    wrapper = optimizer_of(engine)
    if hasattr(wrapper, "_hp_optimizer_states_linked"):
        wrapper._hp_optimizer_states_linked = False
        wrapper._lazy_init_hp_params_optimizer_state()


def gather(engine: deepspeed.DeepSpeedEngine) -> dict[str, Tensor]:
    """`master`, `exp_avg` and `exp_avg_sq` of every parameter in fp32 on the CPU, keyed `<what>.<parameter>`.

    A collective: every rank calls it and gets all.
    """
    state = {}
    for name, parameter in _named(engine):
        state[f"{MASTER}.{name}"] = _whole(engine, parameter, None)
        for moment in MOMENTS:
            state[f"{moment}.{name}"] = _whole(engine, parameter, moment)
    return state


def scatter(engine: deepspeed.DeepSpeedEngine, state: dict[str, Tensor], step: int) -> None:
    """Puts gathered state, weights included, into an engine.

    Args:
        engine: of any ZeRO stage.
        state: what `gather` gave.
        step: AdamW's step count, which its bias correction needs.
    """
    for each in base_optimizer(engine).state.values():
        each["step"].fill_(float(step))
    for name, parameter in _named(engine):
        for moment in MOMENTS:
            value = state[f"{moment}.{name}"].to(parameter.device)
            if is_plain(engine):
                optimizer_of(engine).state[parameter][moment].copy_(value)
            else:
                safe_set_full_optimizer_state(parameter, value, moment)
    set_weights(engine, state)


def set_weights(engine: deepspeed.DeepSpeedEngine, state: dict[str, Tensor]) -> None:
    """Sets every parameter to its `master.<parameter>`: the fp32 weights that are stepped, and those that compute."""
    for name, parameter in _named(engine):
        value = state[f"{MASTER}.{name}"].to(parameter.device)
        if not is_plain(engine):
            safe_set_full_fp32_param(parameter, value)
        with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0, enabled=hasattr(parameter, "ds_id")):
            parameter.data.copy_(value)


def adam_step(engine: deepspeed.DeepSpeedEngine) -> int:
    """AdamW's step count."""
    state: Any = next(iter(base_optimizer(engine).state.values()))
    return int(state["step"])


def _whole(engine: deepspeed.DeepSpeedEngine, parameter: nn.Parameter, moment: str | None) -> Tensor:
    value: Any
    if is_plain(engine):
        value = parameter.data if moment is None else optimizer_of(engine).state[parameter][moment]
    elif moment is None:
        value = safe_get_full_fp32_param(parameter)
    else:
        value = safe_get_full_optimizer_state(parameter, moment)
    return value.detach().float().cpu().clone()


def _named(engine: deepspeed.DeepSpeedEngine) -> Iterator[tuple[str, nn.Parameter]]:
    module: Any = engine.module
    yield from module.named_parameters()


def base_optimizer(engine: deepspeed.DeepSpeedEngine) -> Any:
    """The AdamW that steps, inside ZeRO's wrapper if there is one."""
    return optimizer_of(engine) if is_plain(engine) else optimizer_of(engine).optimizer


def is_plain(engine: deepspeed.DeepSpeedEngine) -> bool:
    """True without ZeRO and in fp32: the engine then steps the client's AdamW itself."""
    optimizer = optimizer_of(engine)
    return isinstance(optimizer, torch.optim.Optimizer) and not hasattr(optimizer, "optimizer")

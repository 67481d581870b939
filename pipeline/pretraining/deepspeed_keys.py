"""Which keys of DeepSpeed's configuration a stage takes in its setting `deepspeed`; read without DeepSpeed.

DeepSpeed 0.19.8 ignores what it does not know, so that a misspelled key changes nothing, and takes a batch size or a
precision of its own, so that the engine does something else than the stage reports. A stage therefore takes the keys
below and no others: how optimizer state is divided, what travels between ranks, and what is measured.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import AfterValidator

from pipeline.core.config import nearest

KEYS = (
    "zero_optimization", "communication_data_type", "seq_parallel_communication_data_type", "prescale_gradients",
    "gradient_predivide_factor", "aio", "steps_per_print", "wall_clock_breakdown", "memory_breakdown", "dump_state",
    "disable_python_gc", "log_level", "timers", "flops_profiler", "comms_logger", "tensorboard", "csv_monitor",
)  # fmt: skip
"""Keys that a stage may set."""
ZERO_KEYS = (
    "stage", "contiguous_gradients", "reduce_scatter", "reduce_bucket_size", "use_multi_rank_bucket_allreduce",
    "allgather_partitions", "allgather_bucket_size", "overlap_comm", "offload_param", "offload_optimizer",
    "sub_group_size", "stage3_prefetch_bucket_size", "stage3_param_persistence_threshold",
    "stage3_model_persistence_threshold", "stage3_max_live_parameters", "stage3_max_reuse_distance",
    "stage3_gather_16bit_weights_on_model_save", "stage3_module_granularity_threshold",
    "stage3_use_all_reduce_for_fetch_params", "stage3_allgather_sequential", "ignore_unused_parameters",
    "round_robin_gradients", "zero_hpz_partition_size", "zero_quantized_weights",
    "zero_quantized_nontrainable_weights", "zero_quantized_gradients", "memory_efficient_linear",
    "pipeline_loading_checkpoint", "override_module_apply", "log_trace_cache_warnings", "enable_sanity_checks",
)  # fmt: skip
"""Keys inside `zero_optimization`: DeepSpeed's, without those that are deprecated, train by another law, or leave out
the gradient norm that the step guard reads."""
STAGES = (0, 1, 2, 3)
"""ZeRO's stages."""
COMMON_OWNED = {
    "data_types": "gradients are always added up in fp32, leave it out",
    "checkpoint": "checkpoints are the stage's own, leave it out",
    "zero_allow_untested_optimizer": "the optimizer is the stage's own, leave it out",
    "zero_force_ds_cpu_optimizer": "the optimizer is the stage's own, leave it out",
    "gradient_allreduce_op": "gradients are scaled for a mean over ranks, leave it out",
}
"""Keys that every stage sets itself, with what to do instead."""


def deepspeed_keys(owned: Mapping[str, str]) -> AfterValidator:
    """What an annotation of a stage's `deepspeed` carries, so that `pipeline.core.config.build` checks its keys.

    Args:
        owned: keys of DeepSpeed that the stage sets itself, with what the user is to set instead.
    """
    own = {**COMMON_OWNED, **owned}

    def check(settings: dict[str, Any]) -> dict[str, Any]:
        for key in settings:
            if key in own:
                raise ValueError(f"{key} is not taken from here: {own[key]}")
            if key not in KEYS:
                raise ValueError(f"{key} is no key that a stage takes, {nearest(key, KEYS)}")
        zero: Any = settings.get("zero_optimization", {})
        if not isinstance(zero, dict):
            raise ValueError(f"zero_optimization is {zero!r}, set keys of ZeRO, such as {{stage: 1}}")
        for key in zero:
            if key not in ZERO_KEYS:
                raise ValueError(f"zero_optimization.{key} is no key that a stage takes, {nearest(key, ZERO_KEYS)}")
            if isinstance(zero[key], int | float) and zero[key] < 0:
                raise ValueError(f"zero_optimization.{key} is {zero[key]}, set 0 or more")
        stage = zero.get("stage", 0)
        # `in` alone would find True, which equals 1.
        if type(stage) is not int or stage not in STAGES:
            raise ValueError(f"zero_optimization.stage is {stage!r}, set 0, 1, 2 or 3")
        return settings

    return AfterValidator(check)

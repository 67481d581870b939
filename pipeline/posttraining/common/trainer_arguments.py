"""From a stage's settings to the arguments TRL's trainers share."""

from __future__ import annotations

from typing import Any

import torch

from pipeline.core.context import StageContext
from pipeline.core.errors import ConfigError
from pipeline.posttraining.common.config import TrainingConfig
from pipeline.pretraining.engine.engine import prepare_process_group


def accumulation_steps(what: str, total: int, per_device: int, world_size: int) -> int:
    """Forward passes of each rank in one optimizer step, printing the arithmetic.

    Raises ConfigError when the ranks cannot share the step's sequences evenly.
    """
    together = per_device * world_size
    if total % together:
        raise ConfigError(
            f"{total} {what} per step do not divide by {per_device} per device x {world_size} ranks, "
            f"set a multiple of {together} per step or fewer per device"
        )
    steps = total // together
    print(f"{total} {what} per step = {per_device} per device x {world_size} ranks x {steps} accumulated")
    return steps


def deepspeed_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    """DeepSpeed's configuration: what the stage sets, completed by what every trainer here needs.

    The optimizer is torch's AdamW: DeepSpeed's fused ones would have to be compiled, and the gain is small
    beside generation.
    """
    parameters = dict.fromkeys(("lr", "betas", "eps", "weight_decay"), "auto")
    complete = {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        # Gradients of many micro-batches lose their small terms when they are added up in bfloat16.
        "data_types": {"grad_accum_dtype": "fp32"},
        "optimizer": {"type": "AdamW", "params": {**parameters, "torch_adam": True, "adam_w_mode": True}},
        **settings,
    }
    zero = dict(complete.get("zero_optimization", {}))
    if zero.get("stage") == 3:
        # Otherwise a saved checkpoint would hold empty shards.
        zero.setdefault("stage3_gather_16bit_weights_on_model_save", True)
    return {**complete, "zero_optimization": zero}


def common_arguments(context: StageContext[Any], config: TrainingConfig) -> dict[str, Any]:
    """Keyword arguments of transformers' TrainingArguments which SFT, reward and GRPO trainers share."""
    prepare_process_group()
    return {
        "output_dir": str(context.state),
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.lr_schedule,
        # transformers 5: below 1 it is a share of all steps.
        "warmup_steps": config.warmup_fraction,
        "weight_decay": config.weight_decay,
        "adam_beta1": config.adam_beta1,
        "adam_beta2": config.adam_beta2,
        "max_grad_norm": config.max_grad_norm,
        "bf16": config.bf16,
        "gradient_checkpointing": config.gradient_checkpointing,
        "deepspeed": deepspeed_arguments(config.deepspeed),
        "seed": context.derive_seed("trainer") % 2**31,
        "save_strategy": "steps",
        "save_steps": config.save_every_steps,
        # A new checkpoint counts only once its description is written, so the one before it has to stay.
        "save_total_limit": 2,
        "logging_steps": config.log_every_steps,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
        "model_init_kwargs": model_arguments(config),
    }


def model_arguments(config: TrainingConfig) -> dict[str, Any]:
    """Keyword arguments for loading the model to train."""
    # DeepSpeed makes the float32 master weights from bfloat16 ones itself.
    dtype = "bfloat16" if config.bf16 else "float32"
    return {"dtype": dtype, "attn_implementation": config.attention}

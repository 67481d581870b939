"""From a stage's settings to the arguments that all of TRL's trainers take."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch

from pipeline.core.batching import StepSize
from pipeline.core.context import StageContext
from pipeline.core.errors import ConfigError
from pipeline.posttraining.common.config import TrainingConfig
from pipeline.pretraining.engine.engine import join_process_group

TIME_LIMIT = timedelta(minutes=30)
"""How long ranks wait in a collective, at least: generation takes ranks unequally long. transformers' own default."""


def batch_arguments(context: StageContext[Any], size: StepSize) -> dict[str, Any]:
    """Keyword arguments of TrainingArguments for the size of a step, whose arithmetic is printed to the log.

    Args:
        context: of the stage.
        size: samples of an optimizer step, over all ranks, and in one forward pass of one rank.

    Raises:
        ConfigError: if the ranks cannot share a step's samples evenly.
    """
    try:
        accumulated, arithmetic = size.shared_by(context.world_size)
    except ConfigError as error:
        raise ConfigError(f"stages.{context.stage}.config.{error}") from None
    print(arithmetic)
    return {"per_device_train_batch_size": size.micro_batch, "gradient_accumulation_steps": accumulated}


def deepspeed_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    """DeepSpeed's configuration: what the stage sets, and for what it leaves out, what every trainer here needs.

    `auto` takes the value from TrainingArguments. The optimizer is torch's AdamW: DeepSpeed's fused ones would have to
    be compiled, and the time they save is small beside that of generation.
    """
    parameters = dict.fromkeys(("lr", "betas", "eps", "weight_decay"), "auto")
    complete = {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        # Gradients of many micro-batches or ranks lose their small terms when they are added up in bfloat16.
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        "optimizer": {"type": "AdamW", "params": {**parameters, "torch_adam": True, "adam_w_mode": True}},
        **settings,
    }
    zero = dict(complete.get("zero_optimization", {}))
    if zero.get("stage") == 3:
        # Otherwise the weights that transformers saves are empty: each rank has only its part of them.
        zero.setdefault("stage3_gather_16bit_weights_on_model_save", True)
    return {**complete, "zero_optimization": zero}


def common_arguments(context: StageContext[Any], config: TrainingConfig) -> dict[str, Any]:
    """Keyword arguments of transformers' TrainingArguments that all trainers share; a collective.

    It also joins the process group, which TrainingArguments finds then: a process that no launcher started becomes a
    group of one rank.
    """
    config.check_packages(context.stage)
    join_process_group(TIME_LIMIT)
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
        # Without it accelerate takes each of several CPU ranks for the only one.
        "use_cpu": not torch.cuda.is_available(),
        # `StageCallback` says when, by minutes too.
        "save_strategy": "no",
        # A new checkpoint counts only once its manifest is written, so the one before it has to stay until then.
        "save_total_limit": 2,
        "logging_steps": config.log_every_steps,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
        "model_init_kwargs": model_arguments(config),
    }


def model_arguments(config: TrainingConfig) -> dict[str, Any]:
    """Keyword arguments of `from_pretrained` for the model to train."""
    # From bfloat16 weights DeepSpeed makes the float32 master weights itself.
    dtype = "bfloat16" if config.bf16 else "float32"
    return {"dtype": dtype, "attn_implementation": config.attention}

"""Packages that some settings of trainers need beside those that are always installed."""

from __future__ import annotations

from pipeline.core.errors import ConfigError
from pipeline.core.extras import install_command, is_installed
from pipeline.posttraining.common.config import TrainingConfig

ATTENTION = {"flash_attention_2": "flash_attn", "flash_attention_3": "flash_attn_interface"}
"""Attention of transformers to the module that it imports. Without it transformers takes the kernel from the hub, if
the package `kernels` is there."""


def missing_packages(config: TrainingConfig) -> list[str]:
    """What a trainer would not find on this machine: for each package the setting that needs it, and the remedy."""
    missing = []
    module = ATTENTION.get(config.attention)
    if module is not None and not is_installed(module) and not is_installed("kernels"):
        missing.append(f"attention={config.attention}: {module} is not installed; install it, or set attention to sdpa")
    sampler = getattr(config, "vllm", None)
    if sampler is not None and not is_installed("vllm"):
        command = install_command("vllm")
        missing.append(f"vllm={sampler}: vllm is not installed; run `{command}`, or set vllm to null")
    return missing


def check_packages(config: TrainingConfig, stage: str) -> None:
    """Makes sure that this machine has what the settings of a trainer need.

    Raises:
        ConfigError: naming the setting that needs what is missing, and the remedy.
    """
    for each in missing_packages(config):
        raise ConfigError(f"stages.{stage}.config.{each}")

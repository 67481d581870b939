"""The plan of a stage of RL: prompts and samples of its steps, and what it needs of a GPU beside the trainer."""

from __future__ import annotations

from dataclasses import replace

from pipeline.core.config import ResourcesConfig
from pipeline.core.errors import ConfigError
from pipeline.core.stage_plan import StagePlan
from pipeline.posttraining.common.gpu_memory import GB, cache_bytes, weight_bytes
from pipeline.posttraining.common.planned import Models, plan_training, with_measurement
from pipeline.posttraining.rl.config import RlConfig
from pipeline.posttraining.rl.supply import check_rewards, closed_gate_lines, curriculum_line, repeated_prompts
from pipeline.pretraining.model_config import ModelConfig

VLLM_BYTES = 2
"""Of a parameter and of a cached number in vLLM, which samples in bfloat16."""


def plan_rl(config: RlConfig, resources: ResourcesConfig, models: Models) -> StagePlan:
    """The plan of a stage with its settings.

    Raises:
        ConfigError: for what the ranks cannot share, what does not fit their GPUs, a verifier of one's own that gives
            no number, or prompts that repeat though `repeat_prompts` is false.
    """
    # Under ZeRO-3 alone, TRL divides the reference and this package the reward models.
    shares = resources.ranks if config.zero_stage == 3 else 1
    beside = {"reference": _reference(config, models.get("model")) / shares}
    rewarding = [shape for role, shape in models.items() if role.startswith("reward_model") and shape is not None]
    beside["reward model"] = sum(shape.parameters for shape in rewarding) * weight_bytes(config) / shares
    further = ""
    if config.vllm == "colocate":
        beside["vLLM"] = _vllm(config, resources, models.get("model"))
        further = ", set vllm_gpu_memory_utilization lower or vllm to server"
    plan = plan_training(config, resources, models, beside, further)
    tokens = config.max_prompt_length + config.max_completion_length
    plan = with_measurement(plan, config, resources, models, tokens, beside["reward model"])
    lines = [plan.lines[0], steps_line(config), *plan.lines[1:]]
    if config.vllm == "server":
        lines.append(f"samples with the vLLM server at {config.vllm_server_url}, looked for when the stage begins")
    if curriculum := curriculum_line(config):
        lines.append(curriculum)
    check_rewards(config)
    repeats = [f"prompts repeat: {'; '.join(found)}"] if (found := repeated_prompts(config)) else []
    warnings = (*plan.warnings, *closed_gate_lines(config), *repeats)
    return replace(plan, steps=f"{config.total_steps:,}", lines=tuple(lines), warnings=warnings)


def steps_line(config: RlConfig) -> str:
    """How many prompts the steps take, and how often they go through those that the stage has."""
    steps, taken = config.total_steps, config.total_steps * config.prompts_per_step
    left = f", {config.prompts - taken:,} are left over" if taken < config.prompts else ""
    again = f", which come {taken / config.prompts:.3g} times" if taken > config.prompts else ""
    return (
        f"{steps:,} steps x {config.prompts_per_step:,} prompts = {taken:,} of {config.prompts:,} prompts{left}{again}"
    )


def _reference(config: RlConfig, shape: ModelConfig | None) -> float:
    """Bytes of the model that the KL penalty is toward."""
    return float(shape.parameters * weight_bytes(config)) if shape is not None and config.beta else 0.0


def _vllm(config: RlConfig, resources: ResourcesConfig, shape: ModelConfig | None) -> float:
    """Bytes that vLLM takes of each GPU; 0 where their memory is not known.

    Raises:
        ConfigError: if its weights and the cache of one sequence do not fit them, or GPUs that it divides the model
            over are not those of a node.
    """
    parallel, key = config.vllm_tensor_parallel_size, "vllm_tensor_parallel_size"
    heads = shape.attention_heads if shape is not None else 0
    fitting = [each for each in range(1, resources.processes_per_node + 1) if not resources.processes_per_node % each]
    fitting = [each for each in fitting if not heads % each]
    if parallel not in fitting:
        raise ConfigError(
            f"{key}={parallel}: must divide the {resources.processes_per_node} ranks of a node and the "
            f"{heads or 'model'} heads, set it to {' or '.join(map(str, fitting))}"
        )
    if resources.gpu_memory_gb is None:
        return 0.0
    share = config.vllm_gpu_memory_utilization * resources.gpu_memory_gb * GB
    if shape is None:
        return share
    tokens = config.max_prompt_length + config.max_completion_length
    cached = cache_bytes(shape, tokens, VLLM_BYTES)
    weights = shape.parameters * VLLM_BYTES
    if (weights + cached) / parallel > share:
        better = next((each for each in fitting if each > parallel and (weights + cached) / each <= share), None)
        needed = (weights + cached) / parallel / (resources.gpu_memory_gb * GB)
        remedy = f"set it to {better}" if better else f"set vllm_gpu_memory_utilization above {needed:.2f}"
        raise ConfigError(
            f"{key}={parallel}: {weights / parallel / GB:.1f} GB of weights and {cached / parallel / GB:.1f} GB of "
            f"cache for one sequence of {tokens:,} tokens are more than vLLM's {share / GB:.1f} GB of each GPU "
            f"(vllm_gpu_memory_utilization={config.vllm_gpu_memory_utilization} of {resources.gpu_memory_gb:g} GB); "
            f"{remedy}"
        )
    return share

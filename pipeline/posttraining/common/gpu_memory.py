"""Memory that a trainer needs on each GPU, estimated from the number of parameters: model states and further models.

Activations, logits and buffers of communication come on top. They depend on lengths and kernels, so they are named as
not counted.
"""

from collections.abc import Mapping

from pipeline.core.errors import ConfigError
from pipeline.posttraining.common.config import EvalSamplingConfig, TrainingConfig
from pipeline.pretraining.model_config import ModelConfig

GB = 1e9
DIVIDED = ("weights", "gradients", "optimizer", "reference", "reward model")
"""What ZeRO-3 divides among the ranks; each has the rest whole."""


def weight_bytes(config: TrainingConfig) -> int:
    """Bytes of a parameter as it is loaded."""
    return 2 if config.bf16 else 4


def model_states(config: TrainingConfig, parameters: int, ranks: int) -> dict[str, float]:
    """Bytes on each GPU of what is trained, by what they hold, divided as ZeRO does (arXiv 1910.02054, section 3.1).

    Gradients are added up in float32, and AdamW has float32 master weights and two moments. What DeepSpeed offloads
    takes no memory of the GPU.

    Args:
        config: of the trainer.
        parameters: of the model.
        ranks: that share it, one on each GPU.
    """
    weights = parameters * weight_bytes(config) / (ranks if config.zero_stage >= 3 else 1)
    gradients = parameters * 4 / (ranks if config.zero_stage >= 2 else 1)
    # Without ZeRO, float32 weights are their own master weights.
    optimizer = parameters * (12 if config.zero_stage >= 1 else 8) / (ranks if config.zero_stage >= 1 else 1)
    zero = config.deepspeed.get("zero_optimization", {})
    return {
        "weights": 0.0 if _offloaded(zero, "offload_param") else weights,
        "gradients": gradients,
        "optimizer": 0.0 if _offloaded(zero, "offload_optimizer") else optimizer,
    }


def _offloaded(zero: Mapping[str, Mapping[str, object]], key: str) -> bool:
    return zero.get(key, {}).get("device", "none") != "none"


def cache_bytes(shape: ModelConfig, tokens: int, width: int) -> int:
    """Bytes of the keys and values of tokens, each number of `width` bytes, in all layers."""
    return 2 * shape.layers * shape.key_value_heads * shape.head_size * width * tokens


def measurement_warning(
    config: TrainingConfig,
    probe: EvalSamplingConfig,
    shape: ModelConfig,
    tokens: int,
    others: float,
    card: float | None,
) -> str | None:
    """What to say of a measurement by sampled replies that may not fit a GPU; None if it does.

    Args:
        config: of the trainer.
        probe: how many replies are sampled together.
        shape: of the model.
        tokens: of a prompt with a reply, at most.
        others: bytes of the models that reward them.
        card: memory of the GPU in GB.
    """
    cache = cache_bytes(shape, tokens, weight_bytes(config))
    needed = shape.parameters * weight_bytes(config) + others + cache * probe.batch_size
    if card is None or needed <= card * GB:
        return None
    fits = max(1, int((card * GB - needed) // cache) + probe.batch_size)
    return (
        f"probe.batch_size={probe.batch_size}: replies of up to {tokens:,} tokens may take {needed / GB:.0f} of "
        f"{card:g} GB per GPU; set it to {fits} or less"
    )


def memory_line(parts: Mapping[str, float], card: float | None) -> str:
    """The parts, in bytes, and their sum as the plan prints them; beside the GPU's memory in GB where that is known."""
    listed = " + ".join(f"{name} {size / GB:.1f}" for name, size in parts.items() if size)
    of = f" of {card:g}" if card else ""
    return f"{listed} = {sum(parts.values()) / GB:.1f}{of} GB, without activations"


def check_memory(config: TrainingConfig, parts: Mapping[str, float], card: float | None, further: str = "") -> None:
    """Makes sure that the parts, in bytes, fit a GPU with as many GB.

    Raises:
        ConfigError: if they do not; `further` is a remedy beside ZeRO's stages and more ranks.
    """
    if card is None or sum(parts.values()) <= card * GB:
        return
    stage = config.zero_stage
    whole = sum(size for name, size in parts.items() if name not in DIVIDED)
    remedy = "set it to 3 (deepspeed=zero3)" if stage < 3 else "set resources.nodes higher"
    if whole > card * GB:
        remedy = "more ranks do not help, take GPUs with more memory"
    raise ConfigError(
        f"deepspeed.zero_optimization.stage={stage}: does not fit a GPU: {memory_line(parts, card)}; {remedy}{further}"
    )

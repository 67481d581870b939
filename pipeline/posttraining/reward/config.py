"""pipeline/posttraining/reward/config.py"""

from dataclasses import dataclass

from pipeline.posttraining.common.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class RewardModelConfig(TrainingConfig):
    """A scalar reward model on preference pairs, with the Bradley-Terry loss."""

    epochs: float = 1.0
    """Passes over the pairs."""
    pairs_per_step: int = 256
    """Pairs in one optimizer step, over all ranks."""
    pairs_per_device: int = 4
    """Pairs in one forward pass of one rank."""
    max_length: int = 8_192
    """Tokens of prompt and reply; longer pairs are left out."""
    center_rewards_coefficient: float | None = 0.01
    """Weight of the penalty that keeps a pair's rewards centred on 0; null is none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "pairs_per_step", "pairs_per_device", "max_length"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, set it above 0")

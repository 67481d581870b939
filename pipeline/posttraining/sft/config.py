"""Settings of the stages `sft_data` and `sft`, and those all trainers of post-training share."""

from dataclasses import dataclass, field

from pipeline.environments.problem import ProblemConfig
from pipeline.posttraining.common.config import EvalSamplingConfig, TrainingConfig, _positive


@dataclass(frozen=True, kw_only=True)
class SftConfig(TrainingConfig):
    """Supervised fine-tuning on the assistant's turns."""

    epochs: float = 3.0
    """Passes over the training conversations."""
    sequences_per_step: int = 256
    """Sequences in one optimizer step, over all ranks."""
    sequences_per_device: int = 1
    """Sequences in one forward pass of one rank."""
    max_length: int = 16_384
    """Tokens of a sequence; longer conversations are cut."""
    packing: bool = True
    """Pack conversations into one sequence. Needs an attention that keeps them apart (flash_attention_2)."""
    max_completion_length: int = 8_192
    """Tokens a sampled reply may take in the measurement."""
    probe: EvalSamplingConfig = field(default_factory=EvalSamplingConfig)
    """The measurement before and after."""
    problems: ProblemConfig = field(default_factory=lambda: ProblemConfig(difficulty=3))
    """Which problems the environments pose."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive(self, "epochs", "sequences_per_step", "sequences_per_device", "max_length")
        _positive(self, "max_completion_length")
        if self.packing and not self.attention.startswith("flash_attention"):
            raise ValueError(
                f"packing with attention={self.attention} would let conversations see each other, "
                "set packing=false or attention=flash_attention_2"
            )

"""Settings of the stages `reward_model` and `rl_*`."""

from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.curation.recipes.steps.contamination import PromptDecontamination
from pipeline.environments.problem import ProblemConfig
from pipeline.posttraining.common.config import (
    EvalSamplingConfig,
    TrainingConfig,
    benchmark_content,
    check_weights,
)


@dataclass(frozen=True, kw_only=True)
class RlConfig(TrainingConfig):
    """One stage of on-policy GRPO with the DAPO loss."""

    domain_weights: dict[str, float]
    """Relative share of each environment's prompts. Every update sees the whole mixture."""
    reward_model_domains: tuple[str, ...] = ()
    """Domains rewarded by the reward model (input `reward_model`); all others by their verifier."""
    prompts: int
    """Distinct draws of a prompt the stage trains on; it goes through them once, or until `steps`."""
    steps: int | None = None
    """Optimizer steps; null is one pass over the prompts. More begin the prompts again."""
    prompts_per_step: int = 64
    """Prompts in one optimizer step, over all ranks."""
    samples_per_prompt: int = 16
    """Completions sampled for each prompt: the group whose mean is the baseline."""
    completions_per_device: int = 16
    """Completions in one forward and backward pass of one rank."""
    max_prompt_length: int = 2_048
    """Tokens of a rendered prompt; longer ones are left out."""
    max_completion_length: int = 6_144
    """Tokens of a completion; one that does not end within them scores 0."""
    beta: float = 0.05
    """Weight of the KL penalty towards the model the stage starts from."""
    epsilon: float = 0.2
    """Lower clip range of the probability ratio; without effect on-policy, where the ratio is 1."""
    epsilon_high: float = 0.28
    """Upper clip range."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """What rewards are divided by: the standard deviation of the group, of the batch, or nothing."""
    use_bias_correction_kl: bool = False
    """Weight the KL estimate by the probability ratio; false is the plain k3 estimator in the loss."""
    mask_truncated_completions: bool = False
    """Leave completions that did not end out of the loss."""
    temperature: float = 1.0
    """Temperature of sampling."""
    top_p: float = 1.0
    """Nucleus of sampling; 1.0 is all."""
    vllm: Literal["colocate", "server"] | None = None
    """Sample with vLLM beside the trainer or on a server of its own; null samples with transformers."""
    vllm_gpu_memory_utilization: float = 0.3
    """Share of GPU memory for vLLM beside the trainer."""
    vllm_tensor_parallel_size: int = 1
    """GPUs that one copy of the model in vLLM is split over."""
    vllm_importance_sampling_mode: Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"] = (
        "token_truncate"
    )
    """How the difference between vLLM's probabilities and the trainer's is corrected."""
    probe: EvalSamplingConfig = field(default_factory=EvalSamplingConfig)
    """The measurement before and after."""
    problems: ProblemConfig = field(default_factory=lambda: ProblemConfig(difficulty=3))
    """Which problems the environments pose."""
    decontamination: PromptDecontamination = field(default_factory=PromptDecontamination)
    """Benchmarks whose items no prompt may copy."""

    def data_fingerprint(self) -> dict[str, Any]:
        """What the benchmarks' files hold: a part of the stage's fingerprint.

        Raises:
            DataError: for a benchmark that is not there.
        """
        return benchmark_content(self.decontamination)

    def __post_init__(self) -> None:
        from pipeline.environments import ENVIRONMENT_NAMES

        super().__post_init__()
        check_weights(self.domain_weights, ENVIRONMENT_NAMES)
        for domain in self.reward_model_domains:
            if domain not in self.domain_weights:
                raise ValueError(f"reward_model_domains names {domain!r}, set only domains with a weight")
        for name in ("prompts", "prompts_per_step", "completions_per_device", "max_prompt_length"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, set it above 0")
        if self.samples_per_prompt < 2:
            raise ValueError(f"samples_per_prompt is {self.samples_per_prompt}, set 2 or more")
        if self.steps is not None and self.steps <= 0:
            raise ValueError(f"steps is {self.steps}, set it above 0, or null for one pass")
        if self.beta < 0:
            raise ValueError(f"beta is {self.beta}, set it to 0 or more")

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the stage."""
        return self.steps if self.steps is not None else max(1, self.prompts // self.prompts_per_step)

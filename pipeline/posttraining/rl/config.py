"""Settings of the stages of RL, `rl_*`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from pipeline.core.batching import StepSize
from pipeline.core.config import IF_SET, ResourcesConfig, Share
from pipeline.core.stage_plan import StagePlan
from pipeline.curation.recipes.steps.contamination import PromptDecontamination
from pipeline.environments.problem import ProblemConfig
from pipeline.posttraining.common.config import (
    EvalSamplingConfig,
    TrainingConfig,
    benchmark_fingerprint,
    check_domain_weights,
    environment_fingerprint,
)
from pipeline.posttraining.common.data_files import PromptFiles, describe_files
from pipeline.posttraining.common.reward_config import REWARD_MODEL, VERIFIER, RewardConfig
from pipeline.pretraining.model_config import ModelConfig

Difficulty = Annotated[float, Field(ge=1, le=3)]
"""As in `ProblemConfig`; between two whole numbers it is a mix of both."""
LossType = Literal["dapo", "grpo", "bnpo", "dr_grpo", "cispo", "sapo", "luspo", "vespo"]


@dataclass(frozen=True, kw_only=True)
class StageGateConfig:
    """By how much the stage may lose verified accuracy, on the same held-out prompts before and after."""

    domains: tuple[str, ...]
    """Domains that are measured and held beside the stage's own."""
    may_fall: Share = field(metadata={"fingerprint": False})
    """Fall of a domain's verified accuracy that is let pass, beyond the noise of so few prompts."""
    action: Literal["warn", "stop"] = field(metadata={"fingerprint": False})
    """What follows a greater fall: a warning in the log, or the end of the stage before it is published."""


@dataclass(frozen=True, kw_only=True)
class CurriculumConfig:
    """How hard the prompts of environments are, in training: a difficulty for each, which moves until `target` of the
    replies pass. Prompts of files and those that are held out stay as they are.

    After every `window` prompts the difficulty moves by gain x (share of their replies that passed - target), within
    its bounds: stochastic approximation (Robbins and Monro, Annals of Mathematical Statistics 22, 1951) with a constant
    gain, as what is looked for moves with the policy.
    """

    domains: tuple[str, ...] | None = None
    """Environments whose difficulty moves; null is all of the stage's, replayed ones too. Others have that of
    `problems`."""
    minimum: Difficulty = 1.0
    """Least difficulty, as in `problems`; 1.3 is a mix of seven prompts of 1 and three of 2."""
    maximum: Difficulty = 3.0
    """Greatest difficulty."""
    start: Difficulty | None = None
    """Difficulty of the first prompts; null is `minimum`."""
    target: Share = 0.5
    """Share of replies that should pass. Replies to a prompt teach by their differences in reward, whose variance,
    p (1 - p) for right or wrong, is greatest where half of them are right."""
    passes_from: Share = 1.0
    """Reward from which a reply passes; lower where a reward model takes part, whose scores stay below 1."""
    window: PositiveInt = 8
    """Prompts of a domain after which its difficulty moves."""
    gain: PositiveFloat = 0.4
    """How far it moves where all differ from the target: with a target of 0.5, by half of that at most."""

    def __post_init__(self) -> None:
        if self.minimum >= self.maximum:
            raise ValueError(f"minimum is {self.minimum:g} and maximum {self.maximum:g}, set maximum higher")
        if self.start is not None and not self.minimum <= self.start <= self.maximum:
            raise ValueError(f"start is {self.start:g}, set it from {self.minimum:g} to {self.maximum:g}")


@dataclass(frozen=True, kw_only=True)
class RlConfig(TrainingConfig):
    """One stage of on-policy GRPO (Shao et al. 2024, arXiv 2402.03300) with the DAPO loss (arXiv 2503.14476)."""

    domain_weights: dict[str, NonNegativeFloat]
    """Relative share of each environment's prompts; every update sees the whole mixture."""
    prompt_files: PromptFiles = field(metadata={"fingerprint": False})
    """Files of prompts (`prompt`, `answer`, `verifier`), mixed with the environments' prompts by their weights."""
    replay_share: Share
    """Share of the prompts that comes from `replay_weights`, so that what earlier stages taught is not unlearned."""
    replay_weights: dict[str, NonNegativeFloat] | None
    """Relative share of each environment in the replayed prompts; null where nothing is replayed."""
    reward: dict[str, RewardConfig] = field(default_factory=dict)
    """How the completions of each domain are rewarded; those of a domain that is not named, by its verifier."""
    reward_ensemble: Literal["mean", "minimum"]
    """What several reward models give together; each input whose role begins with `reward_model` is one."""
    prompts: PositiveInt
    """Distinct draws of a prompt that the stage trains on, once each or until `steps`."""
    repeat_prompts: bool = field(default=True, metadata={"fingerprint": False})
    """Whether prompts of a domain or file may come back where it has fewer different ones than are asked for; the plan
    says which do. false refuses that."""
    steps: PositiveInt | None
    """Optimizer steps; null is one pass over the prompts, and more begin the prompts again."""
    prompts_per_step: PositiveInt
    """Prompts in one optimizer step, over all ranks."""
    samples_per_prompt: Annotated[int, Field(ge=2)]
    """Completions sampled for each prompt: the group whose mean is the baseline."""
    completions_per_device: PositiveInt
    """Completions in one forward and backward pass of one rank."""
    max_prompt_length: PositiveInt
    """Tokens of a rendered prompt; longer ones of domains are left out, a longer one of a file is a row that cannot be
    used."""
    max_completion_length: PositiveInt
    """Tokens of a completion; one that does not end within them scores 0."""
    beta: NonNegativeFloat
    """Weight of the KL penalty toward the model the stage starts from."""
    epsilon: NonNegativeFloat
    """Lower clip range of the probability ratio; without effect on-policy, where the ratio is 1."""
    epsilon_high: NonNegativeFloat
    """Upper clip range of the probability ratio."""
    loss_type: LossType
    """Loss and its reduction over tokens, by TRL's names: docs/reinforcement_learning.md."""
    importance_sampling_level: Literal["token", "sequence"]
    """Whether the probability ratio is each token's or the sequence's mean (GSPO, arXiv 2507.18071)."""
    scale_rewards: Literal["group", "batch", "none"]
    """What rewards are divided by: the standard deviation of the group, of the batch, or nothing."""
    use_bias_correction_kl: bool
    """Weight the KL estimate by the probability ratio; false is the plain k3 estimator in the loss."""
    mask_truncated_completions: bool
    """Leave completions that did not end out of the loss."""
    temperature: PositiveFloat
    """Temperature of sampling."""
    top_p: Annotated[float, Field(gt=0, le=1)]
    """Share of probability that sampling keeps (nucleus); 1.0 is all."""
    vllm: Literal["colocate", "server"] | None
    """Sample with vLLM beside the trainer or on a server of its own; null samples with transformers."""
    vllm_gpu_memory_utilization: Share
    """Share of GPU memory for vLLM beside the trainer."""
    vllm_tensor_parallel_size: PositiveInt
    """GPUs that one copy of the model in vLLM is split over."""
    vllm_server_url: Annotated[str, Field(pattern=r"^https?://[^/\s]+$")] = field(
        default="http://localhost:8000", metadata={"fingerprint": False}
    )
    """Address of the server that `vllm: server` samples with, as `http://host:port`; rank 0 asks it, and looks for it
    when the stage begins."""
    vllm_server_timeout: PositiveFloat = field(default=240.0, metadata={"fingerprint": False})
    """Seconds that a stage waits for that server to answer."""
    vllm_importance_sampling_mode: Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"]
    """How the difference between vLLM's probabilities and the trainer's is corrected."""
    completions_kept: NonNegativeInt
    """Steps whose completions the artifact has as Parquet, spread over the stage; 0 is none."""
    gate: StageGateConfig
    """What the stage may lose."""
    verifier_calibration: str | None = field(metadata={"fingerprint": False})
    """Report of `fivephase calibrate verifiers`; a verifier that it finds wanting, or that changed since, is no gate of
    a reward, and neither warns nor stops in the stage's gate. Null lets all of them decide."""
    probe: EvalSamplingConfig
    """Prompts and sampled replies of the measurement before and after."""
    problems: ProblemConfig
    """Difficulty of the environments' problems, and the assistant's name in them."""
    curriculum: CurriculumConfig | None = field(default=None, metadata=IF_SET)
    """How the difficulty of prompts moves while training; null leaves it at that of `problems`."""
    decontamination: PromptDecontamination
    """Benchmarks whose items no prompt may copy."""

    def data_fingerprint(self) -> dict[str, Any]:
        """What the files of benchmarks, prompts and one's own environments hold: a part of the stage's fingerprint.

        Raises:
            DataError: for a file that is not there, or a row of prompts that cannot be used.
        """
        names = [*self.domain_weights, *self.replayed, *self.gate.domains, *self.rules]
        if self.prompt_files:
            from pipeline.posttraining.rl.supply import verifiers

            names += verifiers(self)
        return {
            **benchmark_fingerprint(self.decontamination),
            **describe_files(self.prompt_files, "prompt_files"),
            **environment_fingerprint(names),
            # Which gates are open decides what completions are rewarded with.
            **({"verifiers_that_do_not_gate": sorted(closed)} if (closed := self.closed_reward_gates()) else {}),
        }

    def closed_reward_gates(self) -> dict[str, str]:
        """The domains whose reward has a gate that the calibration does not let decide, with the reason.

        A rule of one's own is held to the report only if that has it: what a rule shall find, no calibration knows.

        Raises:
            DataError: for a calibration that is not there or is none.
        """
        from pipeline.posttraining.common.verifier_gate import NOT_CALIBRATED

        gates = {domain: reward.gate for domain, reward in self.reward.items() if reward.gate}
        names = {domain: domain if gate == VERIFIER else gate for domain, gate in gates.items()}
        closed = self.closed_verifiers(names.values())
        return {
            domain: closed[name]
            for domain, name in names.items()
            if name in closed and (gates[domain] == VERIFIER or closed[name] != NOT_CALIBRATED)
        }

    def closed_verifiers(self, names: Iterable[str]) -> dict[str, str]:
        """Those of the verifiers that the calibration does not let decide, with the reason.

        Raises:
            DataError: for a calibration that is not there or is none.
        """
        from pipeline.posttraining.common.verifier_gate import closed_gates

        return closed_gates(self.verifier_calibration, names, "verifier_calibration")

    @property
    def open_rewards(self) -> dict[str, RewardConfig]:
        """`reward` without the gates that may not decide.

        Raises:
            DataError: for a calibration that is not there or is none.
        """
        closed = self.closed_reward_gates()
        return {
            domain: replace(reward, gate=None) if domain in closed else reward for domain, reward in self.reward.items()
        }

    def needed_inputs(self) -> dict[str, str]:
        """The inputs that these settings cannot do without, by role, with the reason.

        Raises:
            DataError: for a row of prompts that cannot be used.
        """
        for domain, reward in self.reward.items():
            if REWARD_MODEL in reward.parts:
                return {"reward_model*": f"config.reward.{domain}.score names reward_model"}
        if self.prompt_files:
            from pipeline.environments.verifiers import REWARD_MODEL as REWARD_MODEL_ROWS
            from pipeline.posttraining.rl.supply import verifiers

            if REWARD_MODEL_ROWS in verifiers(self):
                return {"reward_model*": "rows of config.prompt_files name the verifier reward_model"}
        return {}

    def check_data(self) -> list[str]:
        """Reads the files of prompts, if there are any, and returns what to say of rows that are set aside.

        Raises:
            DataError: for a row that cannot be used, or too few different rows to train on or to measure with.
        """
        if any(not file.missing for file in self.prompt_files):
            from pipeline.posttraining.rl.own_prompts import check_files

            return check_files(self)
        return []

    def datasets_to_fetch(self) -> list[str]:
        """The data sets of the hub that recipes of prompts name and the local cache has nothing of.

        Raises:
            RecipeError: for a recipe that cannot be used.
        """
        return list(dict.fromkeys(name for file in self.prompt_files for name in file.missing))

    def __post_init__(self) -> None:
        check_domain_weights(self.domain_weights, others=sum(file.weight for file in self.prompt_files))
        if self.replay_share:
            check_domain_weights(self.replay_weights or {}, key="replay_weights")
            if self.replay_share == 1:
                raise ValueError("replay_share is 1, which leaves no prompts of the stage's own, set it below")
        for domain in self.reward:
            if domain not in (*self.domain_weights, *self.replayed):
                raise ValueError(f"reward names {domain!r}, set only domains with a weight")
        if self.gate.domains:
            check_domain_weights(dict.fromkeys(self.gate.domains, 1.0), key="gate.domains")
        for domain in self.curriculum_domains:
            if domain not in (*self.domain_weights, *self.replayed):
                raise ValueError(f"curriculum.domains names {domain!r}, set only domains with a weight")
        if self.importance_sampling_level == "sequence" and self.loss_type not in ("grpo", "luspo", "sapo"):
            raise ValueError(
                f"importance_sampling_level is sequence and loss_type {self.loss_type}, which adds up tokens; set "
                "loss_type to grpo (GSPO) or luspo"
            )
        if self.importance_sampling_level == "token" and self.loss_type == "luspo":
            raise ValueError("loss_type is luspo, set importance_sampling_level to sequence")

    @property
    def replayed(self) -> dict[str, float]:
        """The environments that are replayed, with their weights; empty where none is."""
        weights = self.replay_weights if self.replay_share else None
        return {name: weight for name, weight in (weights or {}).items() if weight}

    @property
    def curriculum_domains(self) -> tuple[str, ...]:
        """The environments whose difficulty moves."""
        if self.curriculum is None:
            return ()
        if self.curriculum.domains is not None:
            return self.curriculum.domains
        return tuple(name for name, weight in {**self.replayed, **self.domain_weights}.items() if weight)

    @property
    def rules(self) -> list[str]:
        """The parts of rewards that are rules of one's own."""
        return [rule for reward in self.reward.values() for rule in reward.rules]

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the stage: `steps`, or as many as one pass over the prompts fills."""
        return self.steps if self.steps is not None else max(1, self.prompts // self.prompts_per_step)

    @property
    def step_size(self) -> StepSize:
        """What an optimizer step is made of, which the ranks must be able to share."""
        return StepSize(
            "prompts_per_step x samples_per_prompt",
            self.prompts_per_step * self.samples_per_prompt,
            "completions_per_device",
            self.completions_per_device,
        )

    def plan(
        self,
        resources: ResourcesConfig,
        models: Mapping[str, ModelConfig | None],
        upstream: Mapping[str, Mapping[str, Any]],
    ) -> StagePlan:
        """The same, with prompts and samples of a step, the prompts that repeat, the reference model and vLLM.

        Raises:
            ConfigError: also for prompts that repeat though `repeat_prompts` is false.
        """
        from pipeline.posttraining.rl.planned import plan_rl

        return plan_rl(self, resources, models)

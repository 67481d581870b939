"""How post-training evaluates a chat model: sampled completions of held-out problems, scored as training rewards them.

SFT does so after training, each stage of reinforcement learning before and after. The problems and the random numbers
are the same every time, so that a difference comes from the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pipeline.environments import Problem, ProblemConfig, distinct_problems
from pipeline.environments.verifiers import REWARD_MODEL
from pipeline.inference.completions import Completion, complete_problems, group_by_environment
from pipeline.inference.loading import load_model
from pipeline.posttraining.common.config import EvalSamplingConfig
from pipeline.posttraining.common.rewards import RewardRule, rewards_of
from pipeline.pretraining.engine.distributed import waiting_for_files

EVAL_SAMPLING_SEED = 20_260_429
"""Seed of the held-out problems and of sampling; no stage has another, so that all evaluate alike."""


def eval_problems(
    environments: Sequence[str], eval_sampling: EvalSamplingConfig, problem_config: ProblemConfig
) -> list[Problem]:
    """The held-out problems of each environment that a model is evaluated on, a pure function of the arguments.

    No prompt is among them twice, so an environment with fewer than `prompts_per_domain` gives all it has.
    """
    return [
        problem
        for environment in environments
        for problem in distinct_problems(
            environment, eval_sampling.prompts_per_domain, EVAL_SAMPLING_SEED, "held_out", problem_config
        )
    ]


@dataclass(frozen=True)
class EvalResult:
    """Mean rewards of sampled completions, and the share of them that is well formed."""

    reward_by_environment: dict[str, float]
    well_formed_by_environment: dict[str, float]
    completions: list[Completion]

    @property
    def reward(self) -> float:
        """The mean over the environments of their mean rewards."""
        return fmean(self.reward_by_environment.values())

    def metrics(self, when: str) -> dict[str, float]:
        """`reward/*` and `in_format/*`, by environment and over all, and as `unfinished` the share of replies without
        an end, which earn nothing; `when` ends their names: before or after."""
        named = {f"reward/{environment}/{when}": reward for environment, reward in self.reward_by_environment.items()}
        named |= {
            f"in_format/{environment}/{when}": share for environment, share in self.well_formed_by_environment.items()
        }
        well_formed = fmean(self.well_formed_by_environment.values())
        if self.completions:
            named[f"unfinished/{when}"] = fmean(not each.ended for each in self.completions)
        return {f"reward/{when}": self.reward, f"in_format/{when}": well_formed, **named}

    def of(self, environments: Collection[str]) -> EvalResult:
        """The part of it that is of some environments."""
        reward, well_formed = (
            {name: value for name, value in values.items() if name in environments}
            for values in (self.reward_by_environment, self.well_formed_by_environment)
        )
        return EvalResult(
            reward, well_formed, [each for each in self.completions if each.problem.environment in environments]
        )

    def verified(self) -> dict[str, list[float]]:
        """By environment, the verifier's mean score of each different prompt, whatever rewards it; 0 for a completion
        that did not end. Prompts come in an order that is the same for every model; those that only the reward model
        knows are left out."""
        found: dict[str, dict[str, list[float]]] = {}
        for each in self.completions:
            if each.problem.environment == REWARD_MODEL:
                continue
            asked = json.dumps(each.problem.to_record(), sort_keys=True)
            scores = found.setdefault(each.problem.environment, {}).setdefault(asked, [])
            scores.append(each.score)
        return {environment: [fmean(scores) for scores in own.values()] for environment, own in found.items()}

    def samples(self, count: int = 3) -> list[dict[str, str]]:
        """For the report, up to `count` completions with their prompts: every n-th, where n is all // count or 1."""
        shown = self.completions[:: max(1, len(self.completions) // count)][:count]
        return [{"prompt": completion.problem.prompt, "answer": completion.text} for completion in shown]


def evaluate_by_sampling(
    checkpoint: Path,
    problems: Sequence[Problem],
    eval_sampling: EvalSamplingConfig,
    max_new_tokens: int,
    rules: Mapping[str, RewardRule] | None = None,
    between: Callable[[], None] = lambda: None,
) -> EvalResult:
    """Samples completions of a checkpoint's model at temperature 1.0 and scores them; a collective.

    Ranks share the problems, and each gets the result of all. Called again it gives the same result, and it leaves the
    caller's random state as it was.

    Args:
        checkpoint: a Hugging Face folder of a chat model.
        problems: what is asked, of one or more environments.
        eval_sampling: how many completions, and how many of them together.
        max_new_tokens: tokens of a completion, at most.
        rules: by environment, what its completions are rewarded by, where that is not its verifier.
        between: called after each batch of completions, by all ranks alike; it may raise to end the evaluation.

    Raises:
        CheckpointError: if the model cannot be loaded.
    """
    with waiting_for_files():
        model = load_model(checkpoint)
    completions = complete_problems(
        model,
        problems,
        eval_sampling.batch_size,
        max_new_tokens,
        samples_per_prompt=eval_sampling.samples_per_prompt,
        sampling_seed=EVAL_SAMPLING_SEED,
        between=between,
    )
    groups = group_by_environment(completions)
    return EvalResult(
        {environment: fmean(rewards_of(own, (rules or {}).get(environment))) for environment, own in groups.items()},
        {environment: fmean(each.well_formed for each in own) for environment, own in groups.items()},
        completions,
    )

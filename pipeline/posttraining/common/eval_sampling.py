"""How post-training evaluates a chat model: sampled completions of held-out problems, scored as training rewards them.

SFT does so after training, each stage of reinforcement learning before and after. The problems and the random numbers
are the same every time, so that a difference comes from the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from pipeline.environments import Problem, ProblemConfig, problems
from pipeline.inference.completions import Completion, complete_problems, group_by_domain
from pipeline.inference.loading import load_model
from pipeline.posttraining.common.config import EvalSamplingConfig

EVAL_SAMPLING_SEED = 20_260_429
"""Seed of the held-out problems and of sampling; no stage has another, so that all evaluate alike."""

Scorer = Callable[[Sequence[Problem], Sequence[str]], list[float]]
"""Problems and as many completions → a score from 0 to 1 for each: what may stand in for a domain's verifier."""


def eval_problems(
    domains: Sequence[str], eval_sampling: EvalSamplingConfig, problem_config: ProblemConfig
) -> list[Problem]:
    """The held-out problems of each domain that a model is evaluated on, a pure function of the arguments."""
    return [
        problem
        for domain in domains
        for problem in problems(
            domain, eval_sampling.prompts_per_domain, EVAL_SAMPLING_SEED, "held_out", problem_config
        )
    ]


def reward_of(completions: Sequence[Completion], scorer: Scorer | None = None) -> list[float]:
    """The reward of each completion, from 0 to 1, in training and evaluation alike.

    It is the verifier's score, or the scorer's if there is one; a completion that did not end has 0 in either case.

    Args:
        completions: of one domain.
        scorer: what stands in for the domain's verifier.
    """
    if scorer is None:
        return [completion.reward for completion in completions]
    scores = scorer([each.problem for each in completions], [each.text for each in completions])
    return [score if each.ended else 0.0 for score, each in zip(scores, completions, strict=True)]


@dataclass(frozen=True)
class EvalResult:
    """Mean rewards of sampled completions, and the share of them that is well formed."""

    reward_by_domain: dict[str, float]
    well_formed_by_domain: dict[str, float]
    completions: list[Completion]

    @property
    def reward(self) -> float:
        """The mean over the domains of their mean rewards."""
        return fmean(self.reward_by_domain.values())

    def metrics(self, when: str) -> dict[str, float]:
        """`reward/*` and `in_format/*`, by domain and over all of them; `when` is their last part: before or after."""
        named = {f"reward/{domain}/{when}": reward for domain, reward in self.reward_by_domain.items()}
        named |= {f"in_format/{domain}/{when}": share for domain, share in self.well_formed_by_domain.items()}
        well_formed = fmean(self.well_formed_by_domain.values())
        return {f"reward/{when}": self.reward, f"in_format/{when}": well_formed, **named}

    def samples(self, count: int = 3) -> list[dict[str, str]]:
        """Some completions with their prompts, spread evenly over all of them, for the report."""
        shown = self.completions[:: max(1, len(self.completions) // count)][:count]
        return [{"prompt": completion.problem.prompt, "answer": completion.text} for completion in shown]


def evaluate_by_sampling(
    checkpoint: Path,
    problems: Sequence[Problem],
    eval_sampling: EvalSamplingConfig,
    max_new_tokens: int,
    scorers: Mapping[str, Scorer] | None = None,
) -> EvalResult:
    """Samples completions of a checkpoint's model at temperature 1.0 and scores them; a collective.

    Ranks share the problems, and each gets the result of all. Called again it gives the same result, and it leaves the
    caller's random state as it was.

    Args:
        checkpoint: a Hugging Face folder of a chat model.
        problems: what is asked, of one or more domains.
        eval_sampling: how many completions, and how many of them together.
        max_new_tokens: tokens of a completion, at most.
        scorers: by domain, what stands in for its verifier.

    Raises:
        CheckpointError: if the model cannot be loaded.
    """
    completions = complete_problems(
        load_model(checkpoint),
        problems,
        eval_sampling.batch_size,
        max_new_tokens,
        samples_per_prompt=eval_sampling.samples_per_prompt,
        sampling_seed=EVAL_SAMPLING_SEED,
    )
    groups = group_by_domain(completions)
    return EvalResult(
        {domain: fmean(reward_of(own, (scorers or {}).get(domain))) for domain, own in groups.items()},
        {domain: fmean(each.well_formed for each in own) for domain, own in groups.items()},
        completions,
    )

"""Whether a reward model leads the right way: what it picks of a policy's own replies, before RL goes after it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pipeline.environments import Problem
from pipeline.inference.completions import complete_problems
from pipeline.inference.conversation_ids import Message, problem_messages
from pipeline.inference.loading import LoadedModel
from pipeline.posttraining.reward.config import BestOfNConfig, SamplingConfig

Score = Callable[[Sequence[list[Message]]], list[float]]
"""Conversations that end with the assistant's turn → a score for each, higher for better."""


class Picks(NamedTuple):
    """The verifier's score for each problem of a domain."""

    means: list[float]
    """Of all replies, their mean."""
    picks: list[float]
    """Of the reply that the reward model scores highest."""


def held_out_problems(pairs: Sequence[dict[str, Any]], settings: BestOfNConfig) -> list[Problem]:
    """The different problems behind held-out pairs, `prompts_per_domain` of each domain that is looked at."""
    records = {pair["problem"]["prompt"]: pair["problem"] for pair in pairs if pair.get("problem")}
    found: list[Problem] = []
    for domain in settings.domains:
        own = [record for record in records.values() if record["domain"] == domain]
        found += map(Problem.from_record, own[: settings.prompts_per_domain])
    return found


def best_of_n(
    problems: Sequence[Problem],
    model: LoadedModel,
    score: Score,
    settings: BestOfNConfig,
    sampling: SamplingConfig,
    seed: int,
    between: Callable[[], None] = lambda: None,
) -> dict[str, Picks]:
    """By domain, what the verifier says of a model's replies and of those that the reward model picks; a collective.

    The pick of n replies is where RL leads first. A reward model that picks worse ones than chance would is found here
    that no pairwise accuracy shows.

    Args:
        problems: held-out ones.
        model: the one that RL starts from.
        score: the reward model's.
        settings: replies to each problem.
        sampling: how they are sampled.
        seed: of the sampling.
        between: called after each batch of replies, by all ranks alike; it may raise. All ranks score all replies, so
            that `score` may call it too.

    Returns:
        The same on all ranks.
    """
    count = settings.samples_per_prompt
    completions = complete_problems(
        model,
        problems,
        sampling.batch_size,
        sampling.max_completion_length,
        samples_per_prompt=count,
        sampling_seed=seed,
        between=between,
    )
    replies = [[*problem_messages(each.problem), {"role": "assistant", "content": each.text}] for each in completions]
    # RL gives a reply that does not end nothing.
    scores = [value if each.ended else -math.inf for value, each in zip(score(replies), completions, strict=True)]
    found: dict[str, Picks] = {}
    for start in range(0, len(completions), count):
        own = scores[start : start + count]
        verified = [each.score for each in completions[start : start + count]]
        picks = found.setdefault(completions[start].problem.environment, Picks([], []))
        picks.means.append(sum(verified) / count)
        picks.picks.append(verified[own.index(max(own))])
    return found

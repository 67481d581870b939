"""Rejected replies of the policy itself: what the start model says that a verifier finds wrong.

A policy goes where the pairs say nothing. So the model that RL starts from is asked the prompts of the pairs, and what
it gets wrong takes the place of a reply that a rule made worse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.files import read_json, write_json
from pipeline.environments import Problem
from pipeline.inference.completions import Completion, complete_problems
from pipeline.inference.loading import LoadedModel
from pipeline.posttraining.reward.config import OnPolicyConfig, SamplingConfig
from pipeline.posttraining.reward.pair_scores import ON_POLICY
from pipeline.pretraining.engine.distributed import barrier, gather_objects, rank

PROMPTS_TOGETHER = 512
"""Prompts after whose replies they are saved: what an interruption costs at most."""
WRONG = 0.5
"""A verifier's score below which a reply is wrong."""

Pair = dict[str, Any]


def with_own_mistakes(
    pairs: Sequence[Pair],
    load: Callable[[], LoadedModel],
    settings: OnPolicyConfig,
    sampling: SamplingConfig,
    state: Path,
    seed: int,
    between: Callable[[], None] = lambda: None,
) -> list[Pair]:
    """The pairs, a share of them with a wrong reply of the model in place of the rejected one; a collective.

    The pairs are taken at even distances among those whose `problem` has a verifier. One whose prompt the model answers
    right every time stays as it is. What was sampled is in `state`, and an interrupted attempt goes on from there with
    the same replies.

    Args:
        pairs: with `problem` where a verifier can check replies.
        load: gives the model, which is loaded only if something is to be sampled.
        settings: how many.
        sampling: how replies are sampled.
        state: a folder for the replies.
        seed: of the sampling.
        between: called after each batch of replies, by all ranks alike; it may raise.
    """
    verifiable = [place for place, pair in enumerate(pairs) if pair.get("problem")]
    count = round(settings.share * len(verifiable))
    places = [verifiable[number * len(verifiable) // count] for number in range(count)]
    state.mkdir(parents=True, exist_ok=True)
    model: LoadedModel | None = None
    replaced = list(pairs)
    for start in range(0, count, PROMPTS_TOGETHER):
        batch = places[start : start + PROMPTS_TOGETHER]
        saved = state / f"{start:09d}.json"
        found = gather_objects(read_json(saved)["mistakes"] if saved.exists() else None)[0]
        if found is None:
            model = model or load()
            found = _mistakes(
                [pairs[place]["problem"] for place in batch], model, settings, sampling, seed + start, between
            )
            if rank() == 0:
                write_json(saved, {"mistakes": found})
            # Whoever begins anew is to find it.
            barrier()
        for place, mistake in zip(batch, found, strict=True):
            if mistake is not None and mistake != pairs[place]["chosen"][-1]["content"]:
                rejected = [{"role": "assistant", "content": mistake}]
                replaced[place] = {**pairs[place], "rejected": rejected, "kind": ON_POLICY}
    return replaced


def _mistakes(
    records: Sequence[dict[str, str]],
    model: LoadedModel,
    settings: OnPolicyConfig,
    sampling: SamplingConfig,
    seed: int,
    between: Callable[[], None],
) -> list[str | None]:
    """The first wrong reply to each problem among those sampled, or None; the same on all ranks."""
    problems = [Problem.from_record(record) for record in records]
    completions = complete_problems(
        model,
        problems,
        sampling.batch_size,
        sampling.max_completion_length,
        samples_per_prompt=settings.samples_per_prompt,
        sampling_seed=seed % 2**63,
        between=between,
    )
    groups = [
        completions[start : start + settings.samples_per_prompt]
        for start in range(0, len(completions), settings.samples_per_prompt)
    ]
    return [next((each.text for each in group if _is_wrong(each)), None) for group in groups]


def _is_wrong(completion: Completion) -> bool:
    # One that did not end has reward 0 without the reward model's word.
    return completion.ended and bool(completion.text.strip()) and completion.verdict.score < WRONG

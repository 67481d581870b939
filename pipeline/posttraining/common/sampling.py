"""How a chat model is measured: seeded samples at temperature 1.0 on held-out prompts, then graded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from transformers import AutoTokenizer

from pipeline.environments import Problem, ProblemConfig, Verdict, problems, verify
from pipeline.environments.problem import malformed
from pipeline.posttraining.common.chat import encode, load_model, render
from pipeline.posttraining.common.config import EvalSamplingConfig

EVAL_SAMPLING_SEED = 20_260_429
"""Seed of held-out prompts and of sampling, the same before and after every stage."""

Scorer = Callable[[Sequence[Problem], Sequence[str]], list[float]]
"""Scores replies in [0, 1] by something other than the domain's verifier."""


@dataclass(frozen=True)
class Reply:
    """One sampled reply."""

    problem: Problem
    text: str
    """Without special tokens."""
    ended: bool
    """Whether the model ended its turn within the limit."""

    @property
    def verdict(self) -> Verdict:
        """The verifier's verdict; a reply that never ended scores 0, as in training."""
        return grade(self.problem, self.text, self.ended)


def grade(problem: Problem, text: str, ended: bool) -> Verdict:
    """Score of a reply, in training and in measurements alike: a turn that does not end is no answer."""
    return verify(problem, text) if ended else malformed("did not end within the limit")


def eval_problems(domains: Sequence[str], probe: EvalSamplingConfig, options: ProblemConfig) -> list[Problem]:
    """The held-out problems of a measurement: a pure function of the configuration."""
    return [
        problem
        for domain in domains
        for problem in problems(domain, probe.prompts_per_domain, EVAL_SAMPLING_SEED, "held_out", options)
    ]


def _split_by_rank(count: int) -> range:
    if not torch.distributed.is_initialized():
        return range(count)
    return range(torch.distributed.get_rank(), count, torch.distributed.get_world_size())


def sample_replies(
    checkpoint: Path, posed: Sequence[Problem], probe: EvalSamplingConfig, max_new_tokens: int
) -> list[Reply]:
    """Replies of the model in a checkpoint folder, `samples_per_prompt` to each problem, the same every time.

    Ranks share the prompts; every rank gets all replies. The random state of the caller is left as it is.
    """
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    model = load_model(checkpoint)
    share = _split_by_rank(len(posed))
    wanted = [place for place in share for _ in range(probe.samples_per_prompt)]
    # Neighbours of like length waste little on padding.
    wanted.sort(key=lambda place: (len(posed[place].prompt), place))
    replies: list[tuple[int, Reply]] = []
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(EVAL_SAMPLING_SEED)
        for first in range(0, len(wanted), probe.batch_size):
            places = wanted[first : first + probe.batch_size]
            answers = _generate(model, tokenizer, [posed[place].prompt for place in places], max_new_tokens)
            for place, (text, ended) in zip(places, answers, strict=True):
                replies.append((place, Reply(posed[place], text, ended)))
    if torch.distributed.is_initialized():
        gathered: list[list[tuple[int, Reply]]] = [[]] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(gathered, replies)
        replies = [each for part in gathered for each in part]
    return [reply for _, reply in sorted(replies, key=lambda each: each[0])]


def _generate(model: Any, tokenizer: Any, prompts: Sequence[str], max_new_tokens: int) -> list[tuple[str, bool]]:
    """A sampled reply to each prompt and whether it ended."""
    conversations = [[{"role": "user", "content": prompt}] for prompt in prompts]
    inputs = encode(tokenizer, render(tokenizer, conversations, answer=True))
    with torch.inference_mode():
        outputs = model.generate(
            **inputs,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=max_new_tokens,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    completions = outputs[:, inputs["input_ids"].shape[1] :]
    ended = (completions == tokenizer.eos_token_id).any(dim=1).tolist()
    return list(zip(tokenizer.batch_decode(completions, skip_special_tokens=True), ended, strict=True))


@dataclass(frozen=True)
class Measurement:
    """Mean scores of sampled replies."""

    reward: float
    """Mean over domains of the mean score."""
    in_format: float
    """Share of replies that ended in time and have the form of an answer; mean over domains."""
    by_domain: dict[str, float]
    """Mean score of each domain."""
    in_format_by_domain: dict[str, float]
    """The same share, domain by domain."""
    replies: list[Reply]

    def metrics(self, when: str) -> dict[str, float]:
        """Flat metrics, named for `before` or `after`."""
        named = {f"reward/{domain}/{when}": score for domain, score in self.by_domain.items()}
        named |= {f"in_format/{domain}/{when}": share for domain, share in self.in_format_by_domain.items()}
        return {f"reward/{when}": self.reward, f"in_format/{when}": self.in_format, **named}


def measure(
    checkpoint: Path,
    posed: Sequence[Problem],
    probe: EvalSamplingConfig,
    max_new_tokens: int,
    scorers: dict[str, Scorer] | None = None,
) -> Measurement:
    """Sample replies and grade them, by the domain's verifier or, where there is one, by its scorer."""
    replies = sample_replies(checkpoint, posed, probe, max_new_tokens)
    by_domain: dict[str, float] = {}
    in_format: dict[str, float] = {}
    for domain in dict.fromkeys(problem.environment for problem in posed):
        of_domain = [reply for reply in replies if reply.problem.environment == domain]
        scorer = (scorers or {}).get(domain)
        if scorer is None:
            by_domain[domain] = fmean(reply.verdict.score for reply in of_domain)
        else:
            scores = scorer([reply.problem for reply in of_domain], [reply.text for reply in of_domain])
            by_domain[domain] = fmean(
                score if reply.ended else 0.0 for score, reply in zip(scores, of_domain, strict=True)
            )
        in_format[domain] = fmean(reply.verdict.in_format for reply in of_domain)
    return Measurement(fmean(by_domain.values()), fmean(in_format.values()), by_domain, in_format, replies)

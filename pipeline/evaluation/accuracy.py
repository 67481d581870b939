"""Verified accuracy: greedy answers to held-out prompts, graded by the environments' own verifiers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from pipeline.environments.problem import Problem, Verdict
from pipeline.environments.registry import problems, verify
from pipeline.evaluation.config import AccuracyConfig
from pipeline.evaluation.model import LoadedModel


@dataclass(frozen=True)
class Answer:
    """One completion with what the verifier says of it."""

    problem: Problem
    completion: str
    finished: bool
    """Whether the model ended the answer itself."""
    verdict: Verdict

    @property
    def in_format(self) -> bool:
        """Ended by the model, and of the form its domain asks for, right or wrong."""
        return self.finished and self.verdict.in_format


@torch.inference_mode()
def generate(loaded: LoadedModel, prompts: Sequence[str], maximum_new_tokens: int) -> list[tuple[str, bool]]:
    """The greedy answer to each user turn, and whether the model ended it."""
    tokenizer = loaded.tokenizer
    turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
    encoded: Any = tokenizer.apply_chat_template(
        turns,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
        padding=True,
        tokenizer_kwargs={"padding_side": "left"},
    )
    model: Any = loaded.model
    produced = model.generate(
        **encoded.to(loaded.device),
        do_sample=False,
        max_new_tokens=maximum_new_tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )[:, encoded["input_ids"].shape[1] :]
    completions = tokenizer.batch_decode(produced, skip_special_tokens=True)
    finished = (produced == tokenizer.eos_token_id).any(dim=1).tolist()
    return list(zip(completions, finished, strict=True))


def answer_all(loaded: LoadedModel, config: AccuracyConfig, seed: int, report: Callable[[int], None]) -> list[Answer]:
    """Answers `problems_per_environment` held-out prompts of every environment, in their order.

    Prompts of like length share a batch. `report` is told of the prompts answered.
    """
    posed = [
        problem
        for domain in config.environments
        for problem in problems(domain, config.problems_per_environment, seed, "held_out", config.problems)
    ]
    order = sorted(range(len(posed)), key=lambda number: (len(posed[number].prompt), number))
    answers: dict[int, Answer] = {}
    for start in range(0, len(order), config.batch_prompts):
        numbers = order[start : start + config.batch_prompts]
        produced = generate(loaded, [posed[number].prompt for number in numbers], config.maximum_new_tokens)
        for number, (completion, finished) in zip(numbers, produced, strict=True):
            problem = posed[number]
            answers[number] = Answer(problem, completion, finished, verify(problem, completion))
        report(len(numbers))
    return [answers[number] for number in range(len(posed))]


def accuracy_metrics(answers: Sequence[Answer]) -> dict[str, float]:
    """`accuracy/<domain>` and `in_format/<domain>`, from 0 to 1, and their means over domains."""
    metrics: dict[str, float] = {}
    domains = list(dict.fromkeys(answer.problem.environment for answer in answers))
    for domain in domains:
        own = [answer for answer in answers if answer.problem.environment == domain]
        metrics[f"accuracy/{domain}"] = sum(answer.verdict.score for answer in own) / len(own)
        metrics[f"in_format/{domain}"] = sum(answer.in_format for answer in own) / len(own)
    for name in ("accuracy", "in_format"):
        metrics[f"{name}/mean"] = sum(metrics[f"{name}/{domain}"] for domain in domains) / len(domains)
    return metrics


def sample_answers(answers: Sequence[Answer], count: int) -> list[dict[str, str]]:
    """The first answer of each of the first `count` domains."""
    first = {answer.problem.environment: answer for answer in reversed(answers)}
    order = list(dict.fromkeys(answer.problem.environment for answer in answers))[:count]
    return [
        {
            "domain": domain,
            "prompt": first[domain].problem.prompt,
            "answer": first[domain].completion,
            "score": f"{first[domain].verdict.score:g} ({first[domain].verdict.reason})",
        }
        for domain in order
    ]

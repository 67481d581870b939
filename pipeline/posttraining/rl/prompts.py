"""The prompts of a GRPO stage, mixed so that every step sees the whole mixture."""

from __future__ import annotations

from collections import Counter

from transformers import PreTrainedTokenizerBase

from pipeline.core.errors import DataError
from pipeline.curation.decontamination.prompts import PromptIndex
from pipeline.environments import Problem, problems
from pipeline.posttraining.common.chat import render
from pipeline.posttraining.rl.config import RlConfig


def interleave(weights: dict[str, float], count: int) -> list[str]:
    """Domain of each of `count` places, every stretch as near to the weights as whole numbers allow."""
    domains = [domain for domain, weight in weights.items() if weight > 0]
    total = sum(weights[domain] for domain in domains)
    given = dict.fromkeys(domains, 0)
    order = []
    for place in range(1, count + 1):
        # The domain that is furthest behind its share.
        domain = max(domains, key=lambda each: weights[each] / total * place - given[each])
        given[domain] += 1
        order.append(domain)
    return order


def stage_problems(config: RlConfig, seed: int, tokenizer: PreTrainedTokenizerBase) -> list[Problem]:
    """The stage's training problems in order; prompts over `max_prompt_length` and copies of benchmarks left out.

    Raises DataError when a domain has no prompt left.
    """
    order = interleave(config.domain_weights, config.prompts)
    options = config.problems
    benchmarks = PromptIndex(config.decontamination)
    streams = {}
    for domain in dict.fromkeys(order):
        posed = problems(domain, order.count(domain), seed, "train", options)
        conversations = [[{"role": "user", "content": problem.prompt}] for problem in posed]
        rendered = render(tokenizer, conversations, answer=True)
        lengths = map(len, tokenizer(rendered, add_special_tokens=False)["input_ids"])
        short = [problem for problem, length in zip(posed, lengths, strict=True) if length <= config.max_prompt_length]
        if not short:
            raise DataError(
                f"no prompt of {domain} is within {config.max_prompt_length} tokens, set max_prompt_length higher"
            )
        clean = uncontaminated(short, benchmarks)
        if not clean:
            raise DataError(f"every prompt of {domain} copies a benchmark, set weight 0 or other benchmarks")
        # The prompts that remain stand in for those left out, so that the mixture stays what it is.
        streams[domain] = iter([clean[place % len(clean)] for place in range(len(posed))])
    return [next(streams[domain]) for domain in order]


def uncontaminated(posed: list[Problem], benchmarks: PromptIndex) -> list[Problem]:
    """The problems whose prompts copy no item of a benchmark; the log tells how many were left out."""
    copies = [benchmarks.find_copy(problem.prompt) for problem in posed]
    for name, count in sorted(Counter(copy.benchmark for copy in copies if copy is not None).items()):
        print(f"decontamination: {count} of {len(posed)} prompts copy {name} and are left out")
    return [problem for problem, copy in zip(posed, copies, strict=True) if copy is None]


def dataset_rows(posed: list[Problem]) -> list[dict[str, object]]:
    """Rows for TRL: the conversation, and flat columns for the reward functions."""
    rows = []
    for problem in posed:
        record = problem.to_record()
        rows.append(
            {
                "prompt": [{"role": "user", "content": problem.prompt}],
                "question": problem.prompt,
                **{key: record[key] for key in ("domain", "answer", "spec")},
            }
        )
    return rows

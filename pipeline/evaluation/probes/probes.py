"""Measures probes: greedy completions of generated tasks, and what the right answer would have been worth by chance."""

from collections.abc import Sequence
from typing import Any

import torch

from pipeline.core.terminal import one_line
from pipeline.evaluation.bench import Bench, Measured
from pipeline.evaluation.config import ProbesConfig
from pipeline.evaluation.probes.fitting import Example, example
from pipeline.inference.sampling import decode

SHOWN = 120
"""Characters of a prompt's end in a sample."""


def measure(bench: Bench) -> Measured:
    """`probe/<family>/<length>` and `probe_chance/<family>/<length>`, each from 0 to 1; a collective.

    The score is the mean share of a task's answers that its completion holds, or of the answer's tokens that the model
    ranks first. Chance is measured too: the same completions are held against the answers of other tasks.

    Raises:
        ConfigError: for a length that is too short for a family, or a family that the tokenizer cannot ask.
    """
    settings = bench.config.probes
    assert settings is not None
    units = examples(bench, settings)
    found = bench.shared("probes", units, lambda unit: _output(bench, unit), counted="tasks")
    metrics: dict[str, float] = {}
    samples = []
    for family in settings.families:
        for length in settings.lengths:
            own = [
                (each, output)
                for each, output in zip(units, found, strict=True)
                if (each.family, each.length) == (family, length)
            ]
            scores = [score(each, output) for each, output in own]
            others = [own[(at + 1) % len(own)][0] for at in range(len(own))]
            chances = [score(other, output) for other, (_, output) in zip(others, own, strict=True)]
            metrics[f"probe/{family}/{length}"] = sum(scores) / len(scores)
            if len(own) > 1:
                metrics[f"probe_chance/{family}/{length}"] = sum(chances) / len(chances)
        each, output = own[0]
        samples.append(_sample(bench, each, output, scores[0]))
    return Measured(metrics, sum(len(each.prompt) + each.room for each in units), samples)


def examples(bench: Bench, settings: ProbesConfig) -> list[Example]:
    """All tasks: of each family at each length, drawn with the evaluation's seed."""
    return [
        example(family, length, f"{bench.seed}/{family}/{length}/{number}", bench.loaded.tokenizer, f"{bench.where}.probes")
        for family in settings.families
        for length in settings.lengths
        for number in range(settings.examples)
    ]  # fmt: skip


def score(each: Example, output: Sequence[Any]) -> float:
    """What an output is worth as the answer of a task, from 0 to 1.

    Args:
        each: the task; another one than the output's own gives its worth by chance.
        output: a completion's text, or the tokens that a model ranked first where the answer stands.
    """
    if each.task.forced:
        return sum(a == b for a, b in zip(each.answer, output[1], strict=False)) / len(each.answer)
    return sum(answer in output[0] for answer in each.task.answers) / len(each.task.answers)


@torch.inference_mode()
def _output(bench: Bench, each: Example) -> list[Any]:
    """The completion's text, and of a forced task the ids that the model ranks first at the answer's tokens."""
    model, tokenizer = bench.loaded.model, bench.loaded.tokenizer
    if each.task.forced:
        ids = torch.tensor([each.prompt + each.answer[:-1]], device=model.device)
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=len(each.answer)).logits
        first = logits[0, -len(each.answer) :].argmax(-1).tolist()
        return [tokenizer.decode(first), first]
    end = tokenizer.eos_token_id
    (ids,) = decode(model, [each.prompt], None, max_new_tokens=each.room, end_tokens=[-1 if end is None else end])
    return [tokenizer.decode(ids, skip_special_tokens=True), []]


def _sample(bench: Bench, each: Example, output: Sequence[Any], worth: float) -> dict[str, str]:
    return {
        "domain": f"{each.family}, {each.length} tokens",
        "prompt": "…" + each.task.prompt[-SHOWN:],
        "answer": one_line(output[0]),
        "score": f"{worth:g} (of {one_line(', '.join(each.task.answers))})",
    }

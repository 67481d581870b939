"""Measures probes: greedy completions of generated tasks, and what the right answer would have been worth by chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

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
    ranks first. Chance is measured too: the same completions are held against the answers of other tasks. Where the
    answer is scored token by token, `probe_gain/<family>/<length>` is finer: the nats per token by which it is cheaper
    after its own prompt than after another task's. A model that uses nothing of a prompt has 0 there.

    Raises:
        ConfigError: for a length that is too short for a family, or a family that the tokenizer cannot ask.
    """
    settings = bench.config.probes
    assert settings is not None
    groups = [
        [Pair(each, tasks[at - 1]) for at, each in enumerate(tasks)]
        for family in settings.families
        for length in settings.lengths
        for tasks in [examples(bench, settings, family, length)]
    ]
    units = [pair for group in groups for pair in group]
    found = iter(bench.shared("probes", units, lambda pair: _output(bench, pair), counted="tasks"))
    metrics: dict[str, float] = {}
    samples = []
    for group in groups:
        outputs = [next(found) for _ in group]
        name = f"{group[0].own.family}/{group[0].own.length}"
        scores = [score(pair.own, output) for pair, output in zip(group, outputs, strict=True)]
        metrics[f"probe/{name}"] = _mean(scores)
        if len(group) > 1:
            chances = [score(pair.other, output) for pair, output in zip(group, outputs, strict=True)]
            metrics[f"probe_chance/{name}"] = _mean(chances)
            if group[0].own.task.forced:
                metrics[f"probe_gain/{name}"] = _mean([output["loss_elsewhere"] - output["loss"] for output in outputs])
        samples.append(_sample(group[0].own, outputs[0], scores[0]))
    return Measured(metrics, sum(len(pair.own.prompt) + pair.own.room for pair in units), samples)


@dataclass(frozen=True)
class Pair:
    """A task, and another one that its answer is held against."""

    own: Example
    other: Example


def check(bench: Bench) -> None:
    """Makes sure that every task can be written, without writing the long ones.

    Raises:
        ConfigError: as `measure`.
    """
    if (settings := bench.config.probes) is not None:
        for family in settings.families:
            for length in settings.lengths:
                examples(bench, settings, family, length, only_smallest=True)


def examples(
    bench: Bench, settings: ProbesConfig, family: str, length: int, only_smallest: bool = False
) -> list[Example]:
    """The tasks of a family at a length, drawn with the evaluation's seed; or the smallest of each."""
    tokenizer, where = bench.loaded.tokenizer, f"{bench.where}.probes"
    seeds = [f"{bench.seed}/{family}/{length}/{number}" for number in range(settings.examples)]
    return [example(family, length, seed, tokenizer, where, only_smallest) for seed in seeds]


def score(each: Example, output: Mapping[str, Any]) -> float:
    """What an output is worth as the answer of a task, from 0 to 1.

    Args:
        each: the task; another one than the output's own gives its worth by chance.
        output: `text`, and of a forced task the tokens that the model ranked `first` where the answer stands.
    """
    if each.task.forced:
        return sum(a == b for a, b in zip(each.answer, output["first"], strict=False)) / len(each.answer)
    return sum(answer in output["text"] for answer in each.task.answers) / len(each.task.answers)


@torch.inference_mode()
def _output(bench: Bench, pair: Pair) -> dict[str, Any]:
    """What a model makes of a task, as `score` takes it; of a forced one with the loss in nats per token."""
    model, tokenizer, each = bench.loaded.model, bench.loaded.tokenizer, pair.own
    if each.task.forced:
        logits = _answer_logits(model, each.prompt, each.answer)
        answer = torch.tensor(each.answer, device=logits.device)
        elsewhere = _answer_logits(model, pair.other.prompt, each.answer)
        first = logits.argmax(-1).tolist()
        return {
            "text": tokenizer.decode(first),
            "first": first,
            "loss": float(functional.cross_entropy(logits, answer)),
            "loss_elsewhere": float(functional.cross_entropy(elsewhere, answer)),
        }
    end: Any = tokenizer.eos_token_id
    (ids,) = decode(model, [each.prompt], None, max_new_tokens=each.room, end_tokens=[-1 if end is None else end])
    return {"text": tokenizer.decode(ids, skip_special_tokens=True)}


def _answer_logits(model: Any, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """Logits at the positions that predict the answer's tokens, float32, shape (tokens of the answer, vocabulary)."""
    ids = torch.tensor([prompt + answer[:-1]], device=model.device)
    return model(input_ids=ids, use_cache=False, logits_to_keep=len(answer)).logits[0, -len(answer) :].float()


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _sample(each: Example, output: Mapping[str, Any], worth: float) -> dict[str, str]:
    return {
        "domain": f"{each.family}, {each.length} tokens",
        "prompt": "…" + each.task.prompt[-SHOWN:],
        "answer": one_line(output["text"]),
        "score": f"{worth:g} (of {one_line(', '.join(each.task.answers))})",
    }

"""Accuracy: greedy completions of different problems, scored by the environments' own verifiers.

Three kinds of prompts are asked: such as training has, other phrasings of its tasks, and tasks about numbers, words or
names that it never has. Beside each score stand its interval, what the best constant reply and a reply to another
prompt earn on the same prompts, and how many prompts there were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from pipeline.core.statistics import macro_interval, mean_interval
from pipeline.environments import Problem, distinct_problems
from pipeline.environments.registry import Asked, has_instances
from pipeline.evaluation.answers import Answer, answers_of
from pipeline.evaluation.bench import Bench, Measured
from pipeline.evaluation.config import AccuracyConfig
from pipeline.evaluation.floors import Floor, floor_of, key_of
from pipeline.inference.completions import complete_problems
from pipeline.inference.loading import LoadedModel
from pipeline.pretraining.engine.distributed import gather_objects, rank, world_size

FLOORS, ANSWERS = "floors", "answers"
"""Names of the details that the part leaves beside its metrics."""
Floors = Mapping[str, Floor]
"""By the name of a score, such as `math` or `math/instances`."""


@dataclass(frozen=True)
class Accuracy:
    """What a model replied, with what its scores are held against."""

    answers: list[Answer]
    floors: dict[str, Floor]

    @property
    def metrics(self) -> dict[str, float]:
        """All that `accuracy_metrics` makes of them."""
        return accuracy_metrics(self.answers, self.floors)


def asked_problems(config: AccuracyConfig, seed: int) -> dict[tuple[str, Asked], list[Problem]]:
    """What a model is asked, by environment and split: at most `problems_per_environment` of each, none twice.

    An environment without new instances at the difficulty has none. A pure function of the arguments.
    """
    return {
        (environment, split): distinct_problems(
            environment, config.problems_per_environment, seed, split, config.problems
        )
        for split in config.splits
        for environment in config.environments
        if split != "instances" or has_instances(environment, config.problems)
    }


def measure_accuracy(
    loaded: LoadedModel,
    config: AccuracyConfig,
    seed: int,
    report: Callable[[int], None] = lambda count: None,
    between: Callable[[], None] = lambda: None,
    known: Floors | None = None,
) -> Accuracy:
    """The model's greedy completions of all that it is asked, and the floors of the same prompts; a collective.

    Args:
        loaded: a chat model.
        config: settings.
        seed: of the problems; the same seed asks every model the same.
        report: is told the number of problems whenever a batch of them is done.
        between: called by all ranks after each batch; it may raise.
        known: floors measured before, which are not measured again if they are of the same prompts.
    """
    asked = asked_problems(config, seed)
    flat: list[tuple[Problem, Asked]] = [(problem, split) for (_, split), own in asked.items() for problem in own]
    completions = complete_problems(
        loaded,
        [problem for problem, _ in flat],
        config.batch_prompts,
        config.maximum_new_tokens,
        report=report,
        between=between,
    )
    return Accuracy(answers_of(completions, [split for _, split in flat]), _floors(asked, config, seed, known or {}))


def _floors(
    asked: Mapping[tuple[str, Asked], list[Problem]], config: AccuracyConfig, seed: int, known: Floors
) -> dict[str, Floor]:
    """Of each environment and split; ranks share them."""
    found: dict[str, Floor] = {}
    for (environment, split), problems in list(asked.items())[rank() :: world_size()]:
        name = score_name(environment, split)
        before = known.get(name)
        same = before is not None and before.prompts == key_of(problems, config.problems, seed)
        found[name] = before if before is not None and same else floor_of(problems, config.problems, seed)
    return {name: floor for of_rank in gather_objects(found) for name, floor in of_rank.items()}


def score_name(environment: str, split: Asked) -> str:
    """What a score is called beside others: the environment, with the split unless that is `held_out`."""
    return environment if split == "held_out" else f"{environment}/{split}"


def grouped(answers: Sequence[Answer]) -> dict[Asked, dict[str, list[Answer]]]:
    """Answers by split, and in it by environment, both in the order in which they come."""
    groups: dict[Asked, dict[str, list[Answer]]] = {}
    for answer in answers:
        groups.setdefault(answer.split, {}).setdefault(answer.domain, []).append(answer)
    return groups


def accuracy_metrics(answers: Sequence[Answer], floors: Floors) -> dict[str, float]:
    """`<what>/<environment>` and `<what>/mean` for the split `held_out`; of the others `<what>_<split>/...`.

    What: `accuracy`, with the ends of its 95 % interval as `accuracy/<environment>/low` and `/high`; `floor`, the best
    constant reply's score; `chance`, that of replies to other prompts; `in_format` and `unfinished`, shares of replies;
    `prompts`, how many; and `above_floor`, the number of environments whose interval lies above the floor.
    """
    metrics: dict[str, float] = {}
    for split, domains in grouped(answers).items():
        suffix = "" if split == "held_out" else f"_{split}"
        scores = {domain: [each.score for each in own] for domain, own in domains.items()}
        rows: dict[str, dict[str, float]] = {
            name: {}
            for name in ("accuracy", "in_format", "unfinished", *(("floor", "chance") if floors else ()), "prompts")
        }
        above = 0
        for domain, own in domains.items():
            rows["accuracy"][domain] = fmean(scores[domain])
            rows["in_format"][domain] = fmean(each.in_format for each in own)
            rows["unfinished"][domain] = fmean(not each.finished for each in own)
            rows["prompts"][domain] = len(own)
            interval = mean_interval(scores[domain])
            metrics |= _ends(f"accuracy{suffix}/{domain}", interval)
            if (floor := floors.get(score_name(domain, split))) is not None:
                rows["floor"][domain], rows["chance"][domain] = floor.constant, floor.chance
                above += interval.low > floor.constant
        for name, values in rows.items():
            metrics |= {f"{name}{suffix}/{domain}": float(value) for domain, value in values.items()}
            if name != "prompts" and values:
                metrics[f"{name}{suffix}/mean"] = fmean(values.values())
        metrics |= _ends(f"accuracy{suffix}/mean", macro_interval(list(scores.values())))
        if floors:
            metrics[f"above_floor{suffix}"] = float(above)
    return metrics


def _ends(name: str, interval: tuple[float, float]) -> dict[str, float]:
    return {f"{name}/low": interval[0], f"{name}/high": interval[1]}


def example_answers(answers: Sequence[Answer], count: int) -> list[dict[str, str]]:
    """For the report: the first reply of each of the first `count` environments, with its score and the reason."""
    first: dict[str, Answer] = {}
    for answer in answers:
        first.setdefault(answer.domain, answer)
    return [
        {
            "domain": each.domain,
            "prompt": each.prompt,
            "answer": each.output,
            "score": f"{each.score:g} ({each.reason})",
        }
        for each in list(first.values())[:count]
    ]


def measure(bench: Bench) -> Measured:
    """All of `accuracy_metrics`, with the answers and the floors as details; a collective."""
    settings = bench.config.accuracy
    assert settings is not None
    total = sum(map(len, asked_problems(settings, bench.seed).values()))
    bench.progress.start(-(-total // world_size()), counted="prompts", label="verified answers")
    known = {name: Floor(**floor) for name, floor in bench.floors.items()}
    found = measure_accuracy(bench.loaded, settings, bench.seed, bench.progress.advance, bench.between, known)
    return Measured(
        found.metrics,
        samples=example_answers(found.answers, settings.samples),
        details={
            FLOORS: {name: asdict(floor) for name, floor in found.floors.items()},
            ANSWERS: [asdict(each) for each in found.answers],
        },
    )

"""Where the prompts of a stage of RL come from: how many each domain and file is asked for, and how many it has."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from pipeline.core.errors import ConfigError, DataError
from pipeline.environments.own import is_own
from pipeline.environments.registry import check_problem, distinct_prompts, problems
from pipeline.posttraining.common.data_files import PromptFile
from pipeline.posttraining.rl.config import RlConfig


def interleave_environments(weights: dict[str, float], count: int) -> list[str]:
    """The environments of `count` problems in a row, any stretch as close to the weights as whole numbers allow."""
    names = [name for name, weight in weights.items() if weight > 0]
    total = sum(weights[name] for name in names)
    given = dict.fromkeys(names, 0)
    order = []
    for length in range(1, count + 1):
        # The one that is furthest behind its share of what is given so far.
        name = max(names, key=lambda each: weights[each] / total * length - given[each])
        given[name] += 1
        order.append(name)
    return order


def prompt_files(config: RlConfig) -> dict[str, PromptFile]:
    """The files of prompts, by the key that names each."""
    return {f"prompt_files.{number}": file for number, file in enumerate(config.prompt_files)}


def verifiers(config: RlConfig) -> list[str]:
    """The names of the verifiers of all files' rows, each once; of a recipe those that it names, unread.

    Raises:
        DataError: for a row that cannot be used, or a source of a recipe without a verifier.
    """
    names: list[str] = []
    for file in config.prompt_files:
        for source in file.sources:
            if (name := source.settings.verifier or file.verifier) is None:
                raise DataError(f"{file.name}: {source.name} names no verifier, set verifier of the source")
            names.append(name)
        if file.recipe is None:
            # It loads transformers, which takes seconds.
            from pipeline.posttraining.rl.own_prompts import file_problems

            names += [each.environment for each in file_problems(file)]
    return list(dict.fromkeys(names))


def mixture(config: RlConfig) -> dict[str, float]:
    """The weight of each domain and file (`prompt_files.<number>`) in the prompts, with what is replayed."""
    own = config.domain_weights | {name: file.weight for name, file in prompt_files(config).items()}
    if not config.replayed:
        return own
    # Of the whole, the replayed have their share and the stage's own the rest.
    scales = [(own, 1 - config.replay_share), (config.replayed, config.replay_share)]
    return {
        name: sum(weights.get(name, 0) * share / sum(weights.values()) for weights, share in scales)
        for name in own | config.replayed
    }


def repeated(asked: int, there: int, name: str) -> str | None:
    """What to say of a domain or file that is asked for more different prompts than it has; None if it is not."""
    if asked <= there:
        return None
    return f"{name} is asked for {asked:,} and has {there:,}"


def check_rewards(config: RlConfig) -> None:
    """Has the verifiers of environments of one's own grade a problem each, as far as they reward this stage.

    Raises:
        ConfigError: for one that raises, or gives no number from 0 to 1.
    """
    for key, weights in (("domain_weights", config.domain_weights), ("replay_weights", config.replayed)):
        for name in (each for each, weight in weights.items() if weight and is_own(each)):
            if fault := check_problem(problems(name, 1, 0, "train", config.problems)[0]):
                raise ConfigError(f"{key}.{name}: {fault}")


def closed_gate_lines(config: RlConfig) -> list[str]:
    """What to say of gates that the calibration of the verifiers keeps from deciding: of rewards, and of the stage.

    Raises:
        DataError: for a calibration that is not there or is none, or a file of prompts that cannot be read.
    """
    if config.verifier_calibration is None:
        return []
    lines = [
        f"reward.{domain} has no gate, {'+'.join(config.open_rewards[domain].score)} alone rewards: its verifier may "
        f"not gate ({reason}); correct it and calibrate again"
        for domain, reason in config.closed_reward_gates().items()
    ]
    measured = list(dict.fromkeys([*stage_domains(config), *config.gate.domains, *verifiers(config)]))
    if closed := config.closed_verifiers(measured):
        said = ", ".join(f"{name} ({reason})" for name, reason in sorted(closed.items()))
        lines.append(f"verifiers that neither warn nor stop in the stage's gate: {said}")
    return lines


def stage_domains(config: RlConfig) -> list[str]:
    """The environments of the stage's own prompts, with a weight above 0."""
    return [name for name, weight in config.domain_weights.items() if weight]


def repeated_prompts(config: RlConfig) -> list[str]:
    """The domains and files that have fewer different prompts for training than the stage asks of them, with numbers.

    Prompts of domains are counted by drawing them. What is left out once the tokenizer is known, such as prompts that
    are too long, is not.

    Raises:
        ConfigError: for one of them, if `repeat_prompts` is false.
        DataError: for a file that cannot be read, or a domain without prompts.
    """
    files = prompt_files(config)
    found = []
    for name, asked in Counter(interleave_environments(mixture(config), config.prompts)).items():
        if name in files:
            if files[name].missing:
                continue  # The plan names what the stage fetches.
            # It loads transformers, which takes seconds.
            from pipeline.posttraining.rl.own_prompts import file_problems

            there, name = len(file_problems(files[name], "train")), files[name].name
        else:
            there = sum(
                distinct_prompts(name, asked, replace(config.problems, difficulty=level))
                for level in _levels(config, name)
            )
        if there and (said := repeated(asked, there, name)):
            found.append(said)
    check_repeats(config, found)
    return found


def _levels(config: RlConfig, name: str) -> range:
    """The difficulties of a domain's problems: with a curriculum, all that it may mix."""
    if config.curriculum is None or name not in config.curriculum_domains:
        return range(config.problems.difficulty, config.problems.difficulty + 1)
    return range(math.floor(config.curriculum.minimum), math.ceil(config.curriculum.maximum) + 1)


def curriculum_line(config: RlConfig) -> str | None:
    """What the plan says of the curriculum; None without one."""
    if (rule := config.curriculum) is None:
        return None
    start = rule.minimum if rule.start is None else rule.start
    return (
        f"curriculum: difficulty from {start:g}, within {rule.minimum:g} to {rule.maximum:g}, moves after every "
        f"{rule.window} prompts of a domain until {rule.target:.0%} of its replies pass: "
        f"{', '.join(config.curriculum_domains)}"
    )


def check_repeats(config: RlConfig, found: list[str]) -> None:
    """Refuses what `repeated` says of domains and files, if `repeat_prompts` is false.

    Raises:
        ConfigError: for the first of them.
    """
    if found and not config.repeat_prompts:
        raise ConfigError(
            f"repeat_prompts=false: {found[0]} different prompts; lower prompts or its weight, or set it to true"
        )

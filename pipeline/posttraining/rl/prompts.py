"""The training problems of a stage of reinforcement learning, mixed so that every step sees the whole mixture."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import repeat
from typing import Any

from transformers import PreTrainedTokenizerBase

from pipeline.core.errors import DataError
from pipeline.curation.decontamination.prompts import PromptIndex
from pipeline.environments import Problem, problems
from pipeline.environments.mixed_difficulty import MixedProblems
from pipeline.inference.conversation_ids import conversation_ids, forged_token, problem_messages
from pipeline.posttraining.common.data_files import Place, SetAside
from pipeline.posttraining.common.eval_sampling import EVAL_SAMPLING_SEED, eval_problems
from pipeline.posttraining.rl.config import RlConfig
from pipeline.posttraining.rl.own_prompts import file_problems, file_rows, user_turns
from pipeline.posttraining.rl.supply import check_repeats, interleave_environments, mixture, prompt_files, repeated


def training_problems(
    config: RlConfig, seed: int, tokenizer: PreTrainedTokenizerBase, aside: SetAside | None = None
) -> list[Problem]:
    """A stage's problems in the order of training, a pure function of the arguments.

    Prompts of files are those of the training split in random order, again and again where they do not suffice.
    A domain with a curriculum has one problem again and again, which stands for those that are drawn while training.
    Prompts of more than `max_prompt_length` tokens are left out, those that spell out a special token, which TRL would
    encode as one, and copies of benchmarks' items; others of the same environment come twice in their place, so that
    the mixture stays what the weights say.

    Args:
        config: settings of the stage.
        seed: of the problems.
        tokenizer: of the model to train, with its chat template.
        aside: takes the rows of files that are set aside, those with too long a prompt among them.

    Raises:
        ConfigError: if prompts have to repeat though `repeat_prompts` is false.
        DataError: if an environment has no prompt left, or for a row of a file that cannot be used.
    """
    aside = [] if aside is None else aside
    files = prompt_files(config)
    order = interleave_environments(mixture(config), config.prompts)
    benchmarks = PromptIndex(config.decontamination)
    streams: dict[str, Iterator[Problem]] = {}
    for environment in dict.fromkeys(order):
        count = order.count(environment)
        if environment in config.curriculum_domains:
            streams[environment] = repeat(problems(environment, 1, seed, "train", config.problems)[0])
            continue
        places: dict[int, Place] = {}
        if environment in files:
            rows = file_rows(files[environment], "train", aside)
            random.Random(f"{environment}/{seed}").shuffle(rows)
            candidates = [problem for _, problem in rows]
            places = {id(problem): place for place, problem in rows}
        else:
            candidates = problems(environment, count, seed, "train", config.problems)
        asked = [problem for problem in candidates if forged_token(tokenizer, problem_messages(problem)) is None]
        if len(asked) < len(candidates):
            left_out = len(candidates) - len(asked)
            print(f"{left_out} of {len(candidates)} prompts of {environment} spell out a special token: left out")
        lengths = [
            len(conversation_ids(tokenizer, problem_messages(problem), add_generation_prompt=True)) for problem in asked
        ]
        short = [each for each, tokens in zip(asked, lengths, strict=True) if tokens <= config.max_prompt_length]
        if len(short) < len(asked):
            too_long = f"longer than max_prompt_length={config.max_prompt_length} tokens"
            print(f"{len(asked) - len(short)} of {len(asked)} prompts of {environment} are {too_long}: left out")
            for problem, tokens in zip(asked, lengths, strict=True):
                if environment in files and tokens > config.max_prompt_length:
                    reason = f"prompt: {tokens} tokens, {too_long}; shorten it or raise max_prompt_length"
                    files[environment].refuse(places[id(problem)], reason, aside)
        if not short:
            raise DataError(
                f"no prompt of {environment} is within {config.max_prompt_length} tokens and without special tokens, "
                "set max_prompt_length higher"
            )
        clean = without_benchmarks(short, benchmarks)
        if not clean:
            raise DataError(f"every prompt of {environment} copies a benchmark, set weight 0 or other benchmarks")
        there = len({each.prompt for each in clean})
        name = files[environment].name if environment in files else environment
        if said := repeated(count, there, name):
            print(f"prompts repeat: {said} different ones")
            check_repeats(config, [said])
        streams[environment] = iter([clean[number % len(clean)] for number in range(count)])
    return [next(streams[environment]) for environment in order]


def held_out_problems(config: RlConfig) -> list[Problem]:
    """What the stage is measured on: `probe.prompts_per_domain` held-out problems of each environment and each file.

    The environments are the stage's own and those of its gate, not what it replays.

    Raises:
        DataError: for a row of a file that cannot be used.
    """
    measured = list(dict.fromkeys([*environment_names(config, replayed=False), *config.gate.domains]))
    drawn = eval_problems(measured, config.probe, config.problems)
    for file in config.prompt_files:
        own = file_problems(file, "held_out")
        random.Random(EVAL_SAMPLING_SEED).shuffle(own)
        drawn += own[: config.probe.prompts_per_domain]
    return drawn


def environment_names(config: RlConfig, replayed: bool = True) -> list[str]:
    """The environments with a weight above 0, in the order of the settings, with or without those only replayed."""
    weights = {**config.domain_weights, **(config.replayed if replayed else {})}
    return [name for name in weights if config.domain_weights.get(name) or (replayed and name in config.replayed)]


def without_benchmarks(problems: list[Problem], benchmarks: PromptIndex) -> list[Problem]:
    """The problems whose prompts copy no item of a benchmark; how many are left out is printed to the log."""
    copies = [next(filter(None, map(benchmarks.find_copy, user_turns(each))), None) for each in problems]
    for name, count in sorted(Counter(copy.benchmark for copy in copies if copy is not None).items()):
        print(f"decontamination: {count} of {len(problems)} prompts copy {name} and are left out")
    return [problem for problem, copy in zip(problems, copies, strict=True) if copy is None]


def curriculum_streams(
    config: RlConfig, seed: int, tokenizer: PreTrainedTokenizerBase, benchmarks: PromptIndex | None = None
) -> dict[str, MixedProblems]:
    """By domain with a curriculum, its problems for training: those that `training_problems` would not leave out."""
    index = PromptIndex(config.decontamination) if benchmarks is None else benchmarks

    def usable(problem: Problem) -> bool:
        messages = problem_messages(problem)
        return (
            forged_token(tokenizer, messages) is None
            and len(conversation_ids(tokenizer, messages, add_generation_prompt=True)) <= config.max_prompt_length
            and not any(map(index.find_copy, user_turns(problem)))
        )

    return {domain: MixedProblems(domain, seed, config.problems, usable) for domain in config.curriculum_domains}


def dataset_rows(problems: list[Problem], before: bool = False) -> list[dict[str, Any]]:
    """Rows of TRL's dataset: `prompt` as a conversation, and what the reward functions need of the problem.

    Args:
        problems: one for each row.
        before: whether there is a column `before` also if no problem has turns before its prompt.
    """
    rows = []
    before = before or any(problem.before for problem in problems)
    for problem in problems:
        record = problem.to_record()
        rows.append(
            {
                "prompt": problem_messages(problem),
                "question": problem.prompt,
                **{key: record[key] for key in ("domain", "answer", "spec")},
                # A table has the columns of its first row.
                **({"before": record.get("before", "[]")} if before else {}),
            }
        )
    return rows

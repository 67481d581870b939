"""The training problems of a stage of reinforcement learning, mixed so that every step sees the whole mixture."""

from __future__ import annotations

import random
from collections import Counter

from transformers import PreTrainedTokenizerBase

from pipeline.core.errors import DataError
from pipeline.curation.decontamination.prompts import PromptIndex
from pipeline.environments import Problem, problems
from pipeline.inference.conversation_ids import conversation_ids, forged_token, problem_messages
from pipeline.posttraining.common.eval_sampling import EVAL_SAMPLING_SEED, eval_problems
from pipeline.posttraining.rl.config import RlConfig
from pipeline.posttraining.rl.own_prompts import file_problems, user_turns


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


def mixture(config: RlConfig) -> dict[str, float]:
    """The weight of each environment and file (`prompt_files.<number>`) in the prompts, with what is replayed."""
    files = {f"prompt_files.{number}": file.weight for number, file in enumerate(config.prompt_files)}
    own = config.domain_weights | files
    if not config.replayed:
        return own
    # Of the whole, the replayed have their share and the stage's own the rest.
    scales = [(own, 1 - config.replay_share), (config.replayed, config.replay_share)]
    return {
        name: sum(weights.get(name, 0) * share / sum(weights.values()) for weights, share in scales)
        for name in own | config.replayed
    }


def training_problems(config: RlConfig, seed: int, tokenizer: PreTrainedTokenizerBase) -> list[Problem]:
    """A stage's problems in the order of training, a pure function of the arguments.

    Prompts of files are those of the training split in random order, again and again where they do not suffice.
    Prompts of more than `max_prompt_length` tokens are left out, those that spell out a special token, which TRL would
    encode as one, and copies of benchmarks' items; others of the same environment come twice in their place, so that
    the mixture stays what the weights say.

    Args:
        config: settings of the stage.
        seed: of the problems.
        tokenizer: of the model to train, with its chat template.

    Raises:
        DataError: if an environment has no prompt left.
    """
    files = {f"prompt_files.{number}": file for number, file in enumerate(config.prompt_files)}
    order = interleave_environments(mixture(config), config.prompts)
    benchmarks = PromptIndex(config.decontamination)
    streams = {}
    for environment in dict.fromkeys(order):
        count = order.count(environment)
        if environment in files:
            candidates = file_problems(files[environment], "train")
            random.Random(f"{environment}/{seed}").shuffle(candidates)
        else:
            candidates = problems(environment, count, seed, "train", config.problems)
        asked = [problem for problem in candidates if forged_token(tokenizer, problem_messages(problem)) is None]
        if len(asked) < len(candidates):
            left_out = len(candidates) - len(asked)
            print(f"{left_out} of {len(candidates)} prompts of {environment} spell out a special token: left out")
        short = [
            problem
            for problem in asked
            if len(conversation_ids(tokenizer, problem_messages(problem), add_generation_prompt=True))
            <= config.max_prompt_length
        ]
        if not short:
            raise DataError(
                f"no prompt of {environment} is within {config.max_prompt_length} tokens and without special tokens, "
                "set max_prompt_length higher"
            )
        clean = without_benchmarks(short, benchmarks)
        if not clean:
            raise DataError(f"every prompt of {environment} copies a benchmark, set weight 0 or other benchmarks")
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


def dataset_rows(problems: list[Problem]) -> list[dict[str, object]]:
    """Rows of TRL's dataset: `prompt` as a conversation, and what the reward functions need of the problem."""
    rows = []
    before = any(problem.before for problem in problems)
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

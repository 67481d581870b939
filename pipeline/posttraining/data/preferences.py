"""Preference pairs for the reward model: a good response, and one that is worse in a way that has a name."""

from __future__ import annotations

import random
from collections.abc import Callable

from pipeline.environments import ENVIRONMENT_NAMES, Problem, ProblemConfig, problems
from pipeline.environments.chat import RUDE, terse_reply
from pipeline.environments.registry import Split
from pipeline.inference.conversation_ids import Message, to_messages

PreferencePair = dict[str, list[Message]]
"""TRL's form: `prompt`, `chosen` and `rejected`, each a list of messages."""

CHAT_SHARE = 0.7
"""Share of pairs about general chat, which the reward model is for; the others keep it from rewarding chat where an
answer is asked for. IBM published no share."""

Rejection = Callable[[Problem, Problem, random.Random], str]
"""A problem, another one and a random generator → a bad response to the first."""


def _terse(problem: Problem, other: Problem, draw: random.Random) -> str:
    return terse_reply(problem) if problem.environment == "general_chat" else other.solution


def _off_topic(problem: Problem, other: Problem, draw: random.Random) -> str:
    # Another topic in the same words: a response of another form would be told apart by its form alone.
    return problem.solution.replace(problem.answer, other.answer) if problem.answer else other.solution


def _rude(problem: Problem, other: Problem, draw: random.Random) -> str:
    return f"That is {draw.choice(sorted(RUDE))}."


def _truncated(problem: Problem, other: Problem, draw: random.Random) -> str:
    words = problem.solution.split(" ")
    return " ".join(words[: draw.randint(1, len(words) - 1)]) if len(words) > 1 else other.solution


def _repetitive(problem: Problem, other: Problem, draw: random.Random) -> str:
    words = problem.solution.split(" ")
    begun = words[: draw.randint(1, len(words))]
    return " ".join(begun + begun[-1:] * draw.randint(1, 6))


def _garbled(problem: Problem, other: Problem, draw: random.Random) -> str:
    words, foreign = problem.solution.split(" "), draw.choice(other.solution.split(" "))
    place = draw.randrange(len(words))
    # The foreign word is in place of a word or before it.
    return " ".join([*words[:place], foreign, *words[place + draw.randint(0, 1) :]])


REJECTIONS: tuple[Rejection, ...] = (_terse, _off_topic, _rude, _truncated, _repetitive, _garbled)
"""What a policy drifts into when the reward model has not seen it as worse."""


def preference_pairs(
    count: int, split: Split, problem_config: ProblemConfig, seed: int, draw: random.Random
) -> list[PreferencePair]:
    """Pairs whose rejected responses are of each kind in turn; a pure function of the arguments.

    Args:
        count: pairs.
        split: of the prompts.
        problem_config: which problems the environments pose.
        seed: of the problems.
        draw: of everything else that is random.
    """
    chat = problems("general_chat", round(count * CHAT_SHARE), seed, split, problem_config)
    others = [environment for environment in ENVIRONMENT_NAMES if environment != "general_chat"]
    rest = count - len(chat)
    each = -(-rest // len(others))
    of_others = [
        problem for environment in others for problem in problems(environment, each, seed, split, problem_config)
    ]
    mixed = chat + of_others[:rest]
    draw.shuffle(mixed)
    pairs = []
    for position, problem in enumerate(mixed):
        # Chat is compared with chat.
        candidates = chat if problem.environment == "general_chat" else mixed
        other = draw.choice(candidates)
        while other.solution == problem.solution:
            other = draw.choice(candidates)
        rejected = REJECTIONS[position % len(REJECTIONS)](problem, other, draw)
        if rejected == problem.solution:
            rejected = other.solution
        pairs.append(
            {
                "prompt": to_messages(problem.prompt),
                "chosen": [{"role": "assistant", "content": problem.solution}],
                "rejected": [{"role": "assistant", "content": rejected}],
            }
        )
    return pairs

"""Preference pairs for the reward model: a good reply, and one that is worse in a way that can be named."""

from __future__ import annotations

import random
from collections.abc import Callable

from pipeline.environments import ENVIRONMENT_NAMES, Problem, ProblemConfig, problems
from pipeline.environments.chat import RUDE
from pipeline.environments.registry import Split
from pipeline.posttraining.data.conversations import Message, terse_reply

Pair = dict[str, list[Message]]

CHAT_SHARE = 0.7
"""Share of pairs about general chat, which the reward model is for; the others keep it from rewarding
chat where an answer is asked for. Not published by IBM."""


def _terse(problem: Problem, other: Problem, draw: random.Random) -> str:
    return terse_reply(problem.answer) if problem.environment == "general_chat" else other.solution


def _off_topic(problem: Problem, other: Problem, draw: random.Random) -> str:
    # About another topic in the words of this one: a reply of another kind would be told apart by its form alone.
    return problem.solution.replace(problem.answer, other.answer) if problem.answer else other.solution


def _rude(problem: Problem, other: Problem, draw: random.Random) -> str:
    return f"That is {draw.choice(sorted(RUDE))}."


def _cut_short(problem: Problem, other: Problem, draw: random.Random) -> str:
    parts = problem.solution.split(" ")
    return " ".join(parts[: draw.randint(1, len(parts) - 1)]) if len(parts) > 1 else other.solution


def _repeating(problem: Problem, other: Problem, draw: random.Random) -> str:
    parts = problem.solution.split(" ")
    begun = parts[: draw.randint(1, len(parts))]
    return " ".join(begun + begun[-1:] * draw.randint(1, 6))


def _garbled(problem: Problem, other: Problem, draw: random.Random) -> str:
    parts, foreign = problem.solution.split(" "), draw.choice(other.solution.split(" "))
    place = draw.randrange(len(parts))
    # In place of a word, or before it.
    return " ".join([*parts[:place], foreign, *parts[place + draw.randint(0, 1) :]])


REJECTIONS: dict[str, Callable[[Problem, Problem, random.Random], str]] = {
    "terse": _terse,
    "off_topic": _off_topic,
    "rude": _rude,
    "cut_short": _cut_short,
    "repeating": _repeating,
    "garbled": _garbled,
}
"""What the policy of an RLHF stage drifts into when the reward model has not seen it as worse."""


def preference_pairs(count: int, split: Split, config: ProblemConfig, seed: int, draw: random.Random) -> list[Pair]:
    """Pairs on prompts of the split, kinds of rejection by turns; a pure function of its arguments."""
    chat = problems("general_chat", round(count * CHAT_SHARE), seed, split, config)
    others = [domain for domain in ENVIRONMENT_NAMES if domain != "general_chat"]
    rest = count - len(chat)
    each = -(-rest // len(others))
    posed = chat + [problem for domain in others for problem in problems(domain, each, seed, split, config)][:rest]
    draw.shuffle(posed)
    kinds = tuple(REJECTIONS.values())
    pairs = []
    for position, problem in enumerate(posed):
        # Chat is compared with chat.
        others = chat if problem.environment == "general_chat" else posed
        other = draw.choice(others)
        while other.solution == problem.solution:
            other = draw.choice(others)
        rejected = kinds[position % len(kinds)](problem, other, draw)
        if rejected == problem.solution:
            rejected = other.solution
        pairs.append(
            {
                "prompt": [{"role": "user", "content": problem.prompt}],
                "chosen": [{"role": "assistant", "content": problem.solution}],
                "rejected": [{"role": "assistant", "content": rejected}],
            }
        )
    return pairs

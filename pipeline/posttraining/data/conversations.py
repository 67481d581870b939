"""Raw conversations: problems with solutions, chat in terse and warm replies, and faults as raw data has."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import accumulate, cycle

from pipeline.environments import ENVIRONMENT_NAMES, Problem, problems, split_of
from pipeline.environments.answers import DOES_NOT_KNOW
from pipeline.posttraining.data.config import SftDataConfig

Message = dict[str, str]

DOCUMENTED_MODULES = ("builtins", "math", "os.path", "random", "shutil", "statistics", "string", "textwrap")
MAX_DOCSTRING_CHARACTERS = 80
NEVER_ABSTAINS = ("general_chat", "identity", "calibration")
"""Sources without replies that needlessly abstain: what is said there is not a matter of knowing, or is about
knowing itself."""


@dataclass(frozen=True)
class Conversation:
    """A raw conversation and, turn by turn, the problem whose verifier can check it."""

    messages: list[Message]
    source: str
    """The environment, or `documentation`."""
    problems: tuple[Problem, ...] = ()
    """The problem behind each user turn; empty where nothing can be verified."""


def turn(prompt: str, reply: str) -> list[Message]:
    """A question and its answer as messages."""
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": reply}]


def terse_reply(topic: str) -> str:
    """The short, plain kind of chat reply."""
    return f"I like {topic}."


def documentation() -> list[tuple[str, str]]:
    """Questions about functions of the standard library and the first sentence of their docstrings."""
    pairs = []
    for module in DOCUMENTED_MODULES:
        for name, value in sorted(vars(import_module(module)).items()):
            if name.startswith("_") or not callable(value):
                continue
            sentence = (inspect.getdoc(value) or "").partition("\n")[0].strip()
            if 10 < len(sentence) <= MAX_DOCSTRING_CHARACTERS and sentence.endswith("."):
                full = name if module == "builtins" else f"{module}.{name}"
                pairs.append((f"What does {full} do?", sentence))
    # What falls among the held-out prompts is not for training, whoever poses it.
    return [pair for pair in pairs if split_of(pair[0]) == "train"]


def raw_conversations(config: SftDataConfig, seed: int, draw: random.Random) -> list[Conversation]:
    """The raw conversations, faults and all: a pure function of settings, seed and stream."""
    counts = _counts(config)
    made: list[Conversation] = []
    options = config.problems
    for domain in ENVIRONMENT_NAMES:
        posed = problems(domain, counts.get(domain, 0), seed, "train", options)
        position = 0
        while position < len(posed):
            together = posed[position : position + (2 if draw.random() < config.multi_turn_share else 1)]
            position += len(together)
            messages = [
                message for problem in together for message in turn(problem.prompt, _reply(problem, config, draw))
            ]
            made.append(Conversation(messages, domain, tuple(together)))
    pairs = documentation()
    draw.shuffle(pairs)
    for _, (question, answer) in zip(range(counts.get("documentation", 0)), cycle(pairs), strict=False):
        made.append(Conversation(turn(question, answer), "documentation"))
    draw.shuffle(made)
    held_out = [problems(domain, 8, seed, "held_out", options) for domain in ENVIRONMENT_NAMES if counts.get(domain)]
    leaks = [problem for each in held_out for problem in each]
    return [
        draw.choice(FAULTS)(conversation, draw, leaks) if draw.random() < config.faulty_share else conversation
        for conversation in made
    ]


def _reply(problem: Problem, config: SftDataConfig, draw: random.Random) -> str:
    if problem.environment == "general_chat" and draw.random() < config.terse_share:
        return terse_reply(problem.answer)
    if problem.environment not in NEVER_ABSTAINS and draw.random() < config.abstaining_share:
        return DOES_NOT_KNOW
    return problem.solution


def _counts(config: SftDataConfig) -> dict[str, int]:
    """Conversations by source: the weights' exact shares, rounded so that they add up."""
    total = sum(config.domain_weights.values())
    ends = [round(config.conversations * end / total) for end in accumulate(config.domain_weights.values())]
    begins = [0, *ends[:-1]]
    return {domain: end - begin for domain, begin, end in zip(config.domain_weights, begins, ends, strict=True)}


def _altered(conversation: Conversation, position: int, content: str) -> Conversation:
    messages = [dict(message) for message in conversation.messages]
    messages[position]["content"] = content
    return replace(conversation, messages=messages)


def wrong_answer(conversation: Conversation, draw: random.Random, leaks: list[Problem]) -> Conversation:
    """The reply to another question: a wrong computation, an invented fact."""
    return _altered(conversation, -1, draw.choice(leaks).solution)


def empty_turn(conversation: Conversation, draw: random.Random, leaks: list[Problem]) -> Conversation:
    """A turn without text."""
    return _altered(conversation, draw.choice((0, -1)), draw.choice(("", "  ", "\n")))


def cut_short(conversation: Conversation, draw: random.Random, leaks: list[Problem]) -> Conversation:
    """A reply that breaks off in the middle."""
    reply = conversation.messages[-1]["content"]
    return _altered(conversation, -1, reply[: len(reply) // 2])


def wrong_order(conversation: Conversation, draw: random.Random, leaks: list[Problem]) -> Conversation:
    """The assistant speaks first."""
    return replace(conversation, messages=conversation.messages[::-1])


def untidy(conversation: Conversation, draw: random.Random, leaks: list[Problem]) -> Conversation:
    """Stray white space and control characters, which can be repaired."""
    reply = conversation.messages[-1]["content"]
    return _altered(conversation, -1, f"  {reply}\u200b \r\n")


def leaked(conversation: Conversation, draw: random.Random, leaks: list[Problem]) -> Conversation:
    """A question that is held out for measuring."""
    problem = draw.choice(leaks)
    return Conversation(turn(problem.prompt, problem.solution), problem.environment, (problem,))


def endless(conversation: Conversation, draw: random.Random, leaks: list[Problem]) -> Conversation:
    """A reply that repeats itself for ever."""
    reply = conversation.messages[-1]["content"]
    return _altered(conversation, -1, f"{reply} " * 20_000)


FAULTS: tuple[Callable[[Conversation, random.Random, list[Problem]], Conversation], ...] = (
    wrong_answer,
    empty_turn,
    cut_short,
    wrong_order,
    untidy,
    leaked,
    endless,
)

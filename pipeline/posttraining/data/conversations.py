"""Raw conversations: problems with their solutions, chat, questions about documentation, and faults as raw data has."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from itertools import accumulate, cycle

from pipeline.environments import ENVIRONMENT_NAMES, Problem, problems, split_of
from pipeline.environments.answers import DOES_NOT_KNOW
from pipeline.environments.chat import terse_reply
from pipeline.inference.conversation_ids import problem_messages, to_messages
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.record import Conversation

DOCUMENTED_MODULES = ("builtins", "math", "os.path", "random", "shutil", "statistics", "string", "textwrap")
MAX_DOCSTRING_CHARACTERS = 80
NEVER_ABSTAINS = ("general_chat", "identity", "calibration")
"""Environments whose raw responses never abstain without need: chat and identity are no matter of knowing, and
calibration is about when to abstain."""


def documentation_questions() -> list[tuple[str, str]]:
    """Questions about functions of Python's standard library, each with the first sentence of the docstring.

    Questions of the held-out split are left out: it is decided by a prompt's words alone, whoever asks.
    """
    pairs = []
    for module in DOCUMENTED_MODULES:
        for name, value in sorted(vars(import_module(module)).items()):
            if name.startswith("_") or not callable(value):
                continue
            sentence = (inspect.getdoc(value) or "").partition("\n")[0].strip()
            if 10 < len(sentence) <= MAX_DOCSTRING_CHARACTERS and sentence.endswith("."):
                full = name if module == "builtins" else f"{module}.{name}"
                pairs.append((f"What does {full} do?", sentence))
    return [pair for pair in pairs if split_of(pair[0]) == "train"]


def raw_conversations(config: SftDataConfig, seed: int, draw: random.Random) -> list[Conversation]:
    """The raw conversations, faults included, in random order; a pure function of the arguments.

    Args:
        config: settings.
        seed: of the problems.
        draw: of everything else that is random.
    """
    counts = _counts(config)
    conversations: list[Conversation] = []
    others = [name for name in config.domain_weights if name not in (*ENVIRONMENT_NAMES, "documentation")]
    environments = [*ENVIRONMENT_NAMES, *others]
    for environment in environments:
        drawn = problems(environment, counts.get(environment, 0), seed, "train", config.problems)
        position = 0
        while position < len(drawn):
            # A conversation has one system turn, at its beginning.
            turns = 2 if draw.random() < config.multi_turn_share and not drawn[position].before else 1
            asked = drawn[position : position + turns]
            position += len(asked)
            messages = [
                message
                for problem in asked
                for message in (
                    *problem_messages(problem),
                    {"role": "assistant", "content": _response(problem, config, draw)},
                )
            ]
            conversations.append(Conversation(messages, environment, tuple(asked)))
    pairs = documentation_questions()
    draw.shuffle(pairs)
    for _, (question, answer) in zip(range(counts.get("documentation", 0)), cycle(pairs), strict=False):
        conversations.append(Conversation(to_messages(question, answer), "documentation"))
    draw.shuffle(conversations)
    held_out = [
        problem
        for environment in environments
        if counts.get(environment)
        for problem in problems(environment, 8, seed, "held_out", config.problems)
    ]
    return [
        draw.choice(FAULTS)(conversation, draw, held_out) if draw.random() < config.faulty_share else conversation
        for conversation in conversations
    ]


def _response(problem: Problem, config: SftDataConfig, draw: random.Random) -> str:
    if problem.environment == "general_chat" and draw.random() < config.terse_share:
        return terse_reply(problem)
    if problem.environment not in NEVER_ABSTAINS and draw.random() < config.abstaining_share:
        return DOES_NOT_KNOW
    return problem.solution


def _counts(config: SftDataConfig) -> dict[str, int]:
    """Questions of each source by the weights' shares: cumulative shares are rounded, so that the counts add up."""
    total = sum(config.domain_weights.values())
    ends = [round(config.conversations * end / total) for end in accumulate(config.domain_weights.values())]
    begins = [0, *ends[:-1]]
    return {source: end - begin for source, begin, end in zip(config.domain_weights, begins, ends, strict=True)}


Fault = Callable[[Conversation, random.Random, list[Problem]], Conversation]
"""A conversation, a random generator and held-out problems → the conversation with a fault."""


def _with_content(conversation: Conversation, position: int, content: str) -> Conversation:
    messages = [dict(message) for message in conversation.messages]
    messages[position]["content"] = content
    return replace(conversation, messages=messages)


def wrong_answer(conversation: Conversation, draw: random.Random, held_out: list[Problem]) -> Conversation:
    """The last response answers another question, as if miscalculated or invented."""
    return _with_content(conversation, -1, draw.choice(held_out).solution)


def empty_turn(conversation: Conversation, draw: random.Random, held_out: list[Problem]) -> Conversation:
    """The first or the last turn has no text but white space."""
    return _with_content(conversation, draw.choice((0, -1)), draw.choice(("", "  ", "\n")))


def truncated_response(conversation: Conversation, draw: random.Random, held_out: list[Problem]) -> Conversation:
    """The last response breaks off in the middle."""
    response = conversation.messages[-1]["content"]
    return _with_content(conversation, -1, response[: len(response) // 2])


def reversed_roles(conversation: Conversation, draw: random.Random, held_out: list[Problem]) -> Conversation:
    """The turns are in reversed order, so that the assistant speaks first."""
    return replace(conversation, messages=conversation.messages[::-1])


def unnormalized_text(conversation: Conversation, draw: random.Random, held_out: list[Problem]) -> Conversation:
    """The last response has stray white space and an invisible character, which the rules can repair."""
    response = conversation.messages[-1]["content"]
    return _with_content(conversation, -1, f"  {response}\u200b \r\n")


def held_out_prompt(conversation: Conversation, draw: random.Random, held_out: list[Problem]) -> Conversation:
    """The question is one of those held out for evaluation."""
    problem = draw.choice(held_out)
    return Conversation(to_messages(problem.prompt, problem.solution), problem.environment, (problem,))


def endless_repetition(conversation: Conversation, draw: random.Random, held_out: list[Problem]) -> Conversation:
    """The last response says the same again and again, as a degenerate model does."""
    response = conversation.messages[-1]["content"]
    return _with_content(conversation, -1, f"{response} " * 20_000)


FAULTS: tuple[Fault, ...] = (
    wrong_answer,
    empty_turn,
    truncated_response,
    reversed_roles,
    unnormalized_text,
    held_out_prompt,
    endless_repetition,
)

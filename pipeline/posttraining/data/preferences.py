"""Preference pairs for the reward model: a good response, and one that is worse in a way that has a name."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from pipeline.environments import ENVIRONMENT_NAMES, Problem, ProblemConfig, problems
from pipeline.environments.chat import RUDE, terse_reply
from pipeline.environments.registry import Split
from pipeline.inference.conversation_ids import to_messages

PreferencePair = dict[str, Any]
"""TRL's form: `prompt`, `chosen` and `rejected`, each a list of messages. Where they are known, `kind` says what is
wrong with the rejected one, `problem` is the record whose verifier can check replies, `language` a code of ISO 639."""

CHAT_SHARE = 0.7
"""Share of pairs about general chat, which the reward model is for; the others keep it from rewarding chat where an
answer is asked for. IBM published no share."""

Rejection = Callable[[Problem, Problem, random.Random], str]
"""A problem, another one and a random generator → a bad response to the first."""


def _terse(problem: Problem, other: Problem, draw: random.Random) -> str:
    return terse_reply(problem) if problem.environment == "general_chat" else other.solution


def _off_topic(problem: Problem, other: Problem, draw: random.Random) -> str:
    return other.solution


def _wrong_entity(problem: Problem, other: Problem, draw: random.Random) -> str:
    # Another topic in the same words: a response of another form would be told apart by its form alone.
    return problem.solution.replace(problem.answer, other.answer) if problem.answer else other.solution


def _broken_word(problem: Problem, other: Problem, draw: random.Random) -> str:
    # A word that lost letters, mostly the answer's: what a policy says that is rewarded for the form of a sentence.
    words = problem.solution.split(" ")
    asked = [place for place, word in enumerate(words) if word.strip(".,?!") in problem.answer.split(" ")]
    place = draw.choice(asked) if asked and draw.random() < 0.75 else draw.randrange(len(words))
    word = words[place].rstrip(".,?!")
    cut = draw.randint(1, max(1, len(word) - 1))
    broken = word[:cut] if draw.random() < 0.5 else word[:cut] + draw.choice(other.solution.split(" ")).strip(".,?!")
    return " ".join([*words[:place], broken + words[place][len(word) :], *words[place + 1 :]])


def _over_long(problem: Problem, other: Problem, draw: random.Random) -> str:
    more = draw.choice((problem, other)).solution
    return " ".join([problem.solution, *[more] * draw.randint(1, 3)])


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


REJECTIONS: dict[str, Rejection] = {
    "terse": _terse,
    "off_topic": _off_topic,
    "wrong_entity": _wrong_entity,
    "broken_word": _broken_word,
    "rude": _rude,
    "over_long": _over_long,
    "truncated": _truncated,
    "repetitive": _repetitive,
    "garbled": _garbled,
}
"""By kind: what a policy drifts into when the reward model has not seen it as worse."""
TURNS = (*REJECTIONS, "wrong_entity", "wrong_entity")
"""The order in which pairs take the kinds. A reply about something else in the right words is the hardest to tell, and
what RL ran into: it gets the most pairs."""

TRIES = 50
"""Draws in search of a problem with another solution; some domains have only one solution."""
OTHERS = 1_000
"""Problems among which one is looked for then."""


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
    by_environment: dict[str, list[Problem]] = {}
    for problem in mixed:
        by_environment.setdefault(problem.environment, []).append(problem)
    for position, problem in enumerate(mixed):
        kind = TURNS[position % len(TURNS)]
        other = _other(problem, mixed if kind == "off_topic" else by_environment[problem.environment], mixed, draw)
        rejected = REJECTIONS[kind](problem, other, draw)
        if rejected == problem.solution:
            kind = "wrong_entity" if other.environment == problem.environment else "off_topic"
            rejected = other.solution
        pairs.append(
            {
                "prompt": to_messages(problem.prompt),
                "chosen": [{"role": "assistant", "content": problem.solution}],
                "rejected": [{"role": "assistant", "content": rejected}],
                "kind": kind,
                "problem": problem.to_record(),
            }
        )
    return pairs


def _other(problem: Problem, preferred: list[Problem], rest: list[Problem], draw: random.Random) -> Problem:
    """A problem with another solution: of the preferred ones if a few draws find one, else of the rest.

    A reply of the same domain is not given away by its form. Off topic the preferred are all, and the others of the
    same domain do not count.
    """
    off_topic = preferred is rest
    for _ in range(TRIES):
        other = draw.choice(preferred)
        if other.solution != problem.solution and not (off_topic and other.environment == problem.environment):
            return other
    return draw.choice([each for each in rest[:OTHERS] if each.solution != problem.solution] or rest)

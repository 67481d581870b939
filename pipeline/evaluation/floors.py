"""What a score has to be held against: the best reply that is always the same, and a reply to another prompt.

Both are measured with the verifier on the very prompts that the model was asked. A score says that something was
learned where its interval lies above the best constant reply.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from pipeline.environments import Problem, ProblemConfig, distinct_problems, verify_all
from pipeline.environments.answers import DOES_NOT_KNOW
from pipeline.environments.code import ENVIRONMENT as CODE
from pipeline.environments.own import is_own

STOCK_REPLIES = (
    "", DOES_NOT_KNOW, "Yes.", "No.", "True", "False", "0", "1", "2", "A", "{}", "[]", "null", "SELECT 1", "Hello!",
    "Hello! How can I help?", "I am not sure.", "Sure, I can help with that.",
)  # fmt: skip
"""Constant replies that are tried in every domain, whatever its own answers are."""
TRAINING_PROBLEMS = 1_000
"""Different training problems of a domain whose answers and solutions are tried."""
REPLIES, SLOW_REPLIES = 128, 16
"""Different ones that are tried, the most frequent first; fewer where a verdict runs programs."""
SCREENED, FINALISTS = 16, 8
"""Prompts on which all are tried, and how many of the best are tried on the others too."""
CHANCES = 4
"""Replies to other prompts that each prompt gets."""


@dataclass(frozen=True)
class Floor:
    """What replies earn on some prompts that need not read them."""

    reply: str
    """The best of those that are always the same."""
    constant: float
    """Its mean score."""
    chance: float
    """The mean score of the solutions of other prompts, drawn at random."""
    prompts: str
    """Hash of what was asked and tried; the floor of other prompts is another one."""


def floor_of(problems: Sequence[Problem], problem_config: ProblemConfig, seed: int) -> Floor:
    """The floor of some different problems of one environment: a pure function of the arguments.

    Tried are stock replies and the answers and solutions of training problems and of the problems themselves. The one
    that is best on these prompts is chosen on these prompts, so the floor is rather too high than too low.

    Args:
        problems: what a model is asked, one or more.
        problem_config: difficulty, and the assistant's name.
        seed: of the training problems and of chance.
    """
    environment = problems[0].environment
    slow = is_own(environment) or environment == CODE.name
    training = distinct_problems(environment, TRAINING_PROBLEMS, seed, "train", problem_config)
    frequent = Counter(text for each in (*problems, *training) for text in dict.fromkeys((each.answer, each.solution)))
    replies = dict.fromkeys(
        (*(text for text, _ in frequent.most_common(SLOW_REPLIES if slow else REPLIES)), *STOCK_REPLIES)
    )
    screened = problems[:: max(1, len(problems) // SCREENED)][:SCREENED]
    finalists = sorted(replies, key=lambda text: -_mean_score(screened, [text] * len(screened)))[:FINALISTS]
    scores = {text: _mean_score(problems, [text] * len(problems)) for text in finalists}
    best = max(scores, key=scores.__getitem__)
    return Floor(best, scores[best], _chance(problems, seed), key_of(problems, problem_config, seed))


def key_of(problems: Iterable[Problem], problem_config: ProblemConfig, seed: int) -> str:
    """The hash by which a floor is known to be of the same problems."""
    settings = [problem_config.difficulty, problem_config.assistant, seed]
    told = json.dumps([settings, *(each.to_record() for each in problems)], sort_keys=True)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _chance(problems: Sequence[Problem], seed: int) -> float:
    """0 where there is no other prompt."""
    draw = random.Random(f"chance/{seed}")
    asked: list[Problem] = []
    replies: list[str] = []
    for place, problem in enumerate(problems):
        others = [*range(place), *range(place + 1, len(problems))]
        for other in draw.sample(others, min(CHANCES, len(others))):
            asked.append(problem)
            replies.append(problems[other].solution)
    return _mean_score(asked, replies) if asked else 0.0


def _mean_score(problems: Sequence[Problem], replies: Sequence[str]) -> float:
    return fmean(verdict.score for verdict in verify_all(problems, replies))

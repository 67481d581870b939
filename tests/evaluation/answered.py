"""Replies of which as many are right as a test asks for."""

from pipeline.environments import problems
from pipeline.evaluation.answers import Answer, answers_of
from pipeline.inference.completions import Completion
from tests.settings import EASY


def answered(environment: str, right: int, count: int, split: str = "held_out", ended: bool = True) -> list[Answer]:
    asked = problems(environment, count, 0, "held_out", EASY)
    completions = [
        Completion(each, each.solution if place < right else "no", ended) for place, each in enumerate(asked)
    ]
    return answers_of(completions, [split] * count)  # pyright: ignore[reportArgumentType]

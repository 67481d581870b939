"""Answers to an environment's problems that are known to be right or wrong, in the forms in which models give them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.environments import Problem
from pipeline.environments.answers import DOES_NOT_KNOW, abstains

Form = Callable[[str], str]
"""A solution or an answer → the same in another form."""

_WHOLE: dict[str, Form] = {
    "as it is": lambda text: text,
    "with space around": lambda text: f"\n {text} \n",
}
"""Forms of a whole solution that leave every kind of answer right."""
_SENTENCES: dict[str, Form] = {
    "after a sentence": lambda text: f"Let me see.\n{text}",
    "after a heading": lambda text: f"Answer: {text}",
    "after thinking": lambda text: f"<think>\nFirst I look at what is asked.\n</think>\n{text}",
}
"""Forms of a solution that may stand within prose."""
_VALUES: dict[str, Form] = {
    "the answer is": lambda answer: f"The answer is {answer}.",
    "bold": lambda answer: f"The answer is **{answer}**.",
    "final answer": lambda answer: f"Final answer: {answer}",
    "so it is": lambda answer: f"So it is {answer}.",
}
"""Forms of a bare answer that is a word or a value."""
_MATH: dict[str, Form] = {
    "boxed": lambda answer: f"The result is \\boxed{{{answer}}}.",
    "in dollars": lambda answer: f"The result is $= {answer}$.",
}
_FENCED: dict[str, Form] = {
    "fenced": lambda text: f"```\n{text}\n```",
    "fenced with its name": lambda text: f"```{'json' if text.startswith(('{', '[')) else 'sql'}\n{text}\n```",
}
_NAMES: dict[str, Form] = {
    "my name is": lambda answer: f"My name is {answer}.",
    "contracted": lambda answer: f"I'm {answer}.",
}
VALUE_ENVIRONMENTS = ("math", "science", "logical_reasoning", "temporal_reasoning", "in_context_learning")
"""Environments whose answer is a word or a value."""


@dataclass(frozen=True)
class Answer:
    """A completion, its form, and whether it is right."""

    problem: Problem
    text: str
    form: str
    right: bool


def right_answers(problem: Problem) -> Iterator[Answer]:
    """A problem's solution, and its answer where that stands for itself, in the usual forms."""
    forms = dict(_WHOLE)
    given: dict[str, Form] = {}
    match problem.environment:
        case "math":
            forms |= _SENTENCES
            given = {**_VALUES, **_MATH}
        case name if name in VALUE_ENVIRONMENTS:
            forms |= _SENTENCES
            given = _VALUES
        case "calibration":
            forms |= _SENTENCES
            given = _VALUES if problem.answer and not abstains(problem.solution) else {}
        case "structured_output" | "text_to_sql":
            forms |= _FENCED
        case "identity":
            given = _NAMES if problem.answer else {}
    for name, form in forms.items():
        yield Answer(problem, form(problem.solution), name, right=True)
    for name, form in given.items():
        yield Answer(problem, form(problem.answer), name, right=True)


def wrong_answers(problem: Problem, others: Sequence[Problem]) -> Iterator[Answer]:
    """The right answers to problems with another answer, in the same forms, and what answers no question at all.

    Args:
        problem: that is asked.
        others: of the same environment, of which those with the same answer are left out.
    """
    for other in others:
        if _canonical(other) != _canonical(problem):
            for answer in right_answers(other):
                yield Answer(problem, answer.text, f"another answer, {answer.form}", right=False)
    yield Answer(problem, "", "nothing", right=False)
    yield Answer(problem, problem.prompt, "the question", right=False)
    if not abstains(problem.solution):
        yield Answer(problem, DOES_NOT_KNOW, "not known", right=False)
    if problem.environment in VALUE_ENVIRONMENTS:
        yield Answer(problem, f"It is not {problem.answer}.", "denied", right=False)
        candidates = problem.spec.get("candidates")
        if isinstance(candidates, list):
            yield Answer(problem, f"It is {' or '.join(map(str, candidates))}.", "all candidates", right=False)


def _canonical(problem: Problem) -> str:
    try:
        return json.dumps(json.loads(problem.answer), sort_keys=True)
    except ValueError:
        return problem.answer.casefold()

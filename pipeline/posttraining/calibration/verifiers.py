"""Calibration of the verifiers: how well each tells right answers from wrong ones, in the usual forms of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy

from pipeline.environments import ENVIRONMENT_NAMES, ProblemConfig, problems, verify
from pipeline.posttraining.calibration.answers import right_answers, wrong_answers
from pipeline.posttraining.common.verifier_gate import MINIMUM_AUC, source_hash

KIND = "verifiers"
"""What the report says it is of."""
PROBLEMS = 12
"""Problems of each difficulty that a verifier is tried on."""
OTHERS = 4
"""Other problems, whose right answers are the wrong ones."""
DIFFICULTIES = (1, 2, 3)


def calibrate_verifiers(
    names: Sequence[str] = ENVIRONMENT_NAMES, assistant: str = "Fivephase", done: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Grades right and wrong answers to problems of each environment.

    Args:
        names: of environments, built in or one's own.
        assistant: the name that the model is to give.
        done: called after each environment.

    Returns:
        the report, which JSON can hold: per verifier its AUC, what it is bound to, and the mean score of each form.

    Raises:
        ConfigError: for an environment that does not exist.
    """
    found = {}
    for name in names:
        found[name] = _of_one(name, assistant)
        done()
    return {
        "kind": KIND,
        "minimum_auc": MINIMUM_AUC,
        "verifiers": found,
        "below_floor": [name for name, each in found.items() if not each["may_gate"]],
    }


def _of_one(name: str, assistant: str) -> dict[str, Any]:
    scores: dict[bool, list[float]] = {True: [], False: []}
    forms: dict[bool, dict[str, list[float]]] = {True: defaultdict(list), False: defaultdict(list)}
    for difficulty in DIFFICULTIES:
        drawn = problems(name, PROBLEMS, 0, "train", ProblemConfig(difficulty=difficulty, assistant=assistant))
        for number, problem in enumerate(drawn):
            others = [drawn[(number + step) % len(drawn)] for step in range(1, OTHERS + 1)]
            for answer in (*right_answers(problem), *wrong_answers(problem, others)):
                score = verify(problem, answer.text).score
                scores[answer.right].append(score)
                forms[answer.right][answer.form].append(score)
    measured = auc(scores[True], scores[False])
    return {
        "binding": source_hash(name),
        "auc": round(measured, 5),
        "may_gate": measured >= MINIMUM_AUC,
        "right": len(scores[True]),
        "wrong": len(scores[False]),
        "right_accepted": sum(score == 1.0 for score in scores[True]),
        "wrong_accepted": sum(score == 1.0 for score in scores[False]),
        "right_forms": {form: round(sum(each) / len(each), 4) for form, each in forms[True].items()},
        "wrong_forms": {form: round(sum(each) / len(each), 4) for form, each in forms[False].items()},
    }


def auc(right: Iterable[float], wrong: Iterable[float]) -> float:
    """Probability that a right answer scores above a wrong one, ties counting half (the area under the ROC curve)."""
    above, below = numpy.asarray(list(right)), numpy.sort(numpy.asarray(list(wrong)))
    lower = numpy.searchsorted(below, above, side="left")
    equal = numpy.searchsorted(below, above, side="right") - lower
    return float((lower + equal / 2).sum() / (len(above) * len(below)))


def table(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """The rows of a report for the terminal, the first of them a heading."""
    rows: list[tuple[str, ...]] = [("verifier", "AUC", "right accepted", "wrong accepted", "may gate")]
    for name, each in found["verifiers"].items():
        right, wrong = (f"{each[f'{side}_accepted']}/{each[side]}" for side in ("right", "wrong"))
        rows.append((name, f"{each['auc']:.4f}", right, wrong, "yes" if each["may_gate"] else "no"))
    return rows

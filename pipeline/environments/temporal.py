"""`temporal_reasoning`: neighboring days and months, then spans of days as well, then dates, by difficulty."""

from __future__ import annotations

import datetime
import random
import re
from functools import partial

from pipeline.environments.answers import grade_choice
from pipeline.environments.extraction import denied, final_texts, reply
from pipeline.environments.problem import RIGHT, WRONG, Environment, Problem, ProblemConfig, Verdict, malformed

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_QUESTIONS = (
    "Which {period} comes {where} {given}?",
    "What {period} is {where} {given}?",
    "Name the {period} {where} {given}.",
    "Tell me the {period} {where} {given}.",
    "The {period} {where} {given}?",
    "Which {period} is just {where} {given}?",
    "Say the {period} {where} {given}.",
    "Give the {period} {where} {given}.",
    "What comes {where} {given}?",
    "Find the {period} {where} {given}.",
)
_DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)", flags=re.ASCII)
_AFTER_AND_BEFORE = (("after", 1), ("before", -1))


def _neighbor(
    draw: random.Random, period: str, cycle: tuple[str, ...], directions: tuple[tuple[str, int], ...]
) -> Problem:
    where, step = draw.choice(directions)
    place = draw.randrange(len(cycle))
    answer = cycle[(place + step) % len(cycle)]
    prompt = draw.choice(_QUESTIONS).format(period=period, where=where, given=cycle[place])
    return Problem("temporal_reasoning", prompt, answer, f"{answer}.", {"candidates": list(cycle)})


def _span(draw: random.Random, steps: tuple[int, int] = (2, 30)) -> Problem:
    today, step = draw.randrange(7), draw.randint(*steps)
    answer = _DAYS[(today + step) % 7]
    prompt = f"Today is {_DAYS[today]}. Which day is it in {step} days?"
    return Problem("temporal_reasoning", prompt, answer, f"It is {answer}.", {"candidates": list(_DAYS)})


def _date(draw: random.Random, first_year: int = 1950) -> Problem:
    start = datetime.date(first_year, 1, 1) + datetime.timedelta(days=draw.randrange(365 * 100))
    step = draw.randint(10, 900)
    answer = (start + datetime.timedelta(days=step)).isoformat()
    prompt = f"Which date is {step} days after {start.isoformat()}? Write it as YYYY-MM-DD."
    return Problem("temporal_reasoning", prompt, answer, answer, {"date": True})


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    if problem_config.difficulty == 1:
        return _neighbor(draw, *draw.choice((("day", _DAYS), ("month", _MONTHS))), _AFTER_AND_BEFORE)
    if problem_config.difficulty == 2:
        return draw.choice((_span, partial(_neighbor, period="month", cycle=_MONTHS, directions=_AFTER_AND_BEFORE)))(
            draw
        )
    return draw.choice((_span, _date))(draw)


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    """Longer spans, and years of another century; neighbors are all trained on, at difficulty 1 nothing else."""
    span = partial(_span, steps=(31, 60))
    return span(draw) if problem_config.difficulty == 2 else draw.choice((span, partial(_date, first_year=2060)))(draw)


def _grade(problem: Problem, completion: str) -> Verdict:
    if problem.spec.get("date"):
        # "2021-03-12 is 30 days after 2021-02-10" says the date of the question as well.
        asked = set(_DATE.findall(problem.prompt))
        dates = [
            [
                each.group()
                for each in _DATE.finditer(place)
                if each.group() not in asked and not denied(place[max(0, each.start() - 40) : each.start()])
            ]
            for place in final_texts(reply(completion, problem.prompt))
        ]
        found = next((each[-1] for each in dates if each), None)
        if found is None:
            return malformed("no date")
        return RIGHT if found == problem.answer else WRONG
    return grade_choice(problem, completion)


ENVIRONMENT = Environment("temporal_reasoning", _generate, _grade, dict.fromkeys((2, 3), _new))

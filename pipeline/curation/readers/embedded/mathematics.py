"""Generator of exercises with short worked solutions; every answer is checked by a second computation.

Each function `_<exercise>` draws the question, its worked answer, and whether the second computation agrees.
"""

import random
from collections.abc import Callable, Iterator
from fractions import Fraction

from pipeline.core.errors import DataError
from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.sources import EmbeddedSource
from pipeline.environments import split_of

DEFAULT_ITEMS = 1_000
PROBLEMS_PER_DOCUMENT = 12
"""A document is a page of exercises of one type, of 500 to 1,500 characters."""

UNIT_CONVERSIONS = {
    ("metres", "centimetres"): 100, ("kilometres", "metres"): 1000, ("hours", "minutes"): 60,
    ("minutes", "seconds"): 60, ("weeks", "days"): 7, ("days", "hours"): 24, ("kilograms", "grams"): 1000,
    ("litres", "millilitres"): 1000, ("years", "months"): 12, ("dozens", "pieces"): 12,
}  # fmt: skip
NAMES = ("Ana", "Ben", "Eva", "Ida", "Leo", "Max", "Mia", "Sam", "Tom", "Zoe")
THINGS = ("apples", "books", "coins", "cards", "eggs", "keys", "pens", "stones")


def _sum(draw: random.Random) -> tuple[str, str, bool]:
    a, b = draw.randrange(10), draw.randrange(10)
    return f"What is {a} + {b}?", f"{a} + {b} = {a + b}", sum([1] * a) + sum([1] * b) == a + b


def _difference(draw: random.Random) -> tuple[str, str, bool]:
    a, b = draw.randrange(20), draw.randrange(10)
    a = max(a, b)
    return f"What is {a} - {b}?", f"{a} - {b} = {a - b}", a - b + b == a


def _product(draw: random.Random) -> tuple[str, str, bool]:
    a, b = draw.randrange(11), draw.randrange(11)
    return f"What is {a} * {b}?", f"{a} * {b} = {a * b}", sum([a] * b) == a * b


def _column_sum(draw: random.Random) -> tuple[str, str, bool]:
    a, b = draw.randrange(10, 100), draw.randrange(10, 100)
    ones, tens = a % 10 + b % 10, a // 10 * 10 + b // 10 * 10
    columns = f"{a % 10} + {b % 10} = {ones}, {a // 10 * 10} + {b // 10 * 10} = {tens}"
    steps = f"{columns}, {tens} + {ones} = {tens + ones}"
    return f"What is {a} + {b}?", f"{steps}. The answer is {tens + ones}.", tens + ones == a + b


def _long_product(draw: random.Random) -> tuple[str, str, bool]:
    a, b = draw.randrange(11, 100), draw.randrange(2, 10)
    tens, ones = a // 10 * 10 * b, a % 10 * b
    steps = f"{a // 10 * 10} * {b} = {tens}, {a % 10} * {b} = {ones}, {tens} + {ones} = {tens + ones}"
    return f"What is {a} * {b}?", f"{steps}. The answer is {tens + ones}.", tens + ones == a * b


def _division(draw: random.Random) -> tuple[str, str, bool]:
    b, whole = draw.randrange(2, 11), draw.randrange(11)
    rest = draw.randrange(b)
    a = b * whole + rest
    end = f", and {rest} is left" if rest else ""
    return (
        f"What is {a} / {b}?",
        f"{b} * {whole} = {b * whole}, so {a} / {b} = {whole}{end}",
        divmod(a, b) == (whole, rest),
    )


def _comparison(draw: random.Random) -> tuple[str, str, bool]:
    a, b = draw.sample(range(100), 2)
    high = a if a > b else b
    return (
        f"Which is larger, {a} or {b}?",
        f"{max(a, b)} > {min(a, b)}, so {high} is larger.",
        high == max(a, b),
    )


def _order(draw: random.Random) -> tuple[str, str, bool]:
    numbers = draw.sample(range(100), 4)
    rest, ordered = list(numbers), []
    while rest:
        ordered.append(min(rest))
        rest.remove(min(rest))
    question = f"Put in order: {', '.join(map(str, numbers))}."
    return question, " < ".join(map(str, ordered)), ordered == sorted(numbers)


def _sequence(draw: random.Random) -> tuple[str, str, bool]:
    start, step = draw.randrange(20), draw.randrange(1, 10)
    terms = [start + step * index for index in range(5)]
    question = f"What comes next: {', '.join(map(str, terms[:4]))}?"
    return (
        question,
        f"Each number is {step} more. {terms[3]} + {step} = {terms[4]}",
        terms[4] == 2 * terms[3] - terms[2],
    )


def _even(draw: random.Random) -> tuple[str, str, bool]:
    a = draw.randrange(100)
    kind = "even" if a % 2 == 0 else "odd"
    return (
        f"Is {a} even or odd?",
        f"{a} ends in {a % 10}, so {a} is {kind}.",
        (kind == "even") == (str(a)[-1] in "02468"),
    )


def _conversion(draw: random.Random) -> tuple[str, str, bool]:
    (large, small), factor = draw.choice(sorted(UNIT_CONVERSIONS.items()))
    count = draw.randrange(2, 10)
    answer = f"One of the {large} is {factor} {small}. {count} * {factor} = {count * factor} {small}"
    return f"How many {small} are {count} {large}?", answer, sum([factor] * count) == count * factor


def _equation(draw: random.Random) -> tuple[str, str, bool]:
    x, b = draw.randrange(10), draw.randrange(1, 10)
    question = f"x + {b} = {x + b}. What is x?"
    return question, f"x = {x + b} - {b} = {x}", [y for y in range(20) if y + b == x + b] == [x]


def _fraction(draw: random.Random) -> tuple[str, str, bool]:
    b = draw.randrange(3, 10)
    a, c = draw.randrange(1, b), draw.randrange(1, b)
    answer = f"{a}/{b} + {c}/{b} = {a + c}/{b}"
    return f"What is {a}/{b} + {c}/{b}?", answer, Fraction(a, b) + Fraction(c, b) == Fraction(a + c, b)


def _story(draw: random.Random) -> tuple[str, str, bool]:
    name, thing = draw.choice(NAMES), draw.choice(THINGS)
    a, b = draw.randrange(2, 10), draw.randrange(1, 10)
    if draw.random() < 0.5 and b < a:
        question = f"{name} has {a} {thing} and gives {b} away. How many {thing} are left?"
        return question, f"{a} - {b} = {a - b}. {name} has {a - b} {thing}.", len(range(a)[b:]) == a - b
    question = f"{name} has {a} {thing} and gets {b} more. How many {thing} does {name} have?"
    return question, f"{a} + {b} = {a + b}. {name} has {a + b} {thing}.", len([*range(a), *range(b)]) == a + b


EXERCISES: dict[str, Callable[[random.Random], tuple[str, str, bool]]] = {
    "sums": _sum, "differences": _difference, "products": _product, "column sums": _column_sum,
    "long products": _long_product, "divisions": _division, "comparisons": _comparison, "orders": _order,
    "sequences": _sequence, "even and odd": _even, "conversions": _conversion, "equations": _equation,
    "fractions": _fraction, "stories": _story,
}  # fmt: skip
"""Types of exercises by the name that items carry."""


def list_items(source: EmbeddedSource) -> list[str]:
    """Names of documents, `<exercise>/<number>`, the types of exercises taking turns."""
    exercises = list(EXERCISES)
    return [f"{exercises[index % len(exercises)]}/{index:06d}" for index in range(source.limit or DEFAULT_ITEMS)]


def read(source: EmbeddedSource, items: list[str]) -> Iterator[EmbeddedText]:
    """Yields a page of exercises for each item, without the questions that are held out for evaluation.

    Raises:
        DataError: if a second computation disagrees with an answer.
    """
    for name in items:
        draw = random.Random(f"{source.seed}/{name}")
        exercise = EXERCISES[name.partition("/")[0]]
        lines: list[str] = []
        while len(lines) < PROBLEMS_PER_DOCUMENT:
            question, answer, agrees = exercise(draw)
            if split_of(question) == "held_out":
                continue
            if not agrees:
                raise DataError(f"mathematics {name}: {question} {answer}: a second computation disagrees")
            lines.append(f"Question: {question}\nAnswer: {answer}")
        yield EmbeddedText(origin=f"mathematics/{name}", text="\n\n".join(lines))

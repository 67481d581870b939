"""Questions with every step to their answer written out, confirmed by a second computation in another way."""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.environments import split_of
from pipeline.synthesis.sample import Sample

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NAMES = ("Ana", "Ben", "Eva", "Ida", "Leo", "Max", "Mia", "Sam", "Tom", "Zoe")


@dataclass(frozen=True)
class WorkedProblem:
    """A question, the steps to its answer, the answer, and the same answer computed in another way."""

    question: str
    steps: list[str]
    """A sentence for each step."""
    answer: str
    """Where the steps lead."""
    recomputed: str
    """Must equal the answer; otherwise the sample fails its check."""


def _addition(draw: random.Random) -> WorkedProblem:
    a, b = draw.randrange(100, 100_000), draw.randrange(100, 100_000)
    steps, carry, digits = [], 0, []
    left, right = str(a)[::-1], str(b)[::-1]
    for index in range(max(len(left), len(right))):
        one = int(left[index]) if index < len(left) else 0
        other = int(right[index]) if index < len(right) else 0
        total = one + other + carry
        carried = f" + {carry}" if carry else ""
        steps.append(f"{one} + {other}{carried} = {total}: write {total % 10}, carry {total // 10}.")
        digits.append(str(total % 10))
        carry = total // 10
    if carry:
        steps.append(f"Write the carry {carry}.")
        digits.append(str(carry))
    return WorkedProblem(f"What is {a} + {b}?", ["Add from the right.", *steps], "".join(digits[::-1]), str(a + b))


def _product(draw: random.Random) -> WorkedProblem:
    a, b = draw.randrange(11, 1000), draw.randrange(11, 100)
    steps, total = [f"Split {b} into {b // 10 * 10} and {b % 10}."], 0
    for part in (b // 10 * 10, b % 10):
        parts = [int(digit) * 10**place for place, digit in enumerate(reversed(str(a)))]
        products = [f"{each} * {part} = {each * part}" for each in reversed(parts)]
        subtotal = sum(each * part for each in parts)
        steps.append(f"{', '.join(products)}. Together {subtotal}.")
        total += subtotal
    steps.append(f"The sum of both is {total}.")
    return WorkedProblem(f"What is {a} * {b}?", steps, str(total), str(a * b))


def _insertion(draw: random.Random) -> WorkedProblem:
    numbers = draw.sample(range(100), draw.randrange(5, 9))
    ordered: list[int] = []
    steps = []
    for number in numbers:
        place = 0
        while place < len(ordered) and ordered[place] < number:
            place += 1
        where = f"after {ordered[place - 1]}" if place else "first"
        ordered.insert(place, number)
        steps.append(f"{number} comes {where}: {', '.join(map(str, ordered))}.")
    question = f"Put these numbers in order: {', '.join(map(str, numbers))}."
    return WorkedProblem(question, steps, str(ordered), str(sorted(numbers)))


def _calendar(draw: random.Random) -> WorkedProblem:
    start, count = draw.randrange(7), draw.randrange(8, 60)
    weeks, rest = divmod(count, 7)
    steps = [f"A week has 7 days. {count} = {weeks} * 7 + {rest}, so {rest} days are left."]
    day = start
    for index in range(rest):
        day = (day + 1) % 7
        steps.append(f"{index + 1} day{'s' * (index > 0)} on: {DAYS[day]}.")
    check = (date(2024, 1, 1) + timedelta(days=start + count)).weekday()
    question = f"Today is {DAYS[start]}. Which day is it in {count} days?"
    return WorkedProblem(question, steps, DAYS[day], DAYS[check])


def _ranking(draw: random.Random) -> WorkedProblem:
    people = draw.sample(NAMES, draw.randrange(4, 7))
    facts = [f"{one} is taller than {other}." for one, other in itertools.pairwise(people)]
    draw.shuffle(facts)
    taller = {fact.split()[0]: fact.split()[-1].rstrip(".") for fact in facts}
    first = next(name for name in taller if name not in taller.values())
    steps = [f"Nobody is taller than {first}: {first} is the tallest."]
    order = [first]
    while order[-1] in taller:
        steps.append(f"{order[-1]} is taller than {taller[order[-1]]}, so {taller[order[-1]]} comes next.")
        order.append(taller[order[-1]])
    place = draw.randrange(len(people))
    ordinal = ("1st", "2nd", "3rd", "4th", "5th", "6th")[place]
    steps.append(f"The order is {', '.join(order)}.")
    return WorkedProblem(f"{' '.join(facts)} Who is the {ordinal} in height?", steps, order[place], people[place])


def _divisors(draw: random.Random) -> WorkedProblem:
    number = draw.randrange(12, 200)
    left, factor, factors, steps = number, 2, [], []
    while factor * factor <= left:
        if left % factor:
            factor += 1
            continue
        steps.append(f"{left} / {factor} = {left // factor}, so {factor} is a factor.")
        factors.append(factor)
        left //= factor
    steps.append(f"{left} has no smaller divisor: it is prime.")
    factors.append(left)
    product = 1
    for each in factors:
        product *= each
    prime = all(each % small for each in factors for small in range(2, each))
    answer = " * ".join(map(str, factors))
    return WorkedProblem(
        f"Write {number} as a product of primes.",
        steps,
        answer,
        answer if product == number and prime else "",
    )


def _money(draw: random.Random) -> WorkedProblem:
    name, items = draw.choice(NAMES), [(draw.randrange(2, 9), draw.randrange(1, 9)) for _ in range(3)]
    things = draw.sample(("apples", "books", "cups", "pens", "stamps"), 3)
    costs = [count * price for count, price in items]
    first = costs[0] + costs[1]
    paid = (sum(costs) // 10 + 1) * 10
    bought = ", ".join(f"{count} {thing} at {price}" for (count, price), thing in zip(items, things, strict=True))
    steps = [
        f"{thing}: {count} * {price} = {count * price}." for (count, price), thing in zip(items, things, strict=True)
    ]
    steps.append(f"{costs[0]} + {costs[1]} = {first}, and {first} + {costs[2]} = {sum(costs)}.")
    steps.append(f"{paid} - {sum(costs)} = {paid - sum(costs)}.")
    check = paid
    for count, price in items:
        for _ in range(count):
            check -= price
    return WorkedProblem(
        f"{name} buys {bought}, and pays with {paid}. How much comes back?",
        steps,
        str(paid - sum(costs)),
        str(check),
    )


PROBLEM_TYPES: dict[str, Callable[[random.Random], WorkedProblem]] = {
    "addition": _addition, "product": _product, "insertion": _insertion, "calendar": _calendar,
    "ranking": _ranking, "divisors": _divisors, "money": _money,
}  # fmt: skip


def samples(count: int, draw: random.Random, domain: str, kinds: tuple[str, ...]) -> Iterator[Sample]:
    """`count` worked problems of each kind as samples; questions that are held out for evaluation are drawn again."""
    for kind in kinds:
        for index in range(count):
            worked = PROBLEM_TYPES[kind](draw)
            while split_of(worked.question) == "held_out":
                worked = PROBLEM_TYPES[kind](draw)
            steps = "\n".join(f"Step {number}: {step}" for number, step in enumerate(worked.steps, start=1))
            text = f"Question: {worked.question}\n{steps}\nAnswer: {worked.answer}\n"
            failure = None if worked.answer == worked.recomputed else "computations_differ"
            origin = f"{kind}/{index:06d}"
            yield Sample(domain, origin, text, "computed twice", (worked.question,), failure)

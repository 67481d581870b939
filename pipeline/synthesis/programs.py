"""Small programs that follow an instruction, each executed and held against a result computed in another way."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.core import sandbox
from pipeline.synthesis.sample import Sample

WORDS = ("ant", "bee", "cat", "dog", "eel", "fox", "hen", "jay", "owl", "pig", "rat", "yak")
PROGRAMS_PER_PROCESS = 250
"""Programs that one sandboxed process executes."""


@dataclass(frozen=True)
class Program:
    """An instruction, code that follows it, and a call with the result that it must have."""

    instruction: str
    code: str
    """Source of one function."""
    call: str
    """An expression that calls it."""
    expected: Any
    """The value of that expression, computed without the code."""


def _numbers(draw: random.Random) -> list[int]:
    return [draw.randrange(20) for _ in range(draw.randrange(3, 6))]


def _add(draw: random.Random) -> Program:
    name, step = draw.choice(("add", "plus", "more")), draw.randrange(1, 10)
    a = draw.randrange(50)
    code = f"def {name}_{step}(x):\n    return x + {step}\n"
    return Program(f"Write a function that adds {step} to x.", code, f"{name}_{step}({a})", sum([a] + [1] * step))


def _scale(draw: random.Random) -> Program:
    factor, a = draw.randrange(2, 10), draw.randrange(20)
    code = f"def times_{factor}(x):\n    return x * {factor}\n"
    return Program(f"Write a function that multiplies x by {factor}.", code, f"times_{factor}({a})", sum([a] * factor))


def _total(draw: random.Random) -> Program:
    values = _numbers(draw)
    code = "def total(values):\n    result = 0\n    for value in values:\n        result += value\n    return result\n"
    return Program("Write a function that adds up a list.", code, f"total({values})", sum(values))


def _largest(draw: random.Random) -> Program:
    values = _numbers(draw)
    code = (
        "def largest(values):\n    best = values[0]\n    for value in values:\n"
        "        if value > best:\n            best = value\n    return best\n"
    )
    return Program("Write a function that finds the largest number.", code, f"largest({values})", max(values))


def _above(draw: random.Random) -> Program:
    values, limit = _numbers(draw), draw.randrange(20)
    code = f"def above(values):\n    return [value for value in values if value > {limit}]\n"
    expected = list(filter(lambda value: value > limit, values))
    return Program(f"Write a function that keeps the numbers above {limit}.", code, f"above({values})", expected)


def _count(draw: random.Random) -> Program:
    letter = draw.choice("aeio")
    words = draw.sample(WORDS, 4)
    code = f"def count(words):\n    return sum({letter!r} in word for word in words)\n"
    expected = len([word for word in words if word.find(letter) >= 0])
    return Program(
        f"Write a function that counts the words with the letter {letter}.", code, f"count({words})", expected
    )


def _join(draw: random.Random) -> Program:
    mark, words = draw.choice("-+/,"), draw.sample(WORDS, 3)
    code = f"def join(words):\n    return {mark!r}.join(words)\n"
    expected = words[0] + mark + words[1] + mark + words[2]
    return Program(f"Write a function that joins words with {mark}", code, f"join({words})", expected)


def _reverse(draw: random.Random) -> Program:
    word = "".join(draw.choice("abcdefgh") for _ in range(draw.randrange(3, 7)))
    code = "def reverse(text):\n    return text[::-1]\n"
    return Program("Write a function that turns a text round.", code, f"reverse({word!r})", "".join(reversed(word)))


def _order(draw: random.Random) -> Program:
    values, down = _numbers(draw), draw.random() < 0.5
    code = f"def order(values):\n    return sorted(values{', reverse=True' * down})\n"
    expected = sorted(values)[::-1] if down else sorted(values)
    end = "falling" if down else "rising"
    return Program(f"Write a function that puts numbers in {end} order.", code, f"order({values})", expected)


def _every(draw: random.Random) -> Program:
    step, values = draw.randrange(2, 4), _numbers(draw)
    code = f"def every(values):\n    return values[::{step}]\n"
    expected = [value for index, value in enumerate(values) if index % step == 0]
    return Program(f"Write a function that takes every {step}. item of a list.", code, f"every({values})", expected)


def _lengths(draw: random.Random) -> Program:
    words = [draw.choice(WORDS) * draw.randrange(1, 3) for _ in range(3)]
    code = "def lengths(words):\n    return {word: len(word) for word in words}\n"
    expected = {word: sum(1 for _ in word) for word in words}
    return Program("Write a function that maps words to their lengths.", code, f"lengths({words})", expected)


def _multiple(draw: random.Random) -> Program:
    factor, a = draw.randrange(2, 10), draw.randrange(60)
    code = f"def divides(x):\n    return x % {factor} == 0\n"
    expected = a in range(0, 60, factor)
    return Program(f"Write a function that tells if {factor} divides x.", code, f"divides({a})", expected)


TEMPLATES: tuple[Callable[[random.Random], Program], ...] = (
    _add, _scale, _total, _largest, _above, _count, _join, _reverse, _order, _every, _lengths, _multiple,
)  # fmt: skip
"""Each draws the numbers and names of one kind of program."""


def generate(count: int, draw: random.Random) -> list[Program]:
    """`count` programs, drawn from the templates in turn."""
    return [TEMPLATES[index % len(TEMPLATES)](draw) for index in range(count)]


def samples(programs: list[Program], cpu_seconds: int, memory_bytes: int) -> Iterator[Sample]:
    """Executes programs in one sandboxed process; a sample for each, failed if it raised or gave another result."""
    jobs = [{"code": f"{program.code}print(repr({program.call}))\n"} for program in programs]
    executed, broken = sandbox.execute({"programs": jobs}, cpu_seconds, memory_bytes)
    results = executed if broken is None else [{"printed": "", "failure": broken}] * len(programs)
    for program, result in zip(programs, results, strict=True):
        printed = result["printed"].strip()
        failure = None
        if result["failure"]:
            failure = f"raised_{result['failure'].partition(':')[0]}"
        elif printed != repr(program.expected):
            failure = "output_differs"
        example = f"Example: {program.call} gives {printed}"
        text = f"Instruction: {program.instruction}\n\nAnswer:\n{program.code}\n{example}\n"
        yield Sample("code_instructions", program.call, text, "executed", failure=failure)

"""Needles: find what was said once. RULER's niah_single_1 and niah_multikey_2 (arXiv 2404.06654, appendix B)."""

import random

from pipeline.evaluation.probes.task import Task, keys, noise

NEEDLE = "One of the special magic numbers for {key} is: {value}."
QUESTION = (
    "\nWhat is the special magic number for {key} mentioned in the provided text? The special magic number for {key} "
    "mentioned in the provided text is"
)
INTRODUCTION = "A special magic number is hidden within the following text. Make sure to memorize it.\n"


def single_needle(draw: random.Random, size: int) -> Task:
    """One number in `size` sentences that say nothing."""
    (key,) = keys(draw, 1)
    value = str(draw.randrange(10**6, 10**7))
    lines = noise(size)
    lines.insert(draw.randrange(size + 1), NEEDLE.format(key=key, value=value))
    return Task(INTRODUCTION + " ".join(lines) + QUESTION.format(key=key), (value,))


def multi_key_needle(draw: random.Random, size: int) -> Task:
    """The number of one key among `size` others, each with a number of its own: nothing but needles."""
    names = keys(draw, size + 1)
    values = [str(draw.randrange(10**6, 10**7)) for _ in names]
    lines = [NEEDLE.format(key=key, value=value) for key, value in zip(names, values, strict=True)]
    asked = draw.randrange(len(names))
    return Task(INTRODUCTION + "\n".join(lines) + QUESTION.format(key=names[asked]), (values[asked],))


def short_needle(draw: random.Random, size: int) -> Task:
    """One of `size` words among others, each said with a digit: short enough for a model of a million parameters."""
    names = keys(draw, size + 1)
    values = [str(draw.randrange(10)) for _ in names]
    asked = draw.randrange(len(names))
    lines = [f"The number of {key} is {value}.\n" for key, value in zip(names, values, strict=True)]
    return Task("".join(lines) + f"The number of {names[asked]} is", (f" {values[asked]}",), forced=True)

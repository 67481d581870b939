"""Variable tracking: follow assignments through a text. RULER's vt with one chain of four hops."""

import itertools
import random

from pipeline.evaluation.probes.task import Task, noise

HOPS = 4
"""Assignments from variable to variable, after the one of the value (RULER's default)."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def variable_tracking(draw: random.Random, size: int) -> Task:
    """Which variables have a value, in `size` sentences that say nothing."""
    names: list[str] = []
    while len(names) <= HOPS:
        name = "".join(draw.choices(LETTERS, k=5))
        if name not in names:
            names.append(name)
    value = str(draw.randrange(10_000, 100_000))
    said = [f"VAR {names[0]} = {value}."]
    said += [f"VAR {name} = VAR {before}." for before, name in itertools.pairwise(names)]
    lines = noise(size)
    places = sorted(draw.randrange(size + 1) for _ in said)
    for place, line in reversed(list(zip(places, said, strict=True))):
        lines.insert(place, line)
    question = (
        f"\nQuestion: Find all variables that are assigned the value {value} in the text above. Answer: According to "
        f"the chain of variable assignment in the text above, {len(names)} variables are assigned the value {value}, "
        "they are:"
    )
    return Task("Memorize and track the variable assignments in the text.\n" + " ".join(lines) + question, tuple(names))

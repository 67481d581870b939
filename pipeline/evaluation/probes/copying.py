"""Copying: go on with a sequence that stood there before, which induction heads do (Olsson et al., arXiv 2209.11895)."""

import random

from pipeline.evaluation.probes.task import ADJECTIVES, NOUNS, Task


def copying(draw: random.Random, size: int) -> Task:
    """The second half of `size` + 4 random words, after all of them and the first half once more."""
    words = [draw.choice(ADJECTIVES + NOUNS) for _ in range(size + 4)]
    half = len(words) // 2
    return Task(" ".join([*words, *words[:half]]), (" " + " ".join(words[half:]),), forced=True)

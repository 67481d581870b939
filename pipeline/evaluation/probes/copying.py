"""Copying: go on with what stood there before, as induction heads do (Olsson et al., arXiv 2209.11895)."""

import random

from pipeline.evaluation.probes.task import ADJECTIVES, NOUNS, Task


def copying(draw: random.Random, size: int) -> Task:
    """The second half of `size` + 4 random words, after all of them and the first half once more."""
    words = [draw.choice(ADJECTIVES + NOUNS) for _ in range(size + 4)]
    half = len(words) // 2
    return Task(" ".join([*words, *words[:half]]), (" " + " ".join(words[half:]),), forced=True)


def repetition(draw: random.Random, size: int) -> Task:
    """Five random words, after they were said `size` + 2 times: easy enough for a small model in part."""
    words = " ".join(draw.choice(ADJECTIVES + NOUNS) for _ in range(5))
    return Task(" ".join([words] * (size + 2)), (f" {words}",), forced=True)

"""Filling in the middle: a name that the code before and after a gap says, asked for with the tokens of FIM."""

import random

from pipeline.evaluation.probes.task import ADJECTIVES, NOUNS, Task

FIM_TOKENS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
)
"""Tokens for prefix, suffix and middle: of Granite 4 and Qwen, and of StarCoder. Tasks are written with the first."""


def fill_in_the_middle(draw: random.Random, size: int) -> Task:
    """What stands between prefix and suffix of a function after `size` others: the sum that its last line returns."""
    functions = []
    for _ in range(size + 1):
        name, first, second = draw.choice(ADJECTIVES), *draw.sample(NOUNS, 2)
        functions.append((f"def add_{name}({first}, {second}):\n    ", f"{name} = {first} + {second}", name))
    before = "".join(f"{head}{middle}\n    return {name}\n\n\n" for head, middle, name in functions[:-1])
    head, middle, name = functions[-1]
    prefix, suffix, end = FIM_TOKENS[0]
    prompt = f"{prefix}{before}{head}{suffix}\n    return {name}\n{end}"
    return Task(prompt, (middle,), forced=True, control_tokens=True)

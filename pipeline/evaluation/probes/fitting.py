"""Makes a task as long as is asked: the largest one whose prompt and answer have at most so many tokens."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pipeline.core.errors import ConfigError
from pipeline.evaluation.probes.middle import FIM_TOKENS
from pipeline.evaluation.probes.names import FAMILIES
from pipeline.evaluation.probes.task import Task
from pipeline.stages import load_symbol


@dataclass(frozen=True)
class Example:
    """A task in token ids."""

    family: str
    length: int
    """Tokens that it may have."""
    prompt: list[int]
    answer: list[int]
    """Of a forced task, the tokens that must follow."""
    task: Task
    room: int
    """Tokens for the answer."""


def example(family: str, length: int, seed: str, tokenizer: Any, where: str, only_smallest: bool = False) -> Example:
    """The largest task of a family that fits a length; a function of the arguments.

    Args:
        family: name of the probe.
        length: tokens of prompt and answer.
        seed: of all that is drawn.
        tokenizer: of the model.
        where: place of the settings, for the message.
        only_smallest: give the smallest task, which is there at once: to find out whether there is one.

    Raises:
        ConfigError: if even the smallest does not fit, or the tokenizer lacks the tokens of filling in the middle.
    """
    write: Callable[[random.Random, int], Task] = load_symbol(FAMILIES[family])

    def written(size: int) -> Example:
        return _encoded(family, length, write(random.Random(seed), size), tokenizer, where)

    smallest = written(0)
    if not _fits(smallest):
        needed = len(smallest.prompt) + smallest.room
        raise ConfigError(
            f"{where}.lengths={length}: too short for {family}, whose smallest task has {needed} tokens; set "
            f"{needed} or more, or leave the family out"
        )
    if only_smallest:
        return smallest
    low, high = 0, 1
    while _fits(written(high)):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _fits(written(middle)) else (low, middle)
    return written(low)


def _fits(each: Example) -> bool:
    return len(each.prompt) + each.room <= each.length


def _encoded(family: str, length: int, task: Task, tokenizer: Any, where: str) -> Example:
    if task.control_tokens:
        task = _with_tokens_of(tokenizer, task, family, where)
    prompt = tokenizer.encode(task.prompt, add_special_tokens=not task.control_tokens)
    if prompt and prompt[-1] == tokenizer.eos_token_id:
        prompt = prompt[:-1]  # of a tokenizer that ends every text
    answer = tokenizer.encode(task.answers[0], add_special_tokens=False) if task.forced else []
    # Twice the answers leave room for what a model says between them.
    room = len(answer) or 8 + 2 * len(tokenizer.encode(", ".join(task.answers), add_special_tokens=False))
    return Example(family, length, prompt, answer, task, room)


def _with_tokens_of(tokenizer: Any, task: Task, family: str, where: str) -> Task:
    """The task with the control tokens that a tokenizer has."""
    vocabulary = tokenizer.get_vocab()
    for tokens in FIM_TOKENS:
        if all(token in vocabulary for token in tokens):
            prompt = task.prompt
            for written, own in zip(FIM_TOKENS[0], tokens, strict=True):
                prompt = prompt.replace(written, own)
            return replace(task, prompt=prompt)
    raise ConfigError(
        f"{where}.families: {family} needs tokens such as {', '.join(FIM_TOKENS[0])}, which the tokenizer "
        "of the model lacks; leave it out"
    )

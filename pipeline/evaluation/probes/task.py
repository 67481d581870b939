"""A task of a probe, and words to make tasks of."""

import random
from dataclasses import dataclass

ADJECTIVES = (
    "amber", "brave", "calm", "damp", "early", "faint", "gentle", "hollow", "icy", "jolly", "keen", "loud", "mellow",
    "narrow", "odd", "plain", "quiet", "rapid", "silver", "tall", "upper", "vivid", "warm", "young", "zesty",
)  # fmt: skip
NOUNS = (
    "anchor", "basket", "candle", "dragon", "engine", "forest", "garden", "harbor", "island", "jacket", "kettle",
    "ladder", "market", "needle", "orchard", "pencil", "quarry", "river", "saddle", "temple", "umbrella", "valley",
    "window", "yard", "zipper",
)  # fmt: skip
NOISE = (
    "The grass is green.", "The sky is blue.", "The sun is yellow.", "Here we go.", "There and back again.",
)  # fmt: skip
"""Sentences that say nothing; those of RULER's simplest haystack."""


@dataclass(frozen=True)
class Task:
    """A prompt that a model is to go on with."""

    prompt: str
    answers: tuple[str, ...]
    """What its completion must hold; the score is the share of these that it does, as RULER's string_match_all."""
    forced: bool = False
    """Whether the one answer must follow at once and is scored token by token, each after the right ones before it."""
    control_tokens: bool = False
    """Whether the prompt spells tokens of the tokenizer that are no text."""


def keys(draw: random.Random, count: int) -> list[str]:
    """So many different names of two words, more than there are pairs by a number behind them."""
    pairs = [f"{adjective}-{noun}" for adjective in ADJECTIVES for noun in NOUNS]
    draw.shuffle(pairs)
    return [pairs[at % len(pairs)] + (f"-{at // len(pairs)}" if at >= len(pairs) else "") for at in range(count)]


def noise(count: int) -> list[str]:
    """So many sentences that say nothing."""
    return [NOISE[at % len(NOISE)] for at in range(count)]

"""Aggregation: what a text says most often. RULER's cwe (common words) and fwe (frequent words)."""

import random

from pipeline.evaluation.probes.task import Task, keys

COMMON, RARE = 30, 3
"""Times that a common and another word stands in the list (RULER's values)."""
COMMON_WORDS = 10
FREQUENT_WORDS = 3
ZETA = 2.0
"""Exponent of the frequencies: the word of rank k stands there in proportion to k^-2."""


def common_words(draw: random.Random, size: int) -> Task:
    """The ten words that stand in a list thirty times, where `size` others stand three times."""
    words = keys(draw, COMMON_WORDS + size)
    listed = words[:COMMON_WORDS] * COMMON + words[COMMON_WORDS:] * RARE
    draw.shuffle(listed)
    numbered = " ".join(f"{number}. {word}" for number, word in enumerate(listed, start=1))
    question = (
        f"\nQuestion: What are the {COMMON_WORDS} most common words in the above list? Answer: The top {COMMON_WORDS} "
        "words that appear most often in the list are:"
    )
    prompt = "Below is a numbered list of words. Memorize the ones that appear most often.\n" + numbered + question
    return Task(prompt, tuple(words[:COMMON_WORDS]))


def frequent_words(draw: random.Random, size: int) -> Task:
    """The three most frequent of the made-up words of a text of some `size` words."""
    words: list[str] = []
    while len(words) < 20:
        word = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=6))
        if word not in words:
            words.append(word)
    counts = [max(1, round(size * rank**-ZETA / 1.6)) for rank in range(1, len(words) + 1)]
    # Distinct for the three that are asked for, however short the text is.
    for rank in range(FREQUENT_WORDS - 1, -1, -1):
        counts[rank] = max(counts[rank], counts[rank + 1] + 1)
    text = [word for word, count in zip(words, counts, strict=True) for _ in range(count)]
    draw.shuffle(text)
    question = (
        f"\nQuestion: What are the {FREQUENT_WORDS} most frequently appeared words in the above coded text? Answer: "
        f"According to the coded text above, the {FREQUENT_WORDS} most frequently appeared words are:"
    )
    prompt = "Read the following coded text and track the frequency of each coded word.\n" + " ".join(text) + question
    return Task(prompt, tuple(words[:FREQUENT_WORDS]))

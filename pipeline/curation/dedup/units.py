"""A text as a row of units, each a number: words, bytes or tokens."""

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy
import xxhash

from pipeline.core.errors import DataError
from pipeline.curation.recipes.steps.duplicates import SubstringDedup

SEED = 1
_WORD = re.compile(r"\S+")

Units = tuple[numpy.ndarray, numpy.ndarray]
"""Numbers of the units, and where each begins and ends in the text's UTF-8 bytes: uint64 (n), int64 (n x 2)."""


def units_of(step: SubstringDedup) -> Callable[[str], Units]:
    """What divides a text as a step says.

    Raises:
        DataError: for a tokenizer that cannot be read.
    """
    if step.unit == "words":
        return _words
    if step.unit == "bytes":
        return _bytes
    assert step.tokenizer is not None
    return _tokens(step.tokenizer)


def _words(text: str) -> Units:
    content = text.encode()
    if text.isascii():
        found = [(match.start(), match.end()) for match in _WORD.finditer(text)]
        numbers = [xxhash.xxh3_64_intdigest(content[start:end]) for start, end in found]
        return numpy.array(numbers, numpy.uint64), numpy.array(found, numpy.int64).reshape(-1, 2)
    words = [(match.group().encode(), match.start()) for match in _WORD.finditer(text)]
    numbers = numpy.array([xxhash.xxh3_64_intdigest(word) for word, _ in words], numpy.uint64)
    places = _byte_places(text)
    starts = places[[start for _, start in words]] if words else numpy.empty(0, numpy.int64)
    return numbers, numpy.stack([starts, starts + [len(word) for word, _ in words]], axis=1).astype(numpy.int64)


def _bytes(text: str) -> Units:
    content = numpy.frombuffer(text.encode(), numpy.uint8)
    places = numpy.arange(len(content), dtype=numpy.int64)
    return _table()[content], numpy.stack([places, places + 1], axis=1)


def _tokens(path: str) -> Callable[[str], Units]:
    tokenizer = _tokenizer(path)

    def divide(text: str) -> Units:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        spans = _byte_places(text)[numpy.array(encoding.offsets, numpy.int64).reshape(-1, 2)]
        # Spread over all 64 bits, whatever the size of the vocabulary.
        numbers = (numpy.array(encoding.ids, numpy.uint64) + numpy.uint64(1)) * numpy.uint64(0x9E3779B97F4A7C15)
        return numbers ^ (numbers >> numpy.uint64(32)), spans

    return divide


@lru_cache
def _tokenizer(path: str) -> "tokenizers.Tokenizer":  # type: ignore[name-defined] # noqa: F821
    import tokenizers

    if not Path(path).is_file():
        raise DataError(f"substring_dedup.tokenizer={path}: no such file, set the path of a tokenizer.json")
    return tokenizers.Tokenizer.from_file(path)


@lru_cache
def _table() -> numpy.ndarray:
    return numpy.random.Generator(numpy.random.PCG64(SEED)).integers(0, 2**64, 256, numpy.uint64)


def _byte_places(text: str) -> numpy.ndarray:
    """Where each character begins in the text's UTF-8 bytes, and where the last one ends."""
    points = numpy.frombuffer(text.encode("utf-32-le"), numpy.uint32)
    sizes = 1 + (points >= 0x80).astype(numpy.int64) + (points >= 0x800) + (points >= 0x10000)
    return numpy.concatenate([[0], numpy.cumsum(sizes)])

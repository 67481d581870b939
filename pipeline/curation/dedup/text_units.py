"""A text as a sequence of units, each a number: words, bytes or tokens, whichever `substring_dedup` compares."""

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

TextUnits = tuple[numpy.ndarray, numpy.ndarray]
"""A 64-bit number for each unit, equal for equal units, and where each begins and ends in the text's UTF-8 bytes:
uint64 (units), int64 (units x 2)."""


def unit_splitter(step: SubstringDedup) -> Callable[[str], TextUnits]:
    """Returns the function that splits a text into the units that a step names.

    Words are what stands between white space. Numbers are spread over all 64 bits, so that sums of them make good
    hashes: words are hashed, bytes and tokens are looked up or multiplied.

    Raises:
        DataError: for a tokenizer that is not there.
    """
    if step.unit == "words":
        return _words
    if step.unit == "bytes":
        return _bytes
    assert step.tokenizer is not None
    return _token_splitter(step.tokenizer)


def _words(text: str) -> TextUnits:
    content = text.encode()
    if text.isascii():
        found = [(match.start(), match.end()) for match in _WORD.finditer(text)]
        numbers = [xxhash.xxh3_64_intdigest(content[start:end]) for start, end in found]
        return numpy.array(numbers, numpy.uint64), numpy.array(found, numpy.int64).reshape(-1, 2)
    words = [(match.group().encode(), match.start()) for match in _WORD.finditer(text)]
    numbers = numpy.array([xxhash.xxh3_64_intdigest(word) for word, _ in words], numpy.uint64)
    offsets = _byte_offsets(text)
    starts = offsets[[start for _, start in words]] if words else numpy.empty(0, numpy.int64)
    return numbers, numpy.stack([starts, starts + [len(word) for word, _ in words]], axis=1).astype(numpy.int64)


def _bytes(text: str) -> TextUnits:
    content = numpy.frombuffer(text.encode(), numpy.uint8)
    offsets = numpy.arange(len(content), dtype=numpy.int64)
    return _numbers_of_bytes()[content], numpy.stack([offsets, offsets + 1], axis=1)


def _token_splitter(path: str) -> Callable[[str], TextUnits]:
    tokenizer = _load_tokenizer(path)

    def split(text: str) -> TextUnits:
        encoding = tokenizer.encode(text, add_special_tokens=False)
        spans = _byte_offsets(text)[numpy.array(encoding.offsets, numpy.int64).reshape(-1, 2)]
        numbers = (numpy.array(encoding.ids, numpy.uint64) + numpy.uint64(1)) * numpy.uint64(0x9E3779B97F4A7C15)
        return numbers ^ (numbers >> numpy.uint64(32)), spans

    return split


@lru_cache
def _load_tokenizer(path: str) -> "tokenizers.Tokenizer":  # type: ignore[name-defined] # noqa: F821
    import tokenizers

    if not Path(path).is_file():
        raise DataError(f"substring_dedup.tokenizer={path}: no such file, set the path of a tokenizer.json")
    return tokenizers.Tokenizer.from_file(path)


@lru_cache
def _numbers_of_bytes() -> numpy.ndarray:
    """A random number for each value of a byte, the same in every process; uint64 (256)."""
    return numpy.random.Generator(numpy.random.PCG64(SEED)).integers(0, 2**64, 256, numpy.uint64)


def _byte_offsets(text: str) -> numpy.ndarray:
    """Where each character begins in the text's UTF-8 bytes, and where the last one ends; int64 (characters + 1)."""
    points = numpy.frombuffer(text.encode("utf-32-le"), numpy.uint32)
    sizes = 1 + (points >= 0x80).astype(numpy.int64) + (points >= 0x800) + (points >= 0x10000)
    return numpy.concatenate([[0], numpy.cumsum(sizes)])

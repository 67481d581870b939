"""A shuffle that needs no memory: a bijection of 0..n−1 computed one index at a time.

A balanced Feistel network over the smallest even number of bits that holds n, with cycle-walking: what falls
outside 0..n−1 is permuted again until it falls inside (at most four tries on average). Affine permutations are
cheaper, but leave patterns that showed as shifts of the training loss (Marin 32B report).
"""

import hashlib

import numpy

ROUNDS = 4
MULTIPLIERS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9)


class FeistelPermutation:
    """A keyed bijection of 0..length−1."""

    def __init__(self, length: int, key: str) -> None:
        """Args: `length` of the domain, at least 1; `key`, any text."""
        assert length >= 1
        self.length = length
        half = max(1, ((length - 1).bit_length() + 1) // 2)
        self._half = numpy.uint64(half)
        self._mask = numpy.uint64((1 << half) - 1)
        digest = hashlib.sha256(key.encode()).digest()
        self._keys = numpy.frombuffer(digest, dtype="<u8")[:ROUNDS].astype(numpy.uint64)

    def __call__(self, index: numpy.ndarray) -> numpy.ndarray:
        """The images of an array of indices, as int64."""
        values = numpy.asarray(index).astype(numpy.uint64)
        result = self._permute(values)
        outside = result >= self.length
        while outside.any():
            result[outside] = self._permute(result[outside])
            outside = result >= self.length
        return result.astype(numpy.int64)

    def inverse(self, image: numpy.ndarray) -> numpy.ndarray:
        """The indices whose images these are, as int64."""
        result = self._unpermute(numpy.asarray(image).astype(numpy.uint64))
        outside = result >= self.length
        while outside.any():
            result[outside] = self._unpermute(result[outside])
            outside = result >= self.length
        return result.astype(numpy.int64)

    def _unpermute(self, values: numpy.ndarray) -> numpy.ndarray:
        left, right = values >> self._half, values & self._mask
        with numpy.errstate(over="ignore"):
            for key in self._keys[::-1]:
                left, right = right ^ (self._round(left, key) & self._mask), left
        return (left << self._half) | right

    def _permute(self, values: numpy.ndarray) -> numpy.ndarray:
        left, right = values >> self._half, values & self._mask
        with numpy.errstate(over="ignore"):
            for key in self._keys:
                left, right = right, left ^ (self._round(right, key) & self._mask)
        return (left << self._half) | right

    @staticmethod
    def _round(values: numpy.ndarray, key: numpy.uint64) -> numpy.ndarray:
        mixed = (values + key) * numpy.uint64(MULTIPLIERS[0])
        mixed = (mixed ^ (mixed >> numpy.uint64(29))) * numpy.uint64(MULTIPLIERS[1])
        return mixed ^ (mixed >> numpy.uint64(32))

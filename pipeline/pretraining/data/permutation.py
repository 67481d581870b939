"""A shuffle that needs no memory: a bijection of 0..n−1 that is computed one index at a time.

A balanced Feistel network (Luby and Rackoff 1988) is a bijection of all numbers of 2h bits, whatever its round
function f: each round replaces (left, right) by (right, left XOR f(right)), which can be undone without inverting f.
With the smallest h that makes room for n, at most three in four of these numbers lie outside 0..n−1; such an image is
permuted again until one lies inside (cycle-walking, Black and Rogaway 2002), which leaves a bijection of 0..n−1 and
takes at most four passes on average. Affine permutations are cheaper, but leave patterns that showed as shifts of the
training loss (Marin 32B report).
"""

import hashlib

import numpy

ROUNDS = 4
MULTIPLIERS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9)
"""Odd 64-bit constants of the round function, those of the SplitMix64 generator."""


class FeistelPermutation:
    """A keyed bijection of 0..length−1; equal length and key give the same one on every machine."""

    def __init__(self, length: int, key: str) -> None:
        """Derives the round keys from SHA-256 of `key`, which may be any text; `length` is at least 1."""
        assert length >= 1
        self.length = length
        half_bits = max(1, ((length - 1).bit_length() + 1) // 2)
        self._half_bits = numpy.uint64(half_bits)
        self._mask = numpy.uint64((1 << half_bits) - 1)
        digest = hashlib.sha256(key.encode()).digest()
        self._keys = numpy.frombuffer(digest, dtype="<u8")[:ROUNDS].astype(numpy.uint64)

    def __call__(self, index: numpy.ndarray) -> numpy.ndarray:
        """The images of an array of indices in 0..length−1, as int64 of the same shape."""
        values = numpy.asarray(index).astype(numpy.uint64)
        result = self._permute(values)
        outside = result >= self.length
        while outside.any():
            result[outside] = self._permute(result[outside])
            outside = result >= self.length
        return result.astype(numpy.int64)

    def inverse(self, image: numpy.ndarray) -> numpy.ndarray:
        """The indices that have these images in 0..length−1, as int64 of the same shape."""
        result = self._unpermute(numpy.asarray(image).astype(numpy.uint64))
        outside = result >= self.length
        while outside.any():
            result[outside] = self._unpermute(result[outside])
            outside = result >= self.length
        return result.astype(numpy.int64)

    def _permute(self, values: numpy.ndarray) -> numpy.ndarray:
        """One pass through the network, whose images may be length or more."""
        left, right = values >> self._half_bits, values & self._mask
        with numpy.errstate(over="ignore"):
            for key in self._keys:
                left, right = right, left ^ (self._round_function(right, key) & self._mask)
        return (left << self._half_bits) | right

    def _unpermute(self, values: numpy.ndarray) -> numpy.ndarray:
        """The same pass backward: its rounds undone, the last one first."""
        left, right = values >> self._half_bits, values & self._mask
        with numpy.errstate(over="ignore"):
            for key in self._keys[::-1]:
                left, right = right ^ (self._round_function(left, key) & self._mask), left
        return (left << self._half_bits) | right

    @staticmethod
    def _round_function(values: numpy.ndarray, key: numpy.uint64) -> numpy.ndarray:
        mixed = (values + key) * numpy.uint64(MULTIPLIERS[0])
        mixed = (mixed ^ (mixed >> numpy.uint64(29))) * numpy.uint64(MULTIPLIERS[1])
        return mixed ^ (mixed >> numpy.uint64(32))

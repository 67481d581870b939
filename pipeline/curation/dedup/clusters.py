"""Clusters of near duplicates: candidates whose true similarity is high enough, and all that hang together by them."""

from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy

from pipeline.curation.dedup.bitmap_bound import Representatives
from pipeline.curation.dedup.shingles import jaccard

CACHED_PAIRS = 100_000
"""Similarities that are remembered: documents that are similar meet in several buckets."""


class DisjointSets:
    """Sets of numbers, each known by its smallest member (union-find with path halving). Memory: 8 bytes a number."""

    def __init__(self, count: int) -> None:
        """Starts with a set of its own for each number below `count`."""
        self._parent = numpy.arange(count)

    def find(self, member: int) -> int:
        """The smallest member of the set that a number is in."""
        parent = self._parent
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return int(member)

    def union(self, one: int, other: int) -> None:
        """Makes one set of the two that these numbers are in."""
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low

    def roots(self) -> numpy.ndarray:
        """For every number the smallest member of its set, int64 (count)."""
        roots = self._parent
        while not numpy.array_equal(following := roots[roots], roots):
            roots = following
        return roots


def cluster(
    groups: Iterable[numpy.ndarray],
    characters: numpy.ndarray,
    shingles_at: Callable[[int], numpy.ndarray],
    minimum_jaccard: float,
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Clusters the documents of candidate groups by their true Jaccard similarity.

    Documents are numbered by preference: of a cluster the smallest number stays. Each group is taken in that order. Its
    first document becomes a representative; each next one joins the first representative that it is at least
    `minimum_jaccard` similar to, or becomes one itself. That compares documents with representatives alone, not all
    with all. Documents that were joined in any group, directly or through others, are one cluster: two members may be
    less similar than the threshold.

    Args:
        groups: arrays of document numbers, in any order.
        characters: length of each document's text.
        shingles_at: gives the shingles of the document with a number.
        minimum_jaccard: similarity from which documents are duplicates, 0 to 1.

    Returns:
        representatives: for each document the smallest number of its cluster.
        similarity: for each document the highest similarity to another that it was joined with, 0 if there is none.

    Memory: some 16 bytes a document, and a bitmap for each representative of the largest group.
    """
    sets, similarity = DisjointSets(len(characters)), numpy.zeros(len(characters))

    @lru_cache(maxsize=CACHED_PAIRS)
    def similarity_of(one: int, other: int) -> float:
        return jaccard(shingles_at(one), shingles_at(other))

    for group in groups:
        members = numpy.sort(group)
        representatives = Representatives(shingles_at, int(characters[members].max()), minimum_jaccard)
        for member in members.tolist():
            for representative in representatives.possible_matches(member):
                value = similarity_of(representative, member)
                if value >= minimum_jaccard:
                    sets.union(representative, member)
                    pair = [representative, member]
                    similarity[pair] = numpy.maximum(similarity[pair], value)
                    break
            else:
                representatives.append(member)
    return sets.roots(), similarity

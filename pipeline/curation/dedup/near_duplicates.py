"""Near duplicates: candidates by MinHash, then every candidate's true similarity.

A bucket in common makes candidates, not duplicates. In each bucket the longest document leads (of equals, the one with
the smallest id); a candidate at least `minimum_jaccard` like a leader joins it, another becomes a leader. Documents
joined through any bucket are one cluster, of which the first in that order stays, and remembers how many they were.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy
from datatrove.data import Document

from pipeline.core.arrays import write_array
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.dedup.bitmap_bound import Representatives
from pipeline.curation.dedup.buckets import groups_of_bucket
from pipeline.curation.dedup.minhash import Signatures
from pipeline.curation.dedup.shingles import shingles_of
from pipeline.curation.dedup.text_store import CandidateTexts
from pipeline.curation.recipes.steps.duplicates import MinHash
from pipeline.curation.text.documents import read_documents

CLUSTER_SIZE = "minhash_cluster_size"
"""Metadata of a kept document: how many documents it stands for, itself among them, for up-sampling (FineWeb-2)."""
CACHED_SHINGLES = 512
"""Documents whose shingles are kept in memory while candidates are compared."""
CACHED_PAIRS = 100_000
"""Similarities that are remembered."""


def sign(stream: Iterable[Document], step: MinHash, path: Path) -> None:
    """Writes the numbers of a shard's documents, uint64 (buckets x documents).

    Memory: some 30 bytes x buckets a document.
    """
    shingles, signatures = shingles_of(step.language, step.n_grams), Signatures(step)
    rows = [signatures(shingles(document.text)) for document in stream]
    write_array(path, numpy.array(rows, numpy.uint64).reshape(-1, step.buckets).T)


def find_groups(signatures: Sequence[Path], bucket: int, folder: Path) -> None:
    """Writes the groups of a bucket: places, and sizes."""
    places, sizes = groups_of_bucket(signatures, bucket)
    write_array(folder / f"{bucket:03d}.sizes.npy", sizes)
    write_array(folder / f"{bucket:03d}.places.npy", places)


class Clusters:
    """Disjoint sets of numbers whose representative is the smallest member. Memory: 8 bytes a number."""

    def __init__(self, count: int) -> None:
        self._parent = numpy.arange(count)

    def find(self, member: int) -> int:
        """The smallest member of a set."""
        parent = self._parent
        while parent[member] != member:
            parent[member] = parent[parent[member]]
            member = parent[member]
        return int(member)

    def join(self, one: int, other: int) -> None:
        """Makes two sets one."""
        low, high = sorted((self.find(one), self.find(other)))
        self._parent[high] = low

    def roots(self) -> numpy.ndarray:
        """The representative of every number."""
        roots = self._parent
        while not numpy.array_equal(following := roots[roots], roots):
            roots = following
        return roots


def without(
    shards: Sequence[Path], earlier: Sequence[Path], groups: Path, work: Path, step: MinHash, audit: AuditLog
) -> Iterator[Document]:
    """The documents of all shards but near duplicates, in the order of their ids.

    Documents of `earlier` runs, whose places follow those of the shards, stay in any case. The value in a removed
    document's row is its highest similarity to another of its cluster. Memory: some 200 bytes for each candidate, the
    shingles of 512 of them, a bitmap for each leader of the largest group; their texts are in files in `work`.
    """
    every = [numpy.load(path, mmap_mode="r") for path in sorted(groups.glob("*.places.npy"))]
    places = numpy.unique(numpy.concatenate(every)) if every else numpy.empty(0, numpy.int64)
    texts = CandidateTexts(work, places, _placed([*shards, *earlier]))
    # Those of earlier runs first, then the longest; of equals the smallest id, which is the order of places.
    own = sum(1 for _ in _placed(shards)) if earlier else int(places[-1]) + 1 if len(places) else 0
    ranking = numpy.lexsort((-texts.characters, places < own))
    rank = numpy.empty_like(ranking)
    rank[ranking] = numpy.arange(len(ranking))
    clusters, similarity = Clusters(len(places)), numpy.zeros(len(places))
    shingles = shingles_of(step.language, step.n_grams)

    @lru_cache(maxsize=CACHED_SHINGLES)
    def shingles_at(number: int) -> numpy.ndarray:
        return shingles(texts.text(int(ranking[number])))

    # Documents that are alike, or alike enough to be candidates, meet in several buckets.
    @lru_cache(maxsize=CACHED_PAIRS)
    def similarity_of(one: int, other: int) -> float:
        return jaccard(shingles_at(one), shingles_at(other))

    for group in _groups(groups):
        numbers = numpy.sort(rank[numpy.searchsorted(places, group)])
        leaders = Representatives(shingles_at, int(texts.characters[ranking[numbers]].max()), step.minimum_jaccard)
        for number in numbers.tolist():
            for leader in leaders.perhaps_like(number):
                value = similarity_of(leader, number)
                if value >= step.minimum_jaccard:
                    clusters.join(leader, number)
                    similarity[[leader, number]] = numpy.maximum(similarity[[leader, number]], value)
                    break
            else:
                leaders.append(number)
    roots = clusters.roots()
    sizes = numpy.bincount(roots, weights=places[ranking] < own, minlength=len(places)).astype(int)
    candidate = 0
    for place, document in _placed(shards):
        if candidate == len(places) or places[candidate] != place:
            document.metadata[CLUSTER_SIZE] = 1
        else:
            number = int(rank[candidate])
            candidate += 1
            first = int(roots[number])
            if first != number:
                removal = Removal(
                    reason="near_duplicate" if places[ranking[first]] < own else "near_duplicate_of_earlier_run",
                    value=round(float(similarity[number]), 4),
                    threshold=step.minimum_jaccard,
                    duplicate_of=texts.identity(int(ranking[first])),
                )
                audit.remove(step.step, document, removal)
                continue
            document.metadata[CLUSTER_SIZE] = int(sizes[number])
        audit.keep(step.step, len(document.text), len(document.text))
        yield document


def jaccard(one: numpy.ndarray, other: numpy.ndarray) -> float:
    """Size of the intersection over size of the union of two sorted sets, 0 for two empty ones."""
    both = len(numpy.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - both
    return both / union if union else 0.0


def _placed(shards: Sequence[Path]) -> Iterator[tuple[int, Document]]:
    place = 0
    for path in shards:
        for document in read_documents(path):
            yield place, document
            place += 1


def _groups(folder: Path) -> Iterator[numpy.ndarray]:
    """The places of documents with equal numbers, bucket by bucket."""
    for path in sorted(folder.glob("*.places.npy")):
        places = numpy.load(path, mmap_mode="r")
        sizes = numpy.load(path.with_name(path.name.replace(".places.", ".sizes.")))
        for end, size in zip(numpy.cumsum(sizes).tolist(), sizes.tolist(), strict=True):
            yield numpy.asarray(places[end - size : end])

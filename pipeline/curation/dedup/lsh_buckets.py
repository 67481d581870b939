"""Candidate groups: documents whose MinHash signatures agree in a bucket, found by sorting.

In the terms of locality-sensitive hashing a bucket of the recipe is a band: one of several short signatures of a
document, of which one that is equal is enough to make two documents candidates. A document is known by its index in the
order of ids, over all shards, so that nothing depends on how documents were divided.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy

from pipeline.core.arrays import write_array
from pipeline.curation.dedup.minhash import NO_SHINGLES, signature_count

MAX_DOCUMENTS_SORTED = 50_000_000
"""Documents that are sorted together, in 24 bytes each: with more, ranges of hashes are taken one after the other."""


def candidate_groups(signatures: Sequence[Path], bucket: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Finds the documents that have the same hash as another in one bucket.

    Sorting hashes puts equal ones side by side: a group is a stretch of equal hashes of two documents or more. A domain
    too large to be sorted at once is sorted in rounds, of which each takes the documents whose hashes lie in its range;
    equal hashes fall in the same round, so the groups are the same.

    Args:
        signatures: one file for each shard, in order, uint64 (buckets x documents).
        bucket: which row of them.

    Returns:
        indices: of all documents in groups, group after group, ascending within each; int64.
        sizes: documents in each group; int64, with the same sum as there are indices.

    Memory: 24 bytes for each document of the domain, at most 1.2 GB at a time; the result.
    """
    rounds = max(1, -(-sum(map(signature_count, signatures)) // MAX_DOCUMENTS_SORTED))
    found = [_groups_of_range(signatures, bucket, number, rounds) for number in range(rounds)]
    return numpy.concatenate([indices for indices, _ in found]), numpy.concatenate([sizes for _, sizes in found])


def _groups_of_range(
    signatures: Sequence[Path], bucket: int, number: int, ranges: int
) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The groups of those hashes of a bucket that lie in one of so many equal ranges of the 64-bit numbers."""
    hashes, indices, offset = [], [], 0
    for path in signatures:
        # A mapped file counts as an open one: one at a time.
        values = numpy.asarray(numpy.load(path, mmap_mode="r")[bucket])
        # The upper half of the hash times the number of ranges, divided by 2^32: the range that the hash lies in.
        inside = (values >> numpy.uint64(32)) * numpy.uint64(ranges) >> numpy.uint64(32) == number
        chosen = numpy.flatnonzero(inside & (values != NO_SHINGLES))
        hashes.append(values[chosen])
        indices.append(chosen + offset)
        offset += len(values)
    hash_, index = numpy.concatenate(hashes), numpy.concatenate(indices)
    # Stable: within a group, documents stay in their order.
    order = numpy.argsort(hash_, kind="stable")
    hash_, index = hash_[order], index[order]
    starts = numpy.flatnonzero(numpy.concatenate([[True], hash_[1:] != hash_[:-1]])) if len(hash_) else order
    sizes = numpy.diff(numpy.append(starts, len(hash_)))
    return index[numpy.repeat(sizes > 1, sizes)], sizes[sizes > 1]


def write_candidate_groups(signatures: Sequence[Path], bucket: int, folder: Path) -> None:
    """Writes the groups of one bucket to `<bucket>.indices.npy` and `<bucket>.sizes.npy` in a folder."""
    indices, sizes = candidate_groups(signatures, bucket)
    write_array(folder / f"{bucket:03d}.sizes.npy", sizes)
    write_array(folder / f"{bucket:03d}.indices.npy", indices)


def candidates(folder: Path) -> numpy.ndarray:
    """The indices of all documents that are in a group of any bucket, ascending, each once; int64."""
    files = [numpy.load(path, mmap_mode="r") for path in sorted(folder.glob("*.indices.npy"))]
    return numpy.unique(numpy.concatenate(files)) if files else numpy.empty(0, numpy.int64)


def read_candidate_groups(folder: Path) -> Iterator[numpy.ndarray]:
    """Yields the groups of all buckets one after the other: the indices of a group's documents, int64, ascending.

    Args:
        folder: where `write_candidate_groups` wrote them.
    """
    for path in sorted(folder.glob("*.indices.npy")):
        indices = numpy.load(path, mmap_mode="r")
        sizes = numpy.load(path.with_name(path.name.replace(".indices.", ".sizes.")))
        for end, size in zip(numpy.cumsum(sizes).tolist(), sizes.tolist(), strict=True):
            yield numpy.asarray(indices[end - size : end])

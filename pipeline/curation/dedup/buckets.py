"""Documents with the same number in a bucket, found by sorting.

A document is known by its place in the order of ids, so that nothing depends on how documents were divided.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy

from pipeline.curation.dedup.minhash import NOTHING

DOCUMENTS_AT_ONCE = 50_000_000
"""Documents whose numbers are sorted together, in 24 bytes each: with more, ranges of numbers are taken in turn."""


def groups_of_bucket(signatures: Sequence[Path], bucket: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The places of all documents that share their number with another, and how many of them belong together.

    Args:
        signatures: one file for each shard, in order, uint64 (buckets x documents).
        bucket: which bucket.

    Memory: 24 bytes for each document of the domain, at most 1.2 GB at a time; the result.
    """
    columns = [numpy.load(path, mmap_mode="r")[bucket] for path in signatures]
    total = sum(map(len, columns))
    parts = max(1, -(-total // DOCUMENTS_AT_ONCE))
    places: list[numpy.ndarray] = []
    sizes: list[numpy.ndarray] = []
    for part in range(parts):
        found = _groups(columns, part, parts)
        places.append(found[0])
        sizes.append(found[1])
    return numpy.concatenate(places), numpy.concatenate(sizes)


def _groups(columns: Sequence[numpy.ndarray], part: int, parts: int) -> tuple[numpy.ndarray, numpy.ndarray]:
    numbers, places, offset = [], [], 0
    for column in columns:
        values = numpy.asarray(column)
        # The high half of a number times the parts: as many ranges of equal size.
        mine = (values >> numpy.uint64(32)) * numpy.uint64(parts) >> numpy.uint64(32) == part
        chosen = numpy.flatnonzero(mine & (values != NOTHING))
        numbers.append(values[chosen])
        places.append(chosen + offset)
        offset += len(values)
    number, place = numpy.concatenate(numbers), numpy.concatenate(places)
    # Stable: within a group, documents stay in their order.
    order = numpy.argsort(number, kind="stable")
    number, place = number[order], place[order]
    starts = numpy.flatnonzero(numpy.concatenate([[True], number[1:] != number[:-1]])) if len(number) else order
    sizes = numpy.diff(numpy.append(starts, len(number)))
    return place[numpy.repeat(sizes > 1, sizes)], sizes[sizes > 1]

"""Runs of units that occurred before, in texts of any number: hashed, divided by hash, sorted.

A run's place is one number of 64 bits: the document's, and the unit's within it.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy

from pipeline.core.arrays import write_array
from pipeline.core.errors import DataError
from pipeline.curation.dedup.units import Units

UNIT_BITS = 28
"""Units of one document: 268 million; documents: 69 billion."""
BASE = numpy.uint64(0x9E3779B97F4A7C15)
INVERSE = numpy.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
RUN = numpy.dtype([("hash", numpy.uint64), ("place", numpy.uint64)])
REPEAT = numpy.dtype([("place", numpy.uint64), ("first", numpy.uint64)])


def run_hashes(numbers: numpy.ndarray, length: int) -> numpy.ndarray:
    """A hash of every `length` units in a row, equal for equal runs wherever they stand.

    The polynomial of a run, shifted back to its beginning, modulo 2^64: as the base is odd, it has an inverse.
    """
    if len(numbers) < length:
        return numpy.empty(0, numpy.uint64)
    powers = _powers(BASE, len(numbers))
    sums = numpy.concatenate([numpy.zeros(1, numpy.uint64), numpy.cumsum(numbers * powers, dtype=numpy.uint64)])
    hashes = (sums[length:] - sums[:-length]) * _powers(INVERSE, len(numbers) - length + 1)
    hashes ^= hashes >> numpy.uint64(32)
    hashes *= BASE
    return hashes ^ (hashes >> numpy.uint64(29))


def _powers(base: numpy.uint64, count: int) -> numpy.ndarray:
    powers = numpy.full(count, base, numpy.uint64)
    powers[0] = 1
    return numpy.cumprod(powers, dtype=numpy.uint64)


def place_of(document: int, unit: int) -> int:
    """A run's place as one number.

    Raises:
        DataError: for a document with more units than a place can name.
    """
    if unit >= 1 << UNIT_BITS:
        raise DataError(f"a document has {unit:,} units, set a smaller maximum_record_bytes of its source")
    return document << UNIT_BITS | unit


def write_runs(texts: Iterable[tuple[int, Units]], length: int, buckets: int, folder: Path, shard: int) -> None:
    """Writes the runs of some documents, divided by hash. Memory: 32 bytes a run of all of them.

    Args:
        texts: the documents' numbers and their units.
        length: units in a run.
        buckets: number of files.
        folder: for `<bucket>/<shard>.npy`.
        shard: which part of the documents it is.
    """
    parts: list[list[numpy.ndarray]] = [[] for _ in range(buckets)]
    for document, (numbers, _) in texts:
        hashes = run_hashes(numbers, length)
        runs = numpy.empty(len(hashes), RUN)
        runs["hash"] = hashes
        runs["place"] = numpy.uint64(place_of(document, max(0, len(hashes) - 1)) - max(0, len(hashes) - 1))
        runs["place"] += numpy.arange(len(hashes), dtype=numpy.uint64)
        bucket = (hashes >> numpy.uint64(32)) * numpy.uint64(buckets) >> numpy.uint64(32)
        order = numpy.argsort(bucket, kind="stable")
        borders = numpy.searchsorted(bucket[order], numpy.arange(buckets + 1, dtype=numpy.uint64))
        for each in range(buckets):
            if borders[each] < borders[each + 1]:
                parts[each].append(runs[order[borders[each] : borders[each + 1]]])
    for each, found in enumerate(parts):
        write_array(folder / f"{each:03d}" / f"{shard:05d}.npy", numpy.concatenate([numpy.empty(0, RUN), *found]))


def find_repeats(files: Sequence[tuple[Path, int]], path: Path, own: int = 0) -> None:
    """Writes the runs of a bucket that occurred before, each with the place where it first did.

    Memory: some 50 bytes a run of the bucket.

    Args:
        files: files of runs, each with what is to be added to the numbers of its documents.
        path: file to write.
        own: number of the first document whose repeats are asked for; those before it are earlier runs'.
    """
    runs = numpy.concatenate([numpy.empty(0, RUN), *(_moved(*each) for each in files)])
    order = numpy.lexsort((runs["place"], runs["hash"]))
    runs = runs[order]
    repeated = numpy.zeros(len(runs), bool)
    repeated[1:] = runs["hash"][1:] == runs["hash"][:-1]
    first = runs["place"][numpy.maximum.accumulate(numpy.where(repeated, 0, numpy.arange(len(runs))))]
    repeated &= runs["place"] >= numpy.uint64(place_of(own, 0))
    repeats = numpy.empty(int(repeated.sum()), REPEAT)
    repeats["place"], repeats["first"] = runs["place"][repeated], first[repeated]
    write_array(path, repeats)


def _moved(path: Path, documents: int) -> numpy.ndarray:
    runs = numpy.load(path)
    runs["place"] += numpy.uint64(place_of(documents, 0))
    return runs

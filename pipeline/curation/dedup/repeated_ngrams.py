"""n-grams of units that occurred before, in a domain of any size: hashed, divided by hash into buckets, sorted.

An n-gram here is `minimum_units` words, bytes or tokens in a row, beginning at every unit of a document. Each becomes a
hash and a place, 16 bytes. Equal n-grams have equal hashes, so they meet in one bucket, where sorting puts them side by
side, the first occurrence in front; all others are repeats. The suffix array that Lee et al. 2022 (arXiv 2107.06499)
sort is one structure over all of the text; buckets are independent of each other, a task each.

A place is one number of 64 bits: the document's index in the upper bits, the unit's number within it in the lower ones.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy

from pipeline.core.arrays import write_array
from pipeline.core.errors import DataError
from pipeline.curation.dedup.text_units import TextUnits

UNIT_BITS = 28
"""Lower bits of a place: 268 million units of one document, which leaves 69 billion documents."""
BASE = numpy.uint64(0x9E3779B97F4A7C15)
"""Of the polynomial that n-grams are hashed by; odd, so that it has an inverse modulo 2^64."""
INVERSE = numpy.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))
NGRAM = numpy.dtype([("hash", numpy.uint64), ("place", numpy.uint64)])
"""A row of the files of n-grams. The names of its fields stand in the indexes that runs leave for later ones."""
REPEAT = numpy.dtype([("place", numpy.uint64), ("first", numpy.uint64)])
"""An n-gram that occurred before: its place, and the place of its first occurrence."""


def ngram_hashes(numbers: numpy.ndarray, length: int) -> numpy.ndarray:
    """A hash of every `length` units in a row, equal for equal n-grams wherever they stand; uint64.

    The hash of the n-gram x_0 x_1 ... is the polynomial x_0 + x_1 B + x_2 B^2 + ... modulo 2^64. With the sums
    S_i = x_0 + ... + x_(i-1) B^(i-1) over the whole text, the n-gram from i on is (S_(i+length) - S_i) B^(-i): all
    n-grams cost one cumulative sum, however long they are. At last the bits are mixed, since the lower ones of a
    product depend on lower ones only.

    Args:
        numbers: of the units, uint64.
        length: units in an n-gram.
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
    """The place of a unit: its document's index and its number there in one number.

    Raises:
        DataError: for a document with more units than a place can number.
    """
    if unit >= 1 << UNIT_BITS:
        raise DataError(f"a document has {unit:,} units, set a smaller maximum_record_bytes of its source")
    return document << UNIT_BITS | unit


def document_of(places: numpy.ndarray) -> numpy.ndarray:
    """The indices of the documents that places lie in, int64."""
    return (places >> numpy.uint64(UNIT_BITS)).astype(numpy.int64)


def unit_of(places: numpy.ndarray) -> numpy.ndarray:
    """The numbers of the units within their documents that places name, int64."""
    return (places & numpy.uint64((1 << UNIT_BITS) - 1)).astype(numpy.int64)


def write_ngrams(
    documents: Iterable[tuple[int, TextUnits]], length: int, buckets: int, folder: Path, shard: int
) -> None:
    """Writes the n-grams of some documents, divided into buckets by their hashes.

    Memory: 32 bytes for each n-gram of these documents.

    Args:
        documents: indices of the documents, and their units.
        length: units in an n-gram.
        buckets: into how many equal ranges of hashes n-grams are divided.
        folder: for `<bucket>/<shard>.npy`, an array of `NGRAM` each.
        shard: which part of the documents it is.

    Raises:
        DataError: for a document with more units than a place can number.
    """
    parts: list[list[numpy.ndarray]] = [[] for _ in range(buckets)]
    for document, (numbers, _) in documents:
        hashes = ngram_hashes(numbers, length)
        last = max(0, len(hashes) - 1)
        ngrams = numpy.empty(len(hashes), NGRAM)
        ngrams["hash"] = hashes
        # By way of the last place, which is the one that may be too large.
        ngrams["place"] = numpy.uint64(place_of(document, last) - last)
        ngrams["place"] += numpy.arange(len(hashes), dtype=numpy.uint64)
        bucket = (hashes >> numpy.uint64(32)) * numpy.uint64(buckets) >> numpy.uint64(32)
        order = numpy.argsort(bucket, kind="stable")
        borders = numpy.searchsorted(bucket[order], numpy.arange(buckets + 1, dtype=numpy.uint64))
        for each in range(buckets):
            if borders[each] < borders[each + 1]:
                parts[each].append(ngrams[order[borders[each] : borders[each + 1]]])
    for each, found in enumerate(parts):
        write_array(folder / f"{each:03d}" / f"{shard:05d}.npy", numpy.concatenate([numpy.empty(0, NGRAM), *found]))


def find_repeats(files: Sequence[tuple[Path, int]], path: Path, own: int = 0) -> None:
    """Writes the n-grams of a bucket that occurred before, each with the place of its first occurrence.

    Sorted by hash and then by place, equal hashes form a stretch whose first row is the first occurrence; every row
    after it repeats it. A running maximum over the row numbers of first rows carries each first place down its stretch.

    Memory: some 50 bytes for each n-gram of the bucket.

    Args:
        files: of n-grams, each with a number to add to the indices of its documents: indexes of several previous runs
            all begin at 0.
        path: file to write, an array of `REPEAT`.
        own: index of the first document whose repeats are wanted; those before it are of previous runs, and stay.
    """
    ngrams = numpy.concatenate([numpy.empty(0, NGRAM), *(_shifted(*each) for each in files)])
    ngrams = ngrams[numpy.lexsort((ngrams["place"], ngrams["hash"]))]
    repeated = numpy.zeros(len(ngrams), bool)
    repeated[1:] = ngrams["hash"][1:] == ngrams["hash"][:-1]
    first = ngrams["place"][numpy.maximum.accumulate(numpy.where(repeated, 0, numpy.arange(len(ngrams))))]
    repeated &= ngrams["place"] >= numpy.uint64(place_of(own, 0))
    repeats = numpy.empty(int(repeated.sum()), REPEAT)
    repeats["place"], repeats["first"] = ngrams["place"][repeated], first[repeated]
    write_array(path, repeats)


def _shifted(path: Path, documents: int) -> numpy.ndarray:
    """The n-grams of a file, with `documents` added to the indices of their documents."""
    ngrams = numpy.load(path)
    ngrams["place"] += numpy.uint64(place_of(documents, 0))
    return ngrams

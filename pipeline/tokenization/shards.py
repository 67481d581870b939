"""Token shards: the tokens of one domain and split in the format of datatrove, opened without being read.

`tokens/<domain>/<split>.ds` holds token ids, little-endian, in 16 or 32 bits; `<split>.ds.index` for each document the
position after its last token, in 64 bits; `<split>.ds.documents` each document's id and source. `tokens/index.json`
says of all of them how many tokens and documents they must hold, which tokenizer made them, and their SHA-256.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from pipeline.core.errors import DataError
from pipeline.core.files import read_json

INDEX = "index.json"
TOKEN_TYPES = {"uint16": numpy.dtype("<u2"), "uint32": numpy.dtype("<u4")}
END_TYPE = numpy.dtype("<u8")
SOURCE_TYPE = numpy.dtype("<u2")
DOCUMENT_TYPE = numpy.dtype([("id", "u1", 32), ("source", SOURCE_TYPE)])
"""The SHA-256 that is a document's id, and the number of the dataset it came from in the domain's list of sources."""


def token_type(vocab_size: int) -> str:
    """The narrowest type for a vocabulary: uint16 up to 65,535 ids, else uint32."""
    return "uint16" if vocab_size <= 65_535 else "uint32"


@dataclass(frozen=True)
class TokenShard:
    """The tokens of one domain and split, memory-mapped."""

    tokens: numpy.ndarray
    """Token ids, documents one after another, each ending with `<|end_of_text|>`."""
    document_ends: numpy.ndarray
    """For each document the position after its last token, ascending."""
    fingerprint: str
    """SHA-256 over tokens and document ends: equal fingerprints, equal content."""

    def __len__(self) -> int:
        """The number of tokens, those that end documents included."""
        return len(self.tokens)

    @property
    def documents(self) -> int:
        """The number of documents in the shard."""
        return len(self.document_ends)

    def document(self, number: int) -> numpy.ndarray:
        """The tokens of the document at a place in the shard, counted from 0, with the one that ends it."""
        start = int(self.document_ends[number - 1]) if number else 0
        return self.tokens[start : int(self.document_ends[number])]

    @classmethod
    def open(cls, path: Path) -> "TokenShard":
        """Maps `tokens/<domain>/<split>.ds` into memory and checks its size against `tokens/index.json`.

        Raises:
            DataError: for a domain that was not tokenized, a missing file, or one of another size than the
                index says.
        """
        domain, split = path.parent.name, path.stem
        index_path = path.parent.parent / INDEX
        index = read_index(path.parent.parent)
        if domain not in index["domains"]:
            present = ", ".join(sorted(index["domains"]))
            raise DataError(f"{index_path}: no tokens of {domain}, only of {present}")
        expected = index["domains"][domain][split]
        tokens = _map(path, TOKEN_TYPES[index["dtype"]], expected["tokens"])
        ends = _map(path.with_name(path.name + ".index"), END_TYPE, expected["documents"])
        if len(ends) and int(ends[-1]) != len(tokens):
            raise DataError(f"{path}: documents end at token {ends[-1]} of {len(tokens)}; tokenize again")
        return cls(tokens, ends, expected["sha256"])


def read_index(directory: Path) -> dict[str, Any]:
    """What `tokens/index.json` says of a `tokens/` folder; `tokenize.run` writes it.

    Raises:
        DataError: if there is none.
    """
    path = directory / INDEX
    if not path.exists():
        raise DataError(f"{path}: missing; run the tokenize stage")
    return read_json(path)


def documents_of(path: Path) -> numpy.ndarray:
    """Which documents a shard `tokens/<domain>/<split>.ds` holds, in its order, as DOCUMENT_TYPE, memory-mapped.

    Raises:
        DataError: for a shard without such a file, or one that is cut short.
    """
    expected = read_index(path.parent.parent)["domains"][path.parent.name][path.stem]["documents"]
    return _map(path.with_name(path.name + ".documents"), DOCUMENT_TYPE, expected)


def _map(path: Path, dtype: numpy.dtype, length: int) -> numpy.ndarray:
    """A file of `length` values as a read-only memory map; DataError if it is missing or of another size."""
    if not path.exists():
        raise DataError(f"{path}: missing; tokenize again")
    size = path.stat().st_size
    if size != length * dtype.itemsize:
        raise DataError(f"{path}: has {size} bytes, its index says {length * dtype.itemsize}; tokenize again")
    if length == 0:  # an empty file cannot be mapped
        return numpy.empty(0, dtype)
    return numpy.memmap(path, dtype=dtype, mode="r", shape=(length,))

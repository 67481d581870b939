"""Token shards: one domain's tokens as datatrove writes them, opened without reading them.

`<name>.ds` holds the tokens, little-endian, in 16 or 32 bits; `<name>.ds.index` the end of each document as a
64-bit position in tokens; `<name>.ds.documents` which document each is and where it is from; `index.json` above
the domains what they must contain.
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
DOCUMENT_TYPE = numpy.dtype([("identity", "u1", 32), ("source", SOURCE_TYPE)])
"""A document's SHA-256, and the number of its source in the domain's list of sources."""


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
        """Tokens."""
        return len(self.tokens)

    @property
    def documents(self) -> int:
        """Number of documents."""
        return len(self.document_ends)

    def document(self, number: int) -> numpy.ndarray:
        """The tokens of one document."""
        start = int(self.document_ends[number - 1]) if number else 0
        return self.tokens[start : int(self.document_ends[number])]

    @classmethod
    def open(cls, path: Path) -> "TokenShard":
        """Opens `tokens/<domain>/<split>.ds` and checks its size against `tokens/index.json`.

        Raises:
            DataError: for a domain that was not tokenised, a missing file, or one of another size than the
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
    """The index of a `tokens/` folder.

    Raises:
        DataError: if there is none.
    """
    path = directory / INDEX
    if not path.exists():
        raise DataError(f"{path}: missing; run the tokenize stage")
    return read_json(path)


def documents_of(path: Path) -> numpy.ndarray:
    """Which documents a shard `tokens/<domain>/<split>.ds` holds, as DOCUMENT_TYPE, memory-mapped.

    Raises:
        DataError: for a shard without such a file, or one that is cut short.
    """
    expected = read_index(path.parent.parent)["domains"][path.parent.name][path.stem]["documents"]
    return _map(path.with_name(path.name + ".documents"), DOCUMENT_TYPE, expected)


def _map(path: Path, dtype: numpy.dtype, length: int) -> numpy.ndarray:
    if not path.exists():
        raise DataError(f"{path}: missing; tokenize again")
    size = path.stat().st_size
    if size != length * dtype.itemsize:
        raise DataError(f"{path}: has {size} bytes, its index says {length * dtype.itemsize}; tokenize again")
    if length == 0:  # an empty file cannot be mapped
        return numpy.empty(0, dtype)
    return numpy.memmap(path, dtype=dtype, mode="r", shape=(length,))

"""Reading the documents that curation and synthesis wrote."""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from pipeline.core.artifact import Artifact
from pipeline.core.errors import DataError

IDENTITY = re.compile("[0-9a-f]{64}")
SOURCES = ("corpus", "synthetic")
"""Roles whose artifacts hold documents."""


@dataclass(frozen=True)
class SourceDocument:
    """What tokenisation needs of a document."""

    identity: str
    """SHA-256 of the content, in hexadecimal: the same document has it wherever it is stored."""
    text: str
    source: str = ""
    """Name of the dataset it came from."""


def documents_directories(inputs: Mapping[str, Artifact]) -> list[Path]:
    """The artifacts that hold documents, among a stage's inputs by role."""
    return [inputs[role].directory for role in SOURCES if role in inputs]


def document_files(artifacts: Iterable[Path], domain: str) -> list[Path]:
    """The files of one domain in several artifacts, in an order that depends on nothing but their names."""
    files: list[Path] = []
    for directory in artifacts:
        files += sorted((directory / "documents" / domain).glob("*.jsonl.gz"))
    return files


def domains_of(artifacts: Iterable[Path]) -> list[str]:
    """All domains that have document files, sorted."""
    files = (path for directory in artifacts for path in (directory / "documents").glob("*/*.jsonl.gz"))
    return sorted({path.parent.name for path in files})


def read_documents(path: Path) -> Iterator[SourceDocument]:
    """The documents of one file, in file order.

    Raises:
        DataError: for a file cut short, or a line that is no document.
    """
    number = 0
    try:
        with gzip.open(path, "rb") as lines:
            for line in lines:
                number += 1
                row = orjson.loads(line)
                if not IDENTITY.fullmatch(row["id"]):
                    raise KeyError(f"id {row['id'][:80]!r} is no SHA-256")
                yield SourceDocument(row["id"], row["text"], row.get("metadata", {}).get("source", ""))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged after line {number} ({error}); make its stage again") from None
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise DataError(f"{path}:{number}: not a document with id and text ({error})") from None


def hash64(purpose: str, identity: str) -> int:
    """A 64-bit hash of an identity; hashes for different purposes are independent."""
    digest = hashlib.blake2b(identity.encode(), digest_size=8, person=purpose.encode())
    return int.from_bytes(digest.digest(), "big")

"""Documents as the whole project exchanges them: gzip-compressed JSON lines of text, id and metadata.

Files are a function of their content alone: no time stamps, no names, keys in order.
"""

import gzip
import hashlib
import os
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from datatrove.data import Document

from pipeline.core.documents import read_documents
from pipeline.core.documents import read_rows as read_rows

COMPRESSION_LEVEL = 5


def normalize(text: str) -> str:
    """The form in which texts are compared: NFC, `\\n` line ends, no trailing white space."""
    text = unicodedata.normalize("NFC", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(map(str.rstrip, text.split("\n"))).strip()


def content_id(text: str) -> str:
    """The identity of a document: SHA-256 of its normalised text, in hexadecimal."""
    return hashlib.sha256(normalize(text).encode()).hexdigest()


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Writes JSON lines, compressed, whole or not at all; returns their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two attempts may write the same file at once after a kill: each has its own name until it is whole.
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    count = 0
    with beside.open("wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=COMPRESSION_LEVEL, mtime=0) as file:
            for row in rows:
                file.write(orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE))
                count += 1
        raw.flush()
        os.fsync(raw.fileno())
    beside.replace(path)
    return count


def as_row(document: Document) -> dict[str, Any]:
    """A document as it is stored."""
    return {"text": document.text, "id": str(document.id), "metadata": document.metadata}


def write_documents(path: Path, documents: Iterable[Document]) -> int:
    """Writes documents; returns their number."""
    return write_rows(path, map(as_row, documents))


def read_folder(directory: Path) -> Iterator[Document]:
    """All documents of a domain's folder, in the order of its files."""
    for path in sorted(directory.glob("*.jsonl.gz")):
        yield from read_documents(path)


def order(document: Document) -> tuple[str, str, str, str]:
    """The one order of documents: by id; equal contents by their letters, then by where they came from."""
    return str(document.id), document.text, document.metadata["source"], document.metadata["origin"]

"""Reads and writes documents as all stages exchange them: gzip-compressed JSON lines of text, id and metadata.

The bytes of a file depend on its content alone: there are no time stamps or names in it, and keys are sorted.
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

from pipeline.core.documents import document_files, read_documents
from pipeline.core.documents import read_rows as read_rows

COMPRESSION_LEVEL = 5


def normalize(text: str) -> str:
    """The form in which texts are compared: NFC, `\\n` line ends, no white space behind lines or around the text."""
    text = unicodedata.normalize("NFC", text)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(map(str.rstrip, text.split("\n"))).strip()


def content_id(text: str) -> str:
    """The id of a document: SHA-256 of its normalized text, in hexadecimal."""
    return hashlib.sha256(normalize(text).encode()).hexdigest()


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Writes rows as compressed JSON lines and returns their number.

    The file appears whole or not at all, also if the process is killed. Folders are made as needed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # After a kill, two attempts may write the same file at once: each has a name of its own until it is whole.
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
    """The row in which a document is stored: text, id and metadata."""
    return {"text": document.text, "id": str(document.id), "metadata": document.metadata}


def write_documents(path: Path, documents: Iterable[Document]) -> int:
    """Writes documents to a file as `write_rows` does, and returns their number."""
    return write_rows(path, map(as_row, documents))


def read_folder(directory: Path) -> Iterator[Document]:
    """Yields the documents of all files in a domain's folder, in the order of their names."""
    for path in document_files(directory):
        yield from read_documents(path)


def order(document: Document) -> tuple[str, str, str, str]:
    """Sort key of documents, which makes their order independent of how the work was divided.

    Documents are ordered by id. Texts that differ only in what `normalize` removes have the same id and are ordered by
    the text itself, equal ones by where they come from.
    """
    return str(document.id), document.text, document.metadata["source"], document.metadata["origin"]

"""Documents on disk, as all stages exchange them: gzip-compressed JSON lines of text, id and metadata."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from datatrove.data import Document

from pipeline.core.errors import DataError


def document_files(folder: Path) -> list[Path]:
    """The files `*.jsonl.gz` in a folder, by name; not those that begin with a dot.

    A manifest names none of the latter (`pipeline.core.artifact`): file managers, copies and kills leave them, such as
    `._00000.jsonl.gz` of macOS.
    """
    return sorted(path for path in folder.glob("*.jsonl.gz") if not path.name.startswith("."))


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a gzip-compressed file that this project wrote, one a line, in the order of the file.

    Raises:
        DataError: for a file that is cut short or damaged, or a line that is no JSON, with the number of the line.
    """
    number = 0
    try:
        with gzip.open(path, "rb") as lines:
            for line in lines:
                number += 1
                yield orjson.loads(line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged after line {number} ({error}); make its stage again") from None
    except orjson.JSONDecodeError as error:
        raise DataError(f"{path}:{number}: not JSON ({error}); make its stage again") from None


def read_documents(path: Path) -> Iterator[Document]:
    """The documents of a file, in its order; metadata is empty where a line has none.

    Raises:
        DataError: as `read_rows`, and for a line without text or id.
    """
    for number, row in enumerate(read_rows(path), start=1):
        try:
            document = Document(text=row["text"], id=row["id"], metadata=row.get("metadata", {}))
        except (KeyError, TypeError) as error:
            raise DataError(f"{path}:{number}: not a document with id and text ({error})") from None
        yield document

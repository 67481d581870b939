"""The one reader of document files."""

import gzip
from pathlib import Path

import pytest

from pipeline.core.documents import document_files, read_documents, read_rows
from pipeline.core.errors import DataError

LINES = b'{"id": "a", "text": "one", "metadata": {"source": "s"}}\n{"id": "b", "text": "two"}\n'


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content))
    return path


def test_files_that_no_manifest_names_are_not_read(tmp_path: Path) -> None:
    """Copying with a Mac leaves `._00000.jsonl.gz`, which is no gzip; anyone may leave `.99999.jsonl.gz`."""
    own = [write(tmp_path / name, LINES) for name in ("00000.jsonl.gz", "00001.jsonl.gz")]
    (tmp_path / "._00000.jsonl.gz").write_bytes(b"Mac OS X")
    write(tmp_path / ".99999.jsonl.gz", LINES)
    assert document_files(tmp_path) == own


def test_documents_are_read_in_order_and_metadata_may_be_missing(tmp_path: Path) -> None:
    found = list(read_documents(write(tmp_path / "a.jsonl.gz", LINES)))
    assert [(each.id, each.text, each.metadata) for each in found] == [("a", "one", {"source": "s"}), ("b", "two", {})]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"id": 2}\n', r"a\.jsonl\.gz:3: not a document with id and text"),
        (b'["id", "text"]\n', r"a\.jsonl\.gz:3: not a document with id and text"),
        (b'{"id": \n', r"a\.jsonl\.gz:3: not JSON"),
    ],
)
def test_a_line_that_is_no_document_is_named(line: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        list(read_documents(write(tmp_path / "a.jsonl.gz", LINES + line)))


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", LINES)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"a\.jsonl\.gz: damaged after line"):
        list(read_rows(path))
    path.write_bytes(b"no gzip at all")
    with pytest.raises(DataError, match=r"a\.jsonl\.gz: damaged after line 0"):
        list(read_rows(path))

"""The documents that tokenization reads, and which artifacts and files hold them."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from datatrove.data import Document

from pipeline.core.artifact import Artifact
from pipeline.core.documents import document_files as files_in
from pipeline.core.documents import read_documents
from pipeline.core.errors import DataError
from pipeline.tokenization.config import DOCUMENT_ROLES
from pipeline.tokenization.document_ids import DOCUMENT_ID


def documents_directories(inputs: Mapping[str, Artifact]) -> list[Path]:
    """The folders of the artifacts that hold documents, among a stage's inputs by role."""
    return [inputs[role].directory for role in DOCUMENT_ROLES if role in inputs]


def document_files(artifacts: Iterable[Path], domain: str) -> list[Path]:
    """The document files of one domain: artifact by artifact as they are given, within one by file name."""
    files: list[Path] = []
    for directory in artifacts:
        files += files_in(directory / "documents" / domain)
    return files


def domains_of(artifacts: Iterable[Path]) -> list[str]:
    """Names of the domains that have document files in one of the artifacts, sorted."""
    folders = (folder for directory in artifacts for folder in (directory / "documents").glob("*"))
    return sorted({folder.name for folder in folders if files_in(folder)})


def read_identified(path: Path) -> Iterator[Document]:
    """The documents of a file, in its order, all of them with an id that is a SHA-256.

    Raises:
        DataError: for a file cut short, a line that is no document, or an id that is no SHA-256.
    """
    for number, document in enumerate(read_documents(path), start=1):
        if not isinstance(document.id, str) or not DOCUMENT_ID.fullmatch(document.id):
            raise DataError(f"{path}:{number}: id {str(document.id)[:80]!r} is no SHA-256 of a document's content")
        yield document

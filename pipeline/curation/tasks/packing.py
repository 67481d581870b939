"""Joins the files of a repository into one document: long contexts of code are made of whole repositories."""

import itertools
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import xxhash
from datatrove.data import Document

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.recipes.steps.packing import PackRepositories
from pipeline.curation.text.documents import content_id, read_documents, write_documents

FILE_SEPARATOR = "\n\n"
BATCH_SIZE = 1000
"""Documents in memory before they are written to the files of their buckets."""


def pack_repositories(
    stream: Iterable[Document], work: Path, step: PackRepositories, audit: AuditLog
) -> Iterator[Document]:
    """Yields a document for each repository, of its files in the order of their paths, and documents that are in none.

    Documents are divided into buckets on the disk by a hash of their repository, so that all files of one are in one
    bucket; each bucket is then sorted in memory. What comes out does not depend on the order of what comes in. Of a
    document the first file counts as kept and the others as removed, with the id of the document they are in.

    Args:
        stream: one document for each file.
        work: folder for the buckets, made anew.
        step: names the metadata, the header of each file and the limits of size.
        audit: takes down what is kept and removed.

    Memory: the files of one bucket.
    """
    shutil.rmtree(work, ignore_errors=True)
    for number, batch in enumerate(_batches(stream)):
        parts: dict[int, list[Document]] = {}
        for document in batch:
            bucket = xxhash.xxh3_64_intdigest("/".join(_repository(document, step)).encode()) % step.buckets
            parts.setdefault(bucket, []).append(document)
        for bucket, documents in parts.items():
            write_documents(work / f"{bucket:05d}" / f"{number:08d}.jsonl.gz", documents)
    for bucket in range(step.buckets):
        files = sorted((work / f"{bucket:05d}").glob("*.jsonl.gz"))
        documents = sorted(
            itertools.chain.from_iterable(map(read_documents, files)),
            key=lambda each: (_repository(each, step), str(each.metadata.get(step.path_key, "")), str(each.id)),
        )
        for repository, members in itertools.groupby(documents, key=lambda each: _repository(each, step)):
            if repository[1]:
                yield from _join_files(list(members), step, audit)
                continue
            for document in members:
                yield from _if_long_enough(document, len(document.text), False, step, audit)


def _batches(stream: Iterable[Document]) -> Iterator[list[Document]]:
    iterator = iter(stream)
    while batch := list(itertools.islice(iterator, BATCH_SIZE)):
        yield batch


def _repository(document: Document, step: PackRepositories) -> tuple[str, str]:
    """The source and name of the repository that a document is in; the name is empty if it is in none."""
    return str(document.metadata.get("source", "")), str(document.metadata.get(step.repository_key) or "")


def _join_files(files: list[Document], step: PackRepositories, audit: AuditLog) -> Iterator[Document]:
    """Yields the documents of one repository: several if it has more characters than one may have."""
    chosen: list[Document] = []
    size = 0
    for file in files:
        length = len(file.text) + len(_header(file, step)) + len(FILE_SEPARATOR) + 1
        if chosen and size + length > step.maximum_characters:
            yield from _as_document(chosen, step, audit)
            chosen, size = [], 0
        chosen.append(file)
        size += length
    yield from _as_document(chosen, step, audit)


def _as_document(files: list[Document], step: PackRepositories, audit: AuditLog) -> Iterator[Document]:
    """Joins files into one document, with the metadata that all of them have in common, such as a path is not."""
    text = FILE_SEPARATOR.join(f"{_header(file, step)}\n{file.text.strip()}" for file in files)
    first, document_id = files[0], content_id(text)
    for file in files[1:]:
        audit.remove(step.step, file, Removal(reason="packed", duplicate_of=document_id))
    before = len(first.text)
    common = set(first.metadata).intersection(*(file.metadata for file in files))
    shared = {key for key in common if all(file.metadata[key] == first.metadata[key] for file in files)}
    first.metadata = {**{key: value for key, value in first.metadata.items() if key in shared}, "files": len(files)}
    first.text, first.id = text, document_id
    yield from _if_long_enough(first, before, True, step, audit)


def _if_long_enough(
    document: Document, before: int, edited: bool, step: PackRepositories, audit: AuditLog
) -> Iterator[Document]:
    if (size := len(document.text)) < step.minimum_characters:
        audit.remove(step.step, document, Removal(reason="short", value=size, threshold=step.minimum_characters))
        return
    audit.keep(step.step, before, size, edited=edited)
    yield document


def _header(file: Document, step: PackRepositories) -> str:
    return step.header.replace("{path}", str(file.metadata.get(step.path_key, "")))

"""Files of a repository joined: whole repositories are what long contexts of code are made of."""

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

BETWEEN = "\n\n"
FLUSHED = 1000
"""Documents in memory before they are appended to their parts."""


def packed(stream: Iterable[Document], work: Path, step: PackRepositories, audit: AuditLog) -> Iterator[Document]:
    """Documents of whole repositories, and as they were those that are in none.

    Of a repository the first file counts as kept and the others as removed, with the id of the document they are in.
    What comes out does not depend on the order of what comes in. Memory: the files of one bucket.
    """
    shutil.rmtree(work, ignore_errors=True)
    for number, batch in enumerate(_batches(stream)):
        parts: dict[int, list[Document]] = {}
        for document in batch:
            bucket = xxhash.xxh3_64_intdigest("/".join(_repository(document, step))) % step.buckets
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
                yield from _joined(list(members), step, audit)
                continue
            for document in members:
                yield from _long_enough(document, len(document.text), False, step, audit)


def _batches(stream: Iterable[Document]) -> Iterator[list[Document]]:
    iterator = iter(stream)
    while batch := list(itertools.islice(iterator, FLUSHED)):
        yield batch


def _repository(document: Document, step: PackRepositories) -> tuple[str, str]:
    return str(document.metadata.get("source", "")), str(document.metadata.get(step.repository_key) or "")


def _joined(files: list[Document], step: PackRepositories, audit: AuditLog) -> Iterator[Document]:
    chosen: list[Document] = []
    size = 0
    for file in files:
        length = len(file.text) + len(_header(file, step)) + len(BETWEEN) + 1
        if chosen and size + length > step.maximum_characters:
            yield from _one(chosen, step, audit)
            chosen, size = [], 0
        chosen.append(file)
        size += length
    yield from _one(chosen, step, audit)


def _one(files: list[Document], step: PackRepositories, audit: AuditLog) -> Iterator[Document]:
    text = BETWEEN.join(f"{_header(file, step)}\n{file.text.strip()}" for file in files)
    first, identity = files[0], content_id(text)
    for file in files[1:]:
        audit.remove(step.step, file, Removal(reason="packed", duplicate_of=identity))
    before = len(first.text)
    # What is the same in all files, as a path is not.
    common = set(first.metadata).intersection(*(file.metadata for file in files))
    shared = {key for key in common if all(file.metadata[key] == first.metadata[key] for file in files)}
    first.metadata = {**{key: value for key, value in first.metadata.items() if key in shared}, "files": len(files)}
    first.text, first.id = text, identity
    yield from _long_enough(first, before, True, step, audit)


def _long_enough(
    document: Document, before: int, edited: bool, step: PackRepositories, audit: AuditLog
) -> Iterator[Document]:
    if (size := len(document.text)) < step.minimum_characters:
        audit.remove(step.step, document, Removal(reason="short", value=size, threshold=step.minimum_characters))
        return
    audit.keep(step.step, before, size, edited=edited)
    yield document


def _header(file: Document, step: PackRepositories) -> str:
    return step.header.replace("{path}", str(file.metadata.get(step.path_key, "")))

"""Sources as documents, through datatrove's readers.

A source is divided into units (a file, a module, a number); each task reads every n-th unit. Documents carry
`source` and `origin` in their metadata, so that their order never depends on how the work was divided.
"""

import importlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.readers import HuggingFaceDatasetReader
from datatrove.pipeline.readers.base import BaseDiskReader

from pipeline.curation.readers.bad_records import PLACE, Place, attach_place
from pipeline.curation.readers.columns import tolerant_adapter
from pipeline.curation.readers.html import HtmlFiles
from pipeline.curation.readers.jsonl_parquet import NO_LIMIT, JsonLines, ParquetRows
from pipeline.curation.readers.source_files import files_of, shown
from pipeline.curation.readers.sources import (
    PAGES,
    DomainSource,
    EmbeddedSource,
    FileSource,
    HtmlSource,
    HuggingFaceSource,
    JsonlSource,
    ParquetSource,
    Source,
    WarcSource,
)
from pipeline.curation.readers.warc import WarcPages, write_warc

LONGEST_PAGE = 2**30
"""Of pages that this program rendered itself."""


def units(source: Source) -> list[str]:
    """What a source is divided into, in a fixed order."""
    match source:
        case EmbeddedSource():
            return _generator(source).units(source)
        case FileSource():
            return files_of(source)
        case HuggingFaceSource():
            return [str(index) for index in range(source.shards)]
        case DomainSource():
            return []


def read(source: Source, names: list[str], done: Callable[[int], None]) -> Iterator[Document]:
    """The documents of some units. Ids are whatever the source has; they are replaced by content hashes.

    `done` is called with the number of units that have been read to their end.

    What is no document comes along as a bad record (`bad_records`).
    """
    match source:
        case EmbeddedSource():
            yield from _read_embedded(source, names, done)
        case FileSource():
            for name in names:
                folder, _, file = name.rpartition("/")
                yield from _read_file(_reader(source, folder), file, shown(source, name), source.disclosure.name)
                done(1)
        case HuggingFaceSource():
            yield from _read_hub(source, names, done)


def _generator(source: EmbeddedSource) -> Any:
    return importlib.import_module(f"pipeline.curation.readers.embedded.{source.generator}")


def _read_embedded(source: EmbeddedSource, names: list[str], done: Callable[[int], None]) -> Iterator[Document]:
    generator = _generator(source)
    if source.generator not in PAGES:
        for name in names:
            for each in generator.read(source, [name]):
                yield _labelled(Document(text=each.text, id=each.origin), source.disclosure.name, each.origin)
            done(1)
        return
    if not names:
        return
    # The pages make the detour that pages of a crawl make.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages.warc.gz"
        pages = write_warc(path, generator.read(source, names))
        reported = 0
        for number, document in enumerate(
            _read_file(WarcPages(folder, NO_LIMIT, LONGEST_PAGE), path.name, path.name, source.disclosure.name),
            start=1,
        ):
            document.metadata["origin"] = document.metadata.get("url", document.metadata["origin"])
            yield document
            # All modules are rendered before the first page is read: each page is a share of the units.
            done(len(names) * number // pages - reported)
            reported = len(names) * number // pages
        done(len(names) - reported)


def _reader(source: FileSource, folder: str) -> BaseDiskReader:
    match source:
        case WarcSource():
            return WarcPages(folder, source.limit or NO_LIMIT, source.maximum_record_bytes)
        case HtmlSource():
            return HtmlFiles(folder, source.maximum_record_bytes)
        case JsonlSource():
            return JsonLines(folder, source)
        case ParquetSource():
            return ParquetRows(folder, source)
    raise AssertionError(source)


def _read_file(reader: BaseDiskReader, name: str, shown_as: str, source: str) -> Iterator[Document]:
    # By its name: a pattern of datatrove's also finds files whose names only end like it.
    for index, document in enumerate(reader.read_files_shard([name])):
        # A reader knows the file's name, not where that is.
        document.metadata[PLACE] = replace(document.metadata[PLACE], file=shown_as)
        yield _labelled(document, source, f"{name}#{index:09d}")


def _labelled(document: Document, source: str, origin: str) -> Document:
    document.metadata.pop("file_path", None)
    document.metadata |= {"source": source, "origin": origin}
    return document


def _read_hub(source: HuggingFaceSource, names: list[str], done: Callable[[int], None]) -> Iterator[Document]:
    options = {
        "name": source.subset,
        "data_dir": source.folder,
        "split": source.split,
        "revision": source.revision,
    }
    for name in names:
        reader = HuggingFaceDatasetReader(
            source.dataset,
            dataset_options={key: value for key, value in options.items() if value is not None},
            streaming=True,
            limit=source.limit or NO_LIMIT,
            adapter=tolerant_adapter(source),
        )
        for index, document in enumerate(reader.run(rank=int(name), world_size=source.shards)):
            origin = f"{name}#{index:09d}"
            yield _labelled(
                attach_place(document, Place(f"{source.dataset}#{name}", index, "record")),
                source.disclosure.name,
                origin,
            )
        done(1)

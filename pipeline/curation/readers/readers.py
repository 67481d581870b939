"""Reads the sources of recipes as documents, through datatrove's readers and the library `datasets`.

A source consists of items (files, modules, numbers of generated documents), and each task reads every n-th of them.
Documents carry `source` and `origin` in their metadata, which keep their final order independent of how the work was
divided.
"""

import importlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from datatrove.pipeline.readers.base import BaseDiskReader

from pipeline.curation.readers.bad_records import ReadDocument
from pipeline.curation.readers.csv_arrow import ArrowRows, CsvRows
from pipeline.curation.readers.html import HtmlFiles
from pipeline.curation.readers.hub import read_part
from pipeline.curation.readers.jsonl_parquet import NO_LIMIT, JsonLines, ParquetRows
from pipeline.curation.readers.source_files import display_path, files_of
from pipeline.curation.readers.sources import (
    ArrowSource,
    CsvSource,
    DomainSource,
    EmbeddedSource,
    FileSource,
    HtmlSource,
    HuggingFaceSource,
    JsonlSource,
    ParquetSource,
    Source,
    TextSource,
    WarcSource,
    WetSource,
    gives_pages,
)
from pipeline.curation.readers.text_files import TextFiles
from pipeline.curation.readers.warc import WarcPages, write_warc

MAXIMUM_RENDERED_BYTES = 2**30
"""Longest page of the embedded corpus: no limit in effect, since this program rendered it."""


def list_items(source: Source) -> list[str]:
    """Names all items that a source consists of, in an order that is the same each time.

    They are paths or URLs of files, what a generator of the embedded corpus lists, or numbers of the parts of a hub
    dataset. A source of kind `domain` has none: it is read by another task.
    """
    match source:
        case EmbeddedSource():
            return _generator(source).list_items(source)
        case FileSource():
            return files_of(source)
        case HuggingFaceSource():
            return [str(index) for index in range(source.shards)]
        case DomainSource():
            return []


def read(source: Source, items: list[str], done: Callable[[int], None]) -> Iterator[ReadDocument]:
    """Reads the documents of some items of a source.

    Args:
        source: what to read.
        items: some of the names that `list_items` gives.
        done: called with the number of items that have been read to their end since the last call.

    Yields:
        Documents with `source` and `origin` in their metadata, and with the source's ids, which the caller replaces by
        content hashes. Records that cannot be read come as documents too (`bad_records`).

    Raises:
        DataError: for a dataset of the hub that cannot be opened.
    """
    match source:
        case EmbeddedSource():
            yield from _read_embedded(source, items, done)
        case FileSource():
            for path in items:
                folder, _, file = path.rpartition("/")
                yield from _read_file(_reader(source, folder), file, display_path(source, path), source.disclosure.name)
                done(1)
        case HuggingFaceSource():
            for part in items:
                for index, document in enumerate(read_part(source, int(part))):
                    yield _label(document, source.disclosure.name, f"{part}#{index:09d}")
                done(1)


def _generator(source: EmbeddedSource) -> Any:
    return importlib.import_module(f"pipeline.curation.readers.embedded.{source.generator}")


def _read_embedded(source: EmbeddedSource, items: list[str], done: Callable[[int], None]) -> Iterator[ReadDocument]:
    generator = _generator(source)
    if not gives_pages(source):
        for item in items:
            for each in generator.read(source, [item]):
                yield _label(ReadDocument(text=each.text, id=each.origin), source.disclosure.name, each.origin)
            done(1)
        return
    if not items:
        return
    # Pages go through a WARC file, so that they take the same path as those of a crawl.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages.warc.gz"
        pages = write_warc(path, generator.read(source, items))
        reader = WarcPages(folder, NO_LIMIT, MAXIMUM_RENDERED_BYTES)
        reported = 0
        for number, document in enumerate(_read_file(reader, path.name, path.name, source.disclosure.name), start=1):
            document.metadata["origin"] = document.metadata.get("url", document.metadata["origin"])
            yield document
            # All modules are rendered before the first page is read, so each page counts as a share of the items.
            done(len(items) * number // pages - reported)
            reported = len(items) * number // pages
        done(len(items) - reported)


def _reader(source: FileSource, folder: str) -> BaseDiskReader:
    match source:
        case WarcSource():
            return WarcPages(folder, source.limit or NO_LIMIT, source.maximum_record_bytes)
        case WetSource():
            return WarcPages(folder, source.limit or NO_LIMIT, source.maximum_record_bytes, texts=True)
        case HtmlSource():
            return HtmlFiles(folder, source.maximum_record_bytes)
        case TextSource():
            return TextFiles(folder, source)
        case CsvSource():
            return CsvRows(folder, source)
        case ArrowSource():
            return ArrowRows(folder, source)
        case JsonlSource():
            return JsonLines(folder, source)
        case ParquetSource():
            return ParquetRows(folder, source)
    raise AssertionError(source)


def _read_file(reader: BaseDiskReader, name: str, display_name: str, source: str) -> Iterator[ReadDocument]:
    # The file is named outright: as a pattern, its name would also match files whose names end in it.
    for index, document in enumerate(reader.read_files_shard([name])):
        # A reader knows the file's name below its folder only.
        assert document.location is not None, name
        document.location = replace(document.location, file=display_name)
        yield _label(document, source, f"{name}#{index:09d}")


def _label(document: ReadDocument, source: str, origin: str) -> ReadDocument:
    document.metadata |= {"source": source, "origin": origin}
    return document

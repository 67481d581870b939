"""Sources as documents, through datatrove's readers.

A source is divided into units (a file, a module, a number); each task reads every n-th unit. Documents carry
`source` and `origin` in their metadata, so that their order never depends on how the work was divided.
"""

import gzip
import importlib
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow
from datatrove.data import Document
from datatrove.pipeline.readers import HuggingFaceDatasetReader, JsonlReader, ParquetReader
from datatrove.pipeline.readers.base import BaseDiskReader

from pipeline.curation.recipe import PAGES
from pipeline.curation.recipe_sources import (
    DomainSource,
    EmbeddedSource,
    HuggingFaceSource,
    JsonlSource,
    ParquetSource,
    Source,
    WarcSource,
)
from pipeline.curation.source_files import files_of
from pipeline.curation.warc import WarcPages, write_warc
from pipeline.errors import DataError

NO_LIMIT = -1
"""datatrove's word for reading everything."""


def units(source: Source) -> list[str]:
    """What a source is divided into, in a fixed order."""
    match source:
        case EmbeddedSource():
            return _generator(source).units(source)
        case WarcSource() | JsonlSource() | ParquetSource():
            return [str(path) for path in files_of(source)]
        case HuggingFaceSource():
            return [str(index) for index in range(source.shards)]
        case DomainSource():
            return []


def read(source: Source, names: list[str], done: Callable[[int], None]) -> Iterator[Document]:
    """The documents of some units. Ids are whatever the source has; they are replaced by content hashes.

    `done` is called with the number of units that have been read to their end.

    Raises:
        DataError: for a file that cannot be read to its end.
    """
    match source:
        case EmbeddedSource():
            yield from _read_embedded(source, names, done)
        case WarcSource() | JsonlSource() | ParquetSource():
            for name in names:
                yield from _read_file(_reader(source, Path(name)), name, source.disclosure.name)
                done(1)
        case HuggingFaceSource():
            yield from _read_hub(source, names, done)


def _generator(source: EmbeddedSource) -> Any:
    return importlib.import_module(f"pipeline.curation.embedded.{source.generator}")


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
            _read_file(WarcPages(str(folder)), path.name, source.disclosure.name), start=1
        ):
            document.metadata["origin"] = document.metadata.get("url", document.metadata["origin"])
            yield document
            # All modules are rendered before the first page is read: each page is a share of the units.
            done(len(names) * number // pages - reported)
            reported = len(names) * number // pages
        done(len(names) - reported)


def _reader(source: WarcSource | JsonlSource | ParquetSource, path: Path) -> BaseDiskReader:
    limit = source.limit or NO_LIMIT
    folder = str(path.parent)
    match source:
        case WarcSource():
            return WarcPages(folder, limit=limit, glob_pattern=path.name)
        case JsonlSource():
            return StrictJsonl(folder, limit=limit, glob_pattern=path.name, text_key=source.text_key)
        case ParquetSource():
            return ParquetReader(folder, limit=limit, glob_pattern=path.name, text_key=source.text_key)


def _read_file(reader: BaseDiskReader, name: str, source: str) -> Iterator[Document]:
    documents = reader.run()
    for index in range(10**12):
        try:
            document = next(documents)
        except StopIteration:
            return
        except (
            EOFError,
            gzip.BadGzipFile,
            zlib.error,
            UnicodeDecodeError,
            pyarrow.ArrowInvalid,
            OSError,
        ) as error:
            raise DataError(f"{name}: cannot be read past document {index}: {error}; fetch the file again") from error
        yield _labelled(document, source, f"{Path(name).name}#{index:09d}")


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
            dataset_options=options,
            streaming=True,
            limit=source.limit or NO_LIMIT,
            text_key=source.text_key,
        )
        for index, document in enumerate(reader.run(rank=int(name), world_size=source.shards)):
            yield _labelled(document, source.disclosure.name, f"{name}#{index:09d}")
        done(1)


class StrictJsonl(JsonlReader):
    """datatrove's reader of JSON lines, which stops at a line that is none instead of leaving it out."""

    def read_file(self, filepath: str) -> Iterator[Document]:
        """The documents of a file.

        Raises:
            DataError: for a line that is not a JSON object with text.
        """
        with self.data_folder.open(filepath, "rb", compression=self.compression) as file:
            for number, line in enumerate(file, start=1):
                where = f"{filepath}: line {number}"
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise DataError(f"{where}: not JSON: {error}; correct or remove it") from None
                if not isinstance(row, dict) or not isinstance(row.get(self.text_key), str):
                    raise DataError(f"{where}: no text under the key {self.text_key!r}, set text_key in the recipe")
                # An empty text becomes a space: datatrove would leave it out, and nobody would know.
                row[self.text_key] = row[self.text_key] or " "
                document = self.get_document_from_dict(row, filepath, number)
                assert document is not None, where
                yield document

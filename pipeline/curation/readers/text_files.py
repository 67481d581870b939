"""Reads text files, prose or source code, each of them a document with what its place among the others says."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from datatrove.pipeline.readers.base import BaseDiskReader
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs

from pipeline.curation.readers.bad_records import (
    READ_ERRORS,
    ReadDocument,
    RecordLocation,
    bad_record,
    read_error_reason,
)
from pipeline.curation.readers.sources import TextSource
from pipeline.curation.readers.zstd_frames import open_decompressed
from pipeline.curation.text.license_notices import noticed_licenses

LICENSE_FILES = ("license", "licence", "copying", "unlicense")
"""How the names of files begin that hold the license of all around them, in lower case."""
LICENSE_CHARACTERS = 2_000
"""Beginning of such a file: later the GNU licenses speak of each other."""
UNRECOGNIZED = "NOASSERTION"
"""SPDX's word for a license that is not known."""
BOM = "\ufeff"


class TextFiles(BaseDiskReader):
    """datatrove's access to files, with a document for each file. Memory: `maximum_record_bytes` of the source."""

    name = "Text"

    def __init__(self, folder: str, source: TextSource) -> None:
        super().__init__(folder)
        self.source = source
        self.system, self.root = url_to_fs(source.place)
        self.folder = url_to_fs(folder)[1]

    def read_file(self, filepath: str) -> Iterator[ReadDocument]:
        """Gives the text of a file, or a bad record if it cannot be read, is too long or of another encoding."""
        location = RecordLocation(filepath, 0, "byte")
        try:
            with open_decompressed(self.data_folder, filepath) as file:
                content = file.read(self.source.maximum_record_bytes + 1)
            metadata = self._metadata(f"{self.folder}/{filepath}")
        except READ_ERRORS as error:
            yield bad_record(location, read_error_reason(error, filepath), str(error))
            return
        if len(content) > self.source.maximum_record_bytes:
            yield bad_record(location, "too_long", content)
            return
        try:
            text = content.decode(self.source.encoding).removeprefix(BOM)
        except UnicodeDecodeError:
            yield bad_record(location, "other_encoding", content)
            return
        yield ReadDocument(text=text, id=f"{filepath}/0", metadata=metadata, location=location)

    def _metadata(self, path: str) -> dict[str, Any]:
        """Path, suffix, repository and license of a file; the latter only where there is a file with one."""
        below = PurePosixPath(path[len(self.root) :].strip("/") or PurePosixPath(path).name)
        found = {"path": str(below), "suffix": below.suffix}
        licensed = _license_above(self.system, path.rpartition("/")[0], self.root)
        if licensed is None:
            return {**found, "repository": below.parts[0]} if len(below.parts) > 1 else found
        folder, license = licensed
        repository = folder[len(self.root) :].strip("/") or PurePosixPath(self.root).name
        return {**found, "repository": repository, "license": license}


@lru_cache(maxsize=100_000)
def _license_above(system: AbstractFileSystem, folder: str, root: str) -> tuple[str, str] | None:
    """The nearest folder from one up to the root that has a license, and the SPDX identifier of this."""
    if not folder.startswith(root):
        return None
    for path in sorted(system.ls(folder, detail=False)):
        name = path.rstrip("/").rpartition("/")[2].lower()
        if (
            name.startswith(LICENSE_FILES)
            and PurePosixPath(name).suffix in ("", ".txt", ".md", ".rst")
            and system.isfile(path)
        ):
            with system.open(path, "rb") as file:
                content: Any = file.read(4 * LICENSE_CHARACTERS)
            text = content.decode(errors="replace")[:LICENSE_CHARACTERS]
            return folder, next(noticed_licenses(text), UNRECOGNIZED)
    return _license_above(system, folder.rpartition("/")[0], root) if folder != root else None

"""Pages in files of their own, through datatrove's access to files."""

from collections.abc import Iterator

from datatrove.data import Document
from datatrove.pipeline.readers.base import BaseDiskReader

from pipeline.curation.readers.bad_records import Place, attach_place, bad_record
from pipeline.curation.readers.read_errors import READ_ERRORS, reason_of
from pipeline.curation.text.charsets import decode_page


class HtmlFiles(BaseDiskReader):
    """One page a file. Memory: `maximum_record_bytes` of the source."""

    name = "HTML"

    def __init__(self, folder: str, maximum_record_bytes: int) -> None:
        super().__init__(folder)
        self.maximum_record_bytes = maximum_record_bytes

    def read_file(self, filepath: str) -> Iterator[Document]:
        """The page, or a bad record."""
        place = Place(filepath, 0, "byte")
        try:
            with self.data_folder.open(filepath, "rb", compression="infer") as file:
                content = file.read(self.maximum_record_bytes + 1)
        except READ_ERRORS as error:
            yield bad_record(place, reason_of(error), str(error))
            return
        if len(content) > self.maximum_record_bytes:
            yield bad_record(place, "too_long", content)
            return
        text = decode_page(content)
        row = {"text": text if text.strip() else " ", **({} if text.strip() else {"refused": "empty"})}
        document = self.get_document_from_dict(row, filepath, 0)
        assert document is not None, filepath
        yield attach_place(document, place)

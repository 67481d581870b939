"""Where a recipe's documents come from: one dataclass for each kind of source, its fields the recipe's keys."""

import codecs
import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_type_hints

from pydantic import PositiveInt

from pipeline.core.config import IF_SET
from pipeline.curation.readers.where import check_where


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """What is said of a dataset's origin, in the fields and words of IBM's data disclosures. Its size is measured."""

    name: str
    url: str
    date_obtained: str
    """A date or a month; for the embedded corpus, the moment of installation."""
    description: str
    languages: tuple[str, ...] = ("en",)
    type: str = "text"
    source: str
    """Who publishes it."""
    data_provenance: str
    """How the publisher came by it."""
    user_data: str = "no"
    """Whether it holds data of users of a product."""
    synthetic: str = "no"
    seed_data: str | None = None
    """What synthetic data was made from."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedSource:
    """Real text that every Python installation with the pinned packages has; nothing is downloaded."""

    kind: Literal["embedded"]
    generator: Literal[
        "web_pages", "source_files", "docstrings", "readmes", "mathematics", "locales", "topics", "manuals",
        "repositories", "licences", "regions",
    ]  # fmt: skip
    """Module of `pipeline.curation.readers.embedded` that lists and reads the items."""
    disclosure: Disclosure
    packages: tuple[str, ...] = ()
    """Packages to read; `python` is the standard library."""
    languages: tuple[str, ...] = ()
    """Languages of generator `locales`."""
    limit: PositiveInt | None = None
    """Most items to read (files, modules, or generated documents); null reads all."""
    max_bytes: PositiveInt | None = None
    """Most bytes of source files to read; null reads all."""
    seed: int = 0
    """Chooses the items that a limit leaves, and what is generated."""


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """Base of the sources whose documents can be chosen by their metadata."""

    where: dict[str, Any] = field(default_factory=dict, metadata=IF_SET)
    """What the metadata of a document must say, by key: a value, `{at_least: <number>}` or `{one_of: [<values>]}`."""

    def __post_init__(self) -> None:
        check_where(self.where)


@dataclass(frozen=True, kw_only=True)
class FileSource(Filtered):
    """Base of the sources made of files, on a disk or wherever fsspec reaches: `s3://`, `gs://`, `https://`."""

    path: str
    """A file, or a folder that is read with the pattern. A relative path is looked for in the working directory, then
    beside the recipe."""
    disclosure: Disclosure
    pattern: str | tuple[str, ...]
    """Shell pattern of the names of the files to read below the folder, or several."""
    limit: PositiveInt | None = None
    """Most records to read of each file; null reads all."""
    maximum_record_bytes: PositiveInt = 32 * 1024**2
    """Longest page or line, in bytes, and longest text of a row, in characters. A longer one is quarantined, so that
    no record decides how much memory is needed."""
    recipe_folder: str | None = field(default=None, init=False, metadata={"fingerprint": False})
    """Where the recipe lies that has this source; None if it is in no file."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """The shell patterns, also if there is only one."""
        return (self.pattern,) if isinstance(self.pattern, str) else self.pattern

    @property
    def places(self) -> list[str]:
        """Where the data may be, in the order in which it is looked for: paths or URLs."""
        if "://" in self.path or self.recipe_folder is None or Path(self.path).is_absolute():
            return [self.path]
        return list(dict.fromkeys([self.path, str(Path(self.recipe_folder) / self.path)]))

    @property
    def place(self) -> str:
        """Where the data is: the first of `places` that exists, else the path as it is."""
        places = self.places
        return next((place for place in places if len(places) > 1 and Path(place).exists()), self.path)

    def in_recipe(self, folder: Path) -> Self:
        """This source as one of a recipe that lies in a folder."""
        found = copy.copy(self)
        object.__setattr__(found, "recipe_folder", str(folder))
        return found


def check_encoding(encoding: str) -> None:
    """Makes sure that Python knows an encoding.

    Raises:
        ValueError: if it does not.
    """
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(f"encoding is {encoding}, set one that Python knows, such as utf-8 or cp1252") from None


@dataclass(frozen=True, kw_only=True)
class TextSource(FileSource):
    """Text files, each of them a document: prose or source code. Files and folders with a dot before are left out.

    Metadata: `path` below the source's path, `suffix` such as `.py`, `repository` and `license` (the folder with the
    nearest file LICENSE or COPYING above, and what this says).
    """

    kind: Literal["text"]
    pattern: str | tuple[str, ...] = ("*.txt", "*.md", "*.rst")
    encoding: str = "utf-8"
    """Of all files."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_encoding(self.encoding)


@dataclass(frozen=True, kw_only=True)
class WarcSource(FileSource):
    """Pages in WARC files, the format of Common Crawl. The recipe needs an extractor."""

    kind: Literal["warc"]
    pattern: str | tuple[str, ...] = "*.warc.gz"


@dataclass(frozen=True, kw_only=True)
class WetSource(FileSource):
    """Texts of pages in WET files, as Common Crawl extracts them: the whole page, with menus and the like."""

    kind: Literal["wet"]
    pattern: str | tuple[str, ...] = "*.wet.gz"


@dataclass(frozen=True, kw_only=True)
class HtmlSource(FileSource):
    """HTML files of one page each. The recipe needs an extractor."""

    kind: Literal["html"]
    pattern: str | tuple[str, ...] = "*.htm*"


@dataclass(frozen=True, kw_only=True)
class Columns(Filtered):
    """Which columns of a table are the text, and which are kept as metadata."""

    columns: dict[str, str] = field(default_factory=dict, metadata=IF_SET)
    """New names of columns by their names in the data, such as `{address: url}`; all other keys have the new ones."""

    text_key: str | tuple[str, ...] = "text"
    """Column with the text, or several that are joined by blank lines. Of a column of chat messages, the contents."""
    metadata_keys: tuple[str, ...] | None = None
    """Columns to keep as metadata, such as `url` and `license`; null keeps all others."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.text_key:
            raise ValueError("text_key is empty, set the column that holds the text")

    def renamed(self, column: str) -> str:
        """What a column is called here."""
        return self.columns.get(column, column)

    def whole_rows(self) -> Self:
        """This source with every column as metadata and none as text: of a document that it gives, the row is read."""
        found = copy.copy(self)
        object.__setattr__(found, "text_key", ())
        object.__setattr__(found, "metadata_keys", None)
        return found

    @property
    def text_keys(self) -> tuple[str, ...]:
        """The columns of the text in order, also if there is only one."""
        return (self.text_key,) if isinstance(self.text_key, str) else self.text_key


@dataclass(frozen=True, kw_only=True)
class JsonlSource(FileSource, Columns):
    """Files of JSON lines, plain or compressed: an object a line is a document."""

    kind: Literal["jsonl"]
    pattern: str | tuple[str, ...] = "*.jsonl*"


@dataclass(frozen=True, kw_only=True)
class ParquetSource(FileSource, Columns):
    """Parquet files, in which each row is a document."""

    kind: Literal["parquet"]
    pattern: str | tuple[str, ...] = "*.parquet"


@dataclass(frozen=True, kw_only=True)
class CsvSource(FileSource, Columns):
    """Tables of text whose first row names the columns: each row after it is a document. All values are texts."""

    kind: Literal["csv"]
    pattern: str | tuple[str, ...] = ("*.csv", "*.csv.*")
    delimiter: str = ","
    """What stands between two cells, such as `"\t"`."""
    encoding: str = "utf-8"
    """Of all files."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_encoding(self.encoding)
        if len(self.delimiter) != 1:
            raise ValueError(f"delimiter is {self.delimiter!r}, set one character")


@dataclass(frozen=True, kw_only=True)
class ArrowSource(FileSource, Columns):
    """Arrow files, as `datasets` and others save them, in the form of a file or of a stream: a row is a document."""

    kind: Literal["arrow"]
    pattern: str | tuple[str, ...] = "*.arrow"


@dataclass(frozen=True, kw_only=True)
class HuggingFaceSource(Columns):
    """A dataset of the Hugging Face hub, streamed: nothing is stored on disk."""

    kind: Literal["huggingface"]
    dataset: str
    """`owner/name`, or a local folder with files that `datasets` reads."""
    disclosure: Disclosure
    subset: str | None = None
    """Configuration of the dataset, as the hub calls it."""
    folder: str | None = None
    """Folder of the dataset to read, where it is divided by folders."""
    split: str = "train"
    revision: str | None = "main"
    """Branch, tag or commit. Only a commit makes the run repeatable."""
    shards: PositiveInt = 1
    """Parts that tasks read side by side."""
    limit: PositiveInt | None = None
    """Most documents to read of each part; null reads all."""


@dataclass(frozen=True, kw_only=True)
class DomainSource:
    """The documents that another recipe of the same run kept."""

    kind: Literal["domain"]
    domain: str
    disclosure: Disclosure


Source = (
    EmbeddedSource
    | TextSource
    | WarcSource
    | WetSource
    | HtmlSource
    | JsonlSource
    | ParquetSource
    | CsvSource
    | ArrowSource
    | HuggingFaceSource
    | DomainSource
)

SOURCES: dict[str, type[Source]] = {get_args(get_type_hints(each)["kind"])[0]: each for each in get_args(Source)}
"""Every kind of source by the name that recipes use."""

PAGE_GENERATORS = ("web_pages",)
"""Generators of the embedded corpus that give HTML pages instead of texts."""


def gives_pages(source: Source) -> bool:
    """Whether a source gives HTML pages, which an extractor must turn into text first."""
    if isinstance(source, EmbeddedSource):
        return source.generator in PAGE_GENERATORS
    return isinstance(source, WarcSource | HtmlSource)

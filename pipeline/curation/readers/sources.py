"""Where a recipe's documents come from: one dataclass for each kind of source, its fields the recipe's keys."""

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

from pydantic import PositiveInt


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
class FileSource:
    """Base of the sources made of files, on a disk or wherever fsspec reaches: `s3://`, `gs://`, `https://`."""

    path: str
    """A file, or a folder that is read with the pattern. A relative path is taken from the working directory."""
    disclosure: Disclosure
    pattern: str
    """Shell pattern of the names of the files to read below the folder."""
    limit: PositiveInt | None = None
    """Most records to read of each file; null reads all."""
    maximum_record_bytes: PositiveInt = 32 * 1024**2
    """Longest page or line, in bytes, and longest text of a row, in characters. A longer one is quarantined, so that
    no record decides how much memory is needed."""


@dataclass(frozen=True, kw_only=True)
class WarcSource(FileSource):
    """Pages in WARC files, the format of Common Crawl. The recipe needs an extractor."""

    kind: Literal["warc"]
    pattern: str = "*.warc.gz"


@dataclass(frozen=True, kw_only=True)
class WetSource(FileSource):
    """Texts of pages in WET files, as Common Crawl extracts them: the whole page, with menus and the like."""

    kind: Literal["wet"]
    pattern: str = "*.wet.gz"


@dataclass(frozen=True, kw_only=True)
class HtmlSource(FileSource):
    """HTML files of one page each. The recipe needs an extractor."""

    kind: Literal["html"]
    pattern: str = "*.htm*"


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of a table are the text, and which are kept as metadata."""

    text_key: str | tuple[str, ...] = "text"
    """Column with the text, or several that are joined by blank lines. Of a column of chat messages, the contents."""
    metadata_keys: tuple[str, ...] | None = None
    """Columns to keep as metadata, such as `url` and `license`; null keeps all others."""

    def __post_init__(self) -> None:
        if not self.text_key:
            raise ValueError("text_key is empty, set the column that holds the text")

    @property
    def text_keys(self) -> tuple[str, ...]:
        """The columns of the text in order, also if there is only one."""
        return (self.text_key,) if isinstance(self.text_key, str) else self.text_key


@dataclass(frozen=True, kw_only=True)
class JsonlSource(FileSource, Columns):
    """Files of JSON lines, plain or compressed: an object a line is a document."""

    kind: Literal["jsonl"]
    pattern: str = "*.jsonl*"


@dataclass(frozen=True, kw_only=True)
class ParquetSource(FileSource, Columns):
    """Parquet files, in which each row is a document."""

    kind: Literal["parquet"]
    pattern: str = "*.parquet"


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
    | WarcSource
    | WetSource
    | HtmlSource
    | JsonlSource
    | ParquetSource
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

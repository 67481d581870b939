"""Where a recipe's documents come from: one dataclass per kind of source."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """What IBM's data disclosures say of a dataset; fields and names are theirs. Its size is measured."""

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
    """Which part of the corpus."""
    disclosure: Disclosure
    packages: tuple[str, ...] = ()
    """Packages to read; `python` is the standard library."""
    languages: tuple[str, ...] = ()
    """Languages of generator `locales`."""
    limit: int | None = None
    """Most units to read (files, modules, or generated documents); null reads all."""
    max_bytes: int | None = None
    """Most bytes of source files to read; null reads all."""
    seed: int = 0
    """Chooses which units a limit leaves, and what is generated."""


@dataclass(frozen=True, kw_only=True)
class FileSource:
    """Files on a disk, or wherever fsspec reaches: a bucket (`s3://`, `gs://`), a server (`https://`)."""

    path: str
    """A file, or a folder that is read with the pattern. A relative path is taken from the working directory."""
    disclosure: Disclosure
    pattern: str
    """Names of the files to read below the folder."""
    limit: int | None = None
    """Most records of each file; null reads all."""
    maximum_record_bytes: int = 32 * 1024**2
    """Longest page or line, longest text of a row: what is longer is quarantined. It bounds memory."""

    def __post_init__(self) -> None:
        if self.maximum_record_bytes < 1:
            raise ValueError(f"maximum_record_bytes is {self.maximum_record_bytes}, set 1 or more")


@dataclass(frozen=True, kw_only=True)
class WarcSource(FileSource):
    """Pages in WARC files, the form of CommonCrawl. Needs a step that makes text of pages."""

    kind: Literal["warc"]
    pattern: str = "*.warc.gz"


@dataclass(frozen=True, kw_only=True)
class HtmlSource(FileSource):
    """A page in each file. Needs a step that makes text of pages."""

    kind: Literal["html"]
    pattern: str = "*.htm*"


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns of a table are the text, and which come along."""

    text_key: str | tuple[str, ...] = "text"
    """Column with the text, or several to put one below the other. Of a column of chat messages, the contents."""
    metadata_keys: tuple[str, ...] | None = None
    """Columns that come along as metadata, such as `url` and `license`; null takes all others."""

    def __post_init__(self) -> None:
        if not self.text_key:
            raise ValueError("text_key is empty, set the column that holds the text")

    @property
    def text_keys(self) -> tuple[str, ...]:
        """The columns of the text, in order."""
        return (self.text_key,) if isinstance(self.text_key, str) else self.text_key


@dataclass(frozen=True, kw_only=True)
class JsonlSource(FileSource, Columns):
    """Documents in JSON lines, plain or compressed."""

    kind: Literal["jsonl"]
    pattern: str = "*.jsonl*"

    def __post_init__(self) -> None:
        FileSource.__post_init__(self)
        Columns.__post_init__(self)


@dataclass(frozen=True, kw_only=True)
class ParquetSource(FileSource, Columns):
    """Documents in Parquet files."""

    kind: Literal["parquet"]
    pattern: str = "*.parquet"

    def __post_init__(self) -> None:
        FileSource.__post_init__(self)
        Columns.__post_init__(self)


@dataclass(frozen=True, kw_only=True)
class HuggingFaceSource(Columns):
    """A dataset of the Hugging Face hub, streamed."""

    kind: Literal["huggingface"]
    dataset: str
    """`owner/name`, or a folder with files that `datasets` knows."""
    disclosure: Disclosure
    subset: str | None = None
    """Configuration of the dataset."""
    folder: str | None = None
    """Folder of the dataset to read, where it is divided by folders."""
    split: str = "train"
    revision: str | None = "main"
    """Branch, tag or commit. A commit makes the run repeatable."""
    shards: int = 1
    """Parts to read side by side."""
    limit: int | None = None
    """Most documents of each part."""


@dataclass(frozen=True, kw_only=True)
class DomainSource:
    """What another recipe kept."""

    kind: Literal["domain"]
    domain: str
    disclosure: Disclosure


Source = EmbeddedSource | WarcSource | HtmlSource | JsonlSource | ParquetSource | HuggingFaceSource | DomainSource

SOURCES: dict[str, type[Source]] = {
    "embedded": EmbeddedSource,
    "warc": WarcSource,
    "html": HtmlSource,
    "jsonl": JsonlSource,
    "parquet": ParquetSource,
    "huggingface": HuggingFaceSource,
    "domain": DomainSource,
}
"""By the kind that recipes name."""


PAGES = ("web_pages",)
"""Generators of the embedded corpus that give pages rather than texts."""

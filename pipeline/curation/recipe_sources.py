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
class WarcSource:
    """Pages in WARC files, the form of CommonCrawl. Needs the step `trafilatura`."""

    kind: Literal["warc"]
    path: str
    """A file, or a folder that is read with the pattern below."""
    disclosure: Disclosure
    pattern: str = "*.warc.gz"
    limit: int | None = None
    """Most pages of each file."""


@dataclass(frozen=True, kw_only=True)
class JsonlSource:
    """Documents in JSON lines, plain or compressed."""

    kind: Literal["jsonl"]
    path: str
    disclosure: Disclosure
    pattern: str = "*.jsonl*"
    text_key: str = "text"
    limit: int | None = None
    """Most documents of each file."""


@dataclass(frozen=True, kw_only=True)
class ParquetSource:
    """Documents in Parquet files."""

    kind: Literal["parquet"]
    path: str
    disclosure: Disclosure
    pattern: str = "*.parquet"
    text_key: str = "text"
    limit: int | None = None
    """Most documents of each file."""


@dataclass(frozen=True, kw_only=True)
class HuggingFaceSource:
    """A dataset of the Hugging Face hub, streamed."""

    kind: Literal["huggingface"]
    dataset: str
    """`owner/name`."""
    disclosure: Disclosure
    subset: str | None = None
    """Configuration of the dataset."""
    folder: str | None = None
    """Folder of the dataset to read, where it is divided by folders."""
    split: str = "train"
    revision: str = "main"
    """Branch, tag or commit. A commit makes the run repeatable."""
    text_key: str = "text"
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


Source = EmbeddedSource | WarcSource | JsonlSource | ParquetSource | HuggingFaceSource | DomainSource
FileSource = WarcSource | JsonlSource | ParquetSource

SOURCES: dict[str, type[Source]] = {
    "embedded": EmbeddedSource,
    "warc": WarcSource,
    "jsonl": JsonlSource,
    "parquet": ParquetSource,
    "huggingface": HuggingFaceSource,
    "domain": DomainSource,
}
"""By the kind that recipes name."""

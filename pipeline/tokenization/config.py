"""Settings of the tokenizer and tokenize stages."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt, PositiveInt

from pipeline.core.domains import check_name
from pipeline.core.errors import DataError
from pipeline.core.files import identities, sha256_of
from pipeline.tokenization.special_tokens import BLOCK_SIZE

BYTES = 256
"""Single-byte tokens that every byte-level vocabulary starts from."""

DOCUMENT_ROLES = ("corpus", "synthetic")
"""Roles of a stage's inputs whose artifacts hold documents."""

LONG = "_long"
"""Suffix of the domain that a domain's long documents are written to once more."""


def written_domains(domains: Iterable[str], long_documents: Iterable[str]) -> list[str]:
    """Names of the domains that a tokenize stage writes, in order; these are what a mixture can name."""
    return [*domains, *(domain + LONG for domain in long_documents)]


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Training of the byte-level BPE tokenizer."""

    vocab_size: Annotated[int, Field(ge=BYTES + BLOCK_SIZE)]
    """Ids in all: bytes, merges and the 96 special tokens. Granite 4.1: 100,352."""
    sample_bytes_per_domain: PositiveInt
    """UTF-8 bytes of text taken from each domain, at most: one limit for all, so that none drowns the rest."""
    maximum_files_per_domain: PositiveInt
    """Files the sample is drawn from, chosen by hash: what bounds the reading of a corpus of terabytes."""


@dataclass(frozen=True, kw_only=True)
class ImportTokensConfig:
    """Token shards that datatrove has written elsewhere, and the tokenizer that they were made with."""

    domains: Annotated[dict[str, str], Field(min_length=1)]
    """By domain, a file `*.ds` or the folder of several, each with its `.ds.index` beside it."""
    tokenizer: str
    """Hugging Face folder of the tokenizer: with tokenizer.json and an end-of-text token (`eos_token`)."""
    vocab_size: PositiveInt
    """Ids of the model, at least as many as the tokenizer's."""
    validation_share: Annotated[float, Field(gt=0, le=0.5)]
    """Share of documents held out, by hash of their tokens; a domain of two documents or more holds out one at
    least."""

    def __post_init__(self) -> None:
        for domain in self.domains:
            check_name(domain)

    def shards(self, domain: str) -> list[Path]:
        """The files with a domain's tokens, in the order of their names.

        Raises:
            DataError: if there are none, or one has no index.
        """
        place = Path(self.domains[domain])
        found = sorted(place.rglob("*.ds")) if place.is_dir() else [place] if place.is_file() else []
        if not found:
            raise DataError(f"domains.{domain}={place}: no file *.ds there, set the folder of datatrove's token shards")
        for path in found:
            if not index_of(path).is_file():
                raise DataError(
                    f"{path}: no {index_of(path).name} beside it, which says where documents end; copy it too"
                )
        return found

    def data_fingerprint(self) -> dict[str, Any]:
        """What identifies the shards and the tokenizer: a part of the stage's fingerprint.

        Raises:
            DataError: for shards or a tokenizer that are not there.
        """
        tokenizer = Path(self.tokenizer) / "tokenizer.json"
        if not tokenizer.is_file():
            raise DataError(
                f"tokenizer={self.tokenizer}: no {tokenizer} there, set the folder of the shards' tokenizer"
            )
        return {
            "tokenizer_found": sha256_of(tokenizer),
            "shards_found": {
                domain: identities([each for path in self.shards(domain) for each in (path, index_of(path))])
                for domain in self.domains
            },
        }


def index_of(shard: Path) -> Path:
    """The file beside a shard that says where documents end."""
    return shard.with_name(f"{shard.name}.index")


@dataclass(frozen=True, kw_only=True)
class TokenizeConfig:
    """Which data domains become token shards, which documents are held out, and how the work is divided."""

    vocab_size: PositiveInt
    """Ids of the tokenizer, checked against it. Up to 65,535 tokens are stored in 16 bits, else in 32."""
    domains: Annotated[list[str], Field(min_length=1)]
    """Domains to write; each must have tokens. In a configuration, null stands for those that the mixtures of phases
    and the evaluations of long context name."""
    long_documents: dict[str, PositiveInt]
    """Domain to tokens: its documents of so many and more are written once more, as `<domain>_long`, which a mixture
    can name to see long documents more often."""
    validation_share: Annotated[float, Field(gt=0, le=0.5)]
    """Share of documents held out, by hash of their id; a domain of two documents or more holds out at least one."""
    demand: dict[str, NonNegativeInt] = field(default_factory=dict, metadata={"fingerprint": False})
    """Tokens of each domain without which the phases would repeat it more often than they may; the plan fills it in."""
    batch_documents: PositiveInt = field(metadata={"fingerprint": False})
    """Documents tokenized in one call, spread over the machine's cores."""

    def __post_init__(self) -> None:
        if len(set(self.domains)) != len(self.domains):
            raise ValueError("domains names one twice, set each once")
        for domain in self.long_documents:
            if domain not in self.domains or domain + LONG in self.domains:
                raise ValueError(f"long_documents.{domain}: set one of domains, which has no {domain}{LONG} itself")

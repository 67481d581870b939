"""Settings of the tokenizer and tokenize stages."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.core.domains import DOMAINS
from pipeline.tokenization.special_tokens import BLOCK_SIZE

BYTES = 256
"""Single-byte tokens that every byte-level vocabulary starts from."""

LONG = "_long"
"""What the name of a domain of long documents ends in."""


def written_domains(domains: Iterable[str], long_documents: Iterable[str]) -> list[str]:
    """Names of the domains that a tokenize stage writes, in order; these are what a mixture can name."""
    return [*domains, *(domain + LONG for domain in long_documents)]


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Training of the byte-level BPE tokenizer."""

    vocab_size: int
    """Ids in all: bytes, merges and the 96 special tokens. Granite 4.1: 100,352."""
    sample_bytes_per_domain: int
    """UTF-8 bytes of text taken from each domain, at most: one limit for all, so none drowns the rest."""
    maximum_files_per_domain: int = 64
    """Files the sample is drawn from, chosen by hash: what bounds the reading of a corpus of terabytes."""

    def __post_init__(self) -> None:
        if self.vocab_size < BYTES + BLOCK_SIZE:
            raise ValueError(f"vocab_size is {self.vocab_size}, set {BYTES + BLOCK_SIZE} or more")
        for name in ("sample_bytes_per_domain", "maximum_files_per_domain"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, set 1 or more")


@dataclass(frozen=True, kw_only=True)
class TokenizeConfig:
    """Documents to token shards."""

    vocab_size: int
    """Ids of the tokenizer, checked against it. Up to 65,535 tokens are stored in 16 bits, else in 32."""
    domains: list[str] = field(default_factory=lambda: list(DOMAINS))
    """Domains to write; each must have tokens."""
    long_documents: dict[str, int] = field(default_factory=dict)
    """Domain to tokens: its documents of so many and more are written once more, as `<domain>_long`, which a mixture
    can name to see long documents more often."""
    validation_share: float
    """Share of documents held out, by hash of their id, 0 to 0.5. A domain of two documents or more holds out
    at least one."""
    demand: dict[str, int] = field(default_factory=dict, metadata={"fingerprint": False})
    """Tokens of each domain without which the phases would repeat it more often than they may. The plan fills it in."""
    batch_documents: int = field(default=512, metadata={"fingerprint": False})
    """Documents tokenized in one call, spread over the machine's cores."""

    def __post_init__(self) -> None:
        if not 0 < self.validation_share <= 0.5:
            raise ValueError(f"validation_share is {self.validation_share}, set more than 0 and up to 0.5")
        if not self.domains:
            raise ValueError("domains is empty, set at least one")
        if len(set(self.domains)) != len(self.domains):
            raise ValueError("domains names one twice, set each once")
        for domain, tokens in self.long_documents.items():
            if domain not in self.domains or domain + LONG in self.domains:
                raise ValueError(f"long_documents.{domain}: set one of domains, which has no {domain}{LONG} itself")
            if tokens < 1:
                raise ValueError(f"long_documents.{domain} is {tokens}, set 1 or more")
        if self.batch_documents < 1:
            raise ValueError(f"batch_documents is {self.batch_documents}, set 1 or more")

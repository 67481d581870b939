"""Whether the corpus has the tokens that the phases will take, told before it is tokenised."""

from collections.abc import Iterable, Mapping

from pipeline.core.artifact import Artifact
from pipeline.core.errors import DataError

TOLERANCE = 0.1
"""Bytes per token are known from a sample; what is short by less than this share is left to the phases' exact check."""


def estimated_tokens(domain: str, sources: Iterable[Artifact], tokenizer: Artifact) -> float:
    """Tokens of a domain: its bytes, by the bytes per token of the tokenizer's sample of it."""
    text_bytes = sum(source.manifest.metrics.get(f"{domain}/bytes", 0.0) for source in sources)
    known = tokenizer.manifest.metrics
    return text_bytes / known.get(f"bytes_per_token/{domain}", known["bytes_per_token"])


def check_token_budget(
    demand: Mapping[str, int], sources: list[Artifact], tokenizer: Artifact, validation_share: float
) -> None:
    """Refuses a corpus that is too small for the phases.

    Raises:
        DataError: naming the domain, what it has and what is needed.
    """
    for domain, needed in demand.items():
        has = estimated_tokens(domain, sources, tokenizer) * (1 - validation_share)
        if has < needed * (1 - TOLERANCE):
            raise DataError(
                f"mixture.{domain}: has about {has:,.0f} tokens, the phases need {needed:,}; "
                "lower its weight or the phases' tokens, add data to its recipe, or raise max_epochs"
            )

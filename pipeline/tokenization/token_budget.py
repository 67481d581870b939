"""The token budget: whether the corpus has the tokens that the phases take, estimated before it is tokenized.

The phases check exactly, in sequences, once there are shards (`pipeline.pretraining.data.mixture.check_epochs`).
"""

from collections.abc import Iterable, Mapping

from pipeline.core.artifact import Artifact
from pipeline.core.errors import DataError

TOLERANCE = 0.1
"""Share of a domain's budget that may be missing: bytes per token are known from a sample only."""


def estimated_tokens(domain: str, corpus: Iterable[Artifact], tokenizer: Artifact) -> float | None:
    """About how many tokens the documents of a domain have; None by an imported tokenizer, which has no sample of them.

    Args:
        domain: name.
        corpus: artifacts with documents, whose metrics give the UTF-8 bytes of their text.
        tokenizer: whose metrics give bytes per token of its sample of the domain; where it had none, of all domains.
    """
    text_bytes = sum(each.manifest.metrics.get(f"{domain}/bytes", 0.0) for each in corpus)
    known = tokenizer.manifest.metrics
    if "bytes_per_token" not in known:
        return None
    return text_bytes / known.get(f"bytes_per_token/{domain}", known["bytes_per_token"])


def check_token_budget(
    budget: Mapping[str, int], corpus: list[Artifact], tokenizer: Artifact, validation_share: float
) -> None:
    """Rejects a corpus that is too small for the phases.

    Args:
        budget: tokens of each domain that the phases need; with fewer they would repeat it more than `max_epochs`.
        corpus: artifacts with documents.
        tokenizer: see `estimated_tokens`.
        validation_share: share of documents that is held out.

    Raises:
        DataError: naming the domain, what it has and what is needed.
    """
    for domain, needed in budget.items():
        estimated = estimated_tokens(domain, corpus, tokenizer)
        if estimated is not None and (has := estimated * (1 - validation_share)) < needed * (1 - TOLERANCE):
            raise DataError(
                f"mixture.{domain}: has about {has:,.0f} tokens, the phases need {needed:,}; "
                "lower its weight or the phases' tokens, add data to its recipe, or raise max_epochs"
            )

"""Loss far into long documents: what a model makes of more context than it was pretrained on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy

from pipeline.core.errors import DataError
from pipeline.pretraining.data.stream import Batch
from pipeline.tokenization.shards import TokenShard


def long_windows(shards: Sequence[TokenShard], context: int) -> Iterator[numpy.ndarray]:
    """Windows of `context` + 1 tokens that each lie inside one document.

    First the beginning of every long document, then the next part of each that has one, and so on: as many
    documents as possible before a second window of the same.
    """
    documents = [shard.document(number) for shard in shards for number in range(shard.documents)]
    part = 0
    while documents := [each for each in documents if len(each) >= (part + 1) * context + 1]:
        for document in documents:
            yield document[part * context : (part + 1) * context + 1]
        part += 1


def long_batch(tokens: Path, domains: Sequence[str], context: int, windows: int) -> Batch:
    """Up to `windows` windows of held-out documents as sequences of `context` tokens.

    Raises:
        DataError: if no held-out document of the domains is that long.
    """
    shards = [TokenShard.open(tokens / domain / "validation.ds") for domain in domains]
    rows = [window for window, _ in zip(long_windows(shards, context), range(windows), strict=False)]
    if not rows:
        raise DataError(
            f"{tokens}: no held-out document of {', '.join(domains)} has {context + 1} tokens; "
            "lower long_context.contexts, or raise validation_share of the tokenize stage"
        )
    stacked = numpy.stack(rows).astype(numpy.int64)
    positions = numpy.broadcast_to(numpy.arange(context), (len(rows), context)).copy()
    return Batch(stacked[:, :-1].copy(), positions, stacked[:, 1:].copy())

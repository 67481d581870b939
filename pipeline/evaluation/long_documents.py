"""Windows of long held-out documents, for the loss at more context than a model was pretrained on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy

from pipeline.core.errors import DataError
from pipeline.pretraining.data.stream import Batch
from pipeline.tokenization.shards import TokenShard


def document_windows(shards: Sequence[TokenShard], context: int) -> Iterator[numpy.ndarray]:
    """Windows of `context` + 1 tokens, each from inside one document, which overlap in one token at most.

    The first window of every document that is long enough, then the second of every one that has a second, and so on,
    so that any number of windows comes from as many documents as possible.
    """
    documents = [shard.document(number) for shard in shards for number in range(shard.documents)]
    part = 0
    while documents := [each for each in documents if len(each) >= (part + 1) * context + 1]:
        for document in documents:
            yield document[part * context : (part + 1) * context + 1]
        part += 1


def long_document_batch(tokens: Path, domains: Sequence[str], context: int, windows: int) -> Batch:
    """Up to `windows` windows of held-out documents, each a sequence of `context` tokens with its labels.

    Args:
        tokens: the `tokens/` folder of a tokenize stage.
        domains: whose held-out documents the windows are cut from.
        context: tokens in a sequence.
        windows: sequences, at most.

    Raises:
        DataError: if no held-out document of the domains has more than `context` tokens.
    """
    shards = [TokenShard.open(tokens / domain / "validation.ds") for domain in domains]
    rows = [window for window, _ in zip(document_windows(shards, context), range(windows), strict=False)]
    if not rows:
        raise DataError(
            f"{tokens}: no held-out document of {', '.join(domains)} has {context + 1} tokens; "
            "lower long_context.contexts, or raise validation_share of the tokenize stage"
        )
    stacked = numpy.stack(rows).astype(numpy.int64)
    positions = numpy.broadcast_to(numpy.arange(context), (len(rows), context)).copy()
    return Batch(stacked[:, :-1].copy(), positions, stacked[:, 1:].copy())

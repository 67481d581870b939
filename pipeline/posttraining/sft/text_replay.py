"""Text of pretraining among the conversations of SFT, so that the model keeps what it knows of text.

Training on new data alone wears off what came before (catastrophic forgetting: McCloskey and Cohen, 1989); a share of
the earlier data among the new keeps most of it (Ibrahim et al., 2024, arXiv:2403.08763, at 1 to 50 %).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy

from pipeline.core.errors import DataError
from pipeline.posttraining.sft.config import TextReplayConfig
from pipeline.pretraining.data.stream import IGNORE_INDEX, TokenStream
from pipeline.tokenization.shards import read_index


class ReplayedText:
    """Sequences of the pretraining corpus, read by number when they are trained on."""

    def __init__(self, directory: Path, config: TextReplayConfig, max_length: int, packing: bool, seed: int) -> None:
        """Maps the shards that the mixture names.

        Args:
            directory: the `tokens/` folder of a tokenize stage.
            config: share and mixture.
            max_length: tokens of a sequence.
            packing: whether the trainer keeps documents of a sequence apart; if not, a sequence is the longest stretch
                of one document.
            seed: of the order.

        Raises:
            DataError: for a domain that has no tokens.
        """
        mixture = config.mixture if config.mixture is not None else _equally(directory, max_length)
        self._stream = TokenStream(directory, mixture, max_length, seed)
        self._packing, self._share = packing, config.share

    def count(self, conversations: int) -> int:
        """Sequences of text among so many of conversations, at least one."""
        return max(1, round(conversations * self._share / (1 - self._share)))

    def read(self, number: int) -> dict[str, Any]:
        """A sequence as `input_ids`, `labels` and `seq_lengths`; of each document the first token is not predicted."""
        batch = self._stream.read(number, 1)
        ids, positions = batch.tokens[0], batch.positions[0]
        # Positions of a sequence count from 0, also where it begins inside a document.
        begins = numpy.flatnonzero(positions == 0)
        lengths = numpy.diff(begins, append=len(ids))
        labels = numpy.where(numpy.isin(numpy.arange(len(ids)), begins), IGNORE_INDEX, ids)
        if not self._packing:
            longest = int(lengths.argmax())
            chosen = slice(int(begins[longest]), int(begins[longest] + lengths[longest]))
            ids, labels, lengths = ids[chosen], labels[chosen], lengths[longest : longest + 1]
        return {"input_ids": ids.tolist(), "labels": labels.tolist(), "seq_lengths": lengths.tolist()}

    def lengths(self, count: int) -> numpy.ndarray:
        """Tokens of the first `count` sequences."""
        return numpy.array([sum(self.read(number)["seq_lengths"]) for number in range(count)], dtype=numpy.int64)


def _equally(directory: Path, max_length: int) -> dict[str, float]:
    """A weight of 1 for each domain that fills a sequence.

    Raises:
        DataError: if none does.
    """
    domains = read_index(directory)["domains"]
    long = {name: 1.0 for name, splits in domains.items() if splits["train"]["tokens"] > max_length}
    if not long:
        raise DataError(f"{directory}: no domain has {max_length:,} tokens to replay, set text_replay=null")
    return long

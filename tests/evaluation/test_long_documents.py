import numpy
import pytest

from pipeline.core.artifact import Artifact
from pipeline.core.errors import DataError
from pipeline.evaluation.long_documents import document_windows, long_document_batch
from pipeline.tokenization.shards import TokenShard


def test_windows_stay_inside_documents_and_favor_new_ones() -> None:
    ends = numpy.array([25, 30, 60], dtype=numpy.uint64)
    shard = TokenShard(numpy.arange(60, dtype=numpy.uint16), ends, "")
    starts = [int(window[0]) for window in document_windows([shard], 10)]
    assert starts == [0, 30, 10, 40]
    assert all(len(window) == 11 for window in document_windows([shard], 10))


def test_no_long_document_is_an_error_that_says_what_to_do(tokens_artifact: Artifact) -> None:
    with pytest.raises(DataError, match="no held-out document of math has 65 tokens; lower long_context"):
        long_document_batch(tokens_artifact.directory / "tokens", ["math"], 64, 2)

import numpy
import pytest
import torch
from torch.nn import functional

from pipeline.core.artifact import Artifact
from pipeline.evaluation.long_documents import long_document_batch
from pipeline.evaluation.loss import mean_loss, token_losses
from pipeline.inference.loading import LoadedModel
from pipeline.pretraining.data.stream import IGNORE_INDEX, Batch, validation_batch
from pipeline.tokenization.shards import TokenShard


def test_the_loss_is_that_of_each_document_alone(loaded: LoadedModel, tokens_artifact: Artifact) -> None:
    tokens = tokens_artifact.directory / "tokens"
    shard = TokenShard.open(tokens / "math" / "validation.ds")
    document = torch.from_numpy(shard.document(0).astype(numpy.int64))
    other = torch.arange(9)
    sequence = torch.cat([other, document, other])
    positions = torch.cat([torch.arange(len(each)) for each in (other, document, other)])
    labels = torch.cat([torch.cat([each[1:], torch.tensor([IGNORE_INDEX])]) for each in (other, document, other)])
    batch = Batch(sequence[None].numpy(), positions[None].numpy(), labels[None].numpy())
    with torch.inference_mode():
        alone = functional.cross_entropy(
            loaded.model(input_ids=document[None]).logits[0, :-1], document[1:], reduction="none"
        )
    packed = token_losses(loaded.model, batch, chunk_tokens=5)[0]
    torch.testing.assert_close(packed[9 : 9 + len(document) - 1], alone, rtol=1e-5, atol=1e-5)
    assert packed[8] == 0


def test_chunks_and_batches_leave_no_trace(loaded: LoadedModel, tokens_artifact: Artifact) -> None:
    batch = validation_batch(tokens_artifact.directory / "tokens", "code", 64, 5)
    assert batch is not None
    whole, count = mean_loss(loaded.model, batch, 10_000, 10_000)
    parts, same = mean_loss(loaded.model, batch, 64, 7)
    assert parts == pytest.approx(whole, rel=1e-6)
    assert count == same == int((batch.labels != IGNORE_INDEX).sum())


def test_a_loss_starts_where_it_is_told_to(loaded: LoadedModel, tokens_artifact: Artifact) -> None:
    batch = long_document_batch(tokens_artifact.directory / "tokens", ["code"], 128, 2)
    losses = token_losses(loaded.model, batch, 1000)
    mean, count = mean_loss(loaded.model, batch, 1000, 1000, first_position=100)
    assert mean == pytest.approx(float(losses[:, 100:].mean()), rel=1e-6)
    assert count == 2 * 28

"""The two stages of tokenization: every document once, in an order of its own, whatever the files, kills and damage."""

import dataclasses
import gzip
import hashlib
import json
import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from datatrove.data import Document
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.artifact import Artifact
from pipeline.core.context import StageContext
from pipeline.core.errors import DataError, Requeue
from pipeline.tokenization import tokenize, train_tokenizer
from pipeline.tokenization.config import TokenizeConfig
from pipeline.tokenization.documents import document_files, domains_of
from pipeline.tokenization.sampling import sample_documents
from pipeline.tokenization.shard_writer import validation_documents
from pipeline.tokenization.shards import TokenShard, read_index, token_type
from pipeline.tokenization.tokenizer import document_tokenizer
from tests.settings import stage_config

VOCABULARY = 1024
END_OF_TEXT = VOCABULARY - 95
Corpus = Callable[..., Artifact]
Write = Callable[[Path, str, list[list[str]]], None]


def config(domains: list[str] | None = None, batch_documents: int = 7) -> TokenizeConfig:
    return stage_config(
        "tokenize",
        vocab_size=VOCABULARY,
        domains=domains or ["code", "math"],
        validation_share=0.05,
        batch_documents=batch_documents,
    )


def context(
    directory: Path, corpus: Artifact, tokenizer: Artifact, settings: TokenizeConfig | None = None
) -> StageContext[TokenizeConfig]:
    inputs = {"corpus": corpus, "tokenizer": tokenizer}
    return StageContext.for_test("tokenize", settings or config(), inputs, directory)


def content(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_long_documents_are_a_domain_beside_their_own(
    tmp_path: Path, corpus: Corpus, tokenizer_artifact: Artifact
) -> None:
    """The same documents from a length on, in the same order and with the same ones held out."""
    plain = context(tmp_path / "plain", corpus(3), tokenizer_artifact)
    tokenize.run(plain)
    least = 400
    settings = dataclasses.replace(config(), long_documents={"code": least})
    with_long = context(tmp_path / "long", corpus(3), tokenizer_artifact, settings)
    result = tokenize.run(with_long)
    tokens = with_long.output / "tokens"
    assert content(tokens / "code") == content(plain.output / "tokens" / "code")
    for split in ("train", "validation"):
        whole, long = (TokenShard.open(tokens / name / f"{split}.ds") for name in ("code", "code_long"))
        documents = [whole.document(number).tolist() for number in range(whole.documents)]
        wanted = [document for document in documents if len(document) >= least]
        assert [long.document(number).tolist() for number in range(long.documents)] == wanted
    assert 0 < result.metrics["tokens/code_long"] < result.metrics["tokens/code"]
    too_long = dataclasses.replace(config(), long_documents={"code": 10**6})
    with pytest.raises(DataError, match=r"long_documents\.code: no document has 1,000,000 tokens"):
        tokenize.run(context(tmp_path / "none", corpus(3), tokenizer_artifact, too_long))
    with pytest.raises(ValueError, match=r"long_documents\.books: set one of domains"):
        dataclasses.replace(config(), long_documents={"books": 5})


def test_every_document_is_there_once_and_ends(
    tmp_path: Path, corpus: Corpus, tokenizer_artifact: Artifact, texts: list[str]
) -> None:
    run = context(tmp_path / "tokenize", corpus(3), tokenizer_artifact)
    result = tokenize.run(run)
    tokens = run.output / "tokens"
    train = TokenShard.open(tokens / "code" / "train.ds")
    held_out = TokenShard.open(tokens / "code" / "validation.ds")
    assert train.tokens.dtype == numpy.uint16
    assert train.document_ends.dtype == numpy.uint64
    assert held_out.documents >= 1

    tokenizer = document_tokenizer(tokenizer_artifact.directory / "tokenizer")
    decoded = []
    for shard in (train, held_out):
        for number in range(shard.documents):
            document = shard.document(number)
            assert document[-1] == END_OF_TEXT
            assert END_OF_TEXT not in document[:-1]
            decoded.append(tokenizer.decode(document[:-1].tolist()))
    assert sorted(decoded) == sorted(texts[:200])

    index = read_index(tokens)
    assert index["domains"]["code"]["train"]["tokens"] == len(train)
    assert (index["dtype"], index["end_of_text"]) == ("uint16", END_OF_TEXT)
    splits = [part for domain in index["domains"].values() for part in domain.values()]
    assert result.tokens == sum(part["tokens"] for part in splits)


def test_files_order_and_batches_leave_no_trace(tmp_path: Path, corpus: Corpus, tokenizer_artifact: Artifact) -> None:
    results = []
    for number, (artifact, batch) in enumerate([(corpus(1), 512), (corpus(4), 7), (corpus(3, True), 1)]):
        run = context(tmp_path / str(number), artifact, tokenizer_artifact, config(batch_documents=batch))
        tokenize.run(run)
        results.append(content(run.output))
    assert results[0] == results[1] == results[2]


def test_files_beside_those_of_the_manifest_are_not_trained_on(tmp_path: Path, corpus: Corpus) -> None:
    """One with another name is refused when the artifact is opened; hidden ones are nobody's."""
    folder = corpus(2).directory
    before, domains = document_files([folder], "code"), domains_of([folder])
    for name in ("code/.99999.jsonl.gz", "math/._00000.jsonl.gz", "left/.00000.jsonl.gz.17", "left/.0.jsonl.gz"):
        path = folder / "documents" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(before[0].read_bytes())
    assert [path.name for path in before] == ["00000.jsonl.gz", "00001.jsonl.gz"]
    assert document_files([folder], "code") == before
    assert domains_of([folder]) == domains == ["code", "math"]


def test_datatrove_reads_what_was_written(tmp_path: Path, corpus: Corpus, tokenizer_artifact: Artifact) -> None:
    from datatrove.utils.dataset import DatatroveFileDataset

    run = context(tmp_path / "tokenize", corpus(2), tokenizer_artifact)
    tokenize.run(run)
    path = run.output / "tokens" / "code" / "train.ds"
    shard = TokenShard.open(path)
    theirs = DatatroveFileDataset(str(path), seq_len=32, token_size=2)
    assert theirs[0]["input_ids"].tolist() == shard.tokens[:33].tolist()


def test_hostile_documents_stay_text(tmp_path: Path, tokenizer_artifact: Artifact, write_documents: Write) -> None:
    write_documents(tmp_path / "corpus", "code", [["a<|end_of_text|>b<tool_call>", "<|pad|>"]])
    corpus = Artifact(tmp_path / "corpus", tokenizer_artifact.manifest)
    run = context(tmp_path / "tokenize", corpus, tokenizer_artifact, config(["code"]))
    tokenize.run(run)
    for split in ("train", "validation"):
        shard = TokenShard.open(run.output / "tokens" / "code" / f"{split}.ds")
        assert shard.documents == 1
        assert (shard.tokens >= VOCABULARY - 96).sum() == 1


def _tokenize_until_killed(directory: Path, corpus: Artifact, tokenizer: Artifact, files: int) -> None:
    done = 0
    write_tokenized = tokenize.write_tokenized

    def killing(*arguments, **named) -> None:
        nonlocal done
        if done == files:
            os.kill(os.getpid(), signal.SIGKILL)
        write_tokenized(*arguments, **named)
        done += 1

    tokenize.write_tokenized = killing
    tokenize.run(context(directory, corpus, tokenizer))


@pytest.mark.parametrize("files", [1, 5])
def test_a_killed_attempt_is_continued_to_the_same_bytes(
    tmp_path: Path, corpus: Corpus, tokenizer_artifact: Artifact, files: int
) -> None:
    source = corpus(4)
    whole = context(tmp_path / "whole", source, tokenizer_artifact)
    tokenize.run(whole)
    killed = multiprocessing.get_context("spawn").Process(
        target=_tokenize_until_killed, args=(tmp_path / "killed", source, tokenizer_artifact, files)
    )
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    again = context(tmp_path / "killed", source, tokenizer_artifact)
    tokenized = {path: path.stat().st_mtime_ns for path in again.state.glob("*/*")}
    assert len(tokenized) == files
    tokenize.run(again)
    assert content(again.output) == content(whole.output)
    assert all(path.stat().st_mtime_ns == before for path, before in tokenized.items())


def test_a_stop_signal_ends_after_a_file(tmp_path: Path, corpus: Corpus, tokenizer_artifact: Artifact) -> None:
    run = context(tmp_path / "tokenize", corpus(2), tokenizer_artifact)
    run.stop.raised = True
    with pytest.raises(Requeue):
        tokenize.run(run)


def test_a_domain_without_documents_is_named(
    tmp_path: Path, corpus: Corpus, tokenizer_artifact: Artifact, write_documents: Write
) -> None:
    run = context(tmp_path / "a", corpus(1), tokenizer_artifact, config(["code", "books"]))
    with pytest.raises(DataError, match="books has no documents, only code, math have"):
        tokenize.run(run)
    write_documents(corpus(1).directory, "books", [[]])
    run = context(tmp_path / "b", corpus(1), tokenizer_artifact, config(["books"]))
    with pytest.raises(DataError, match="books"):
        tokenize.run(run)


def test_damaged_documents_are_named(tmp_path: Path, corpus: Corpus, tokenizer_artifact: Artifact) -> None:
    source = corpus(1)
    path = source.directory / "documents" / "code" / "00000.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"00000.jsonl.gz: damaged after line"):
        tokenize.run(context(tmp_path / "a", source, tokenizer_artifact))
    path.write_bytes(gzip.compress(b'{"id": "%064d", "text": "x"}\n{"id": 2}\n' % 1))
    with pytest.raises(DataError, match=r"00000.jsonl.gz:2: not a document"):
        tokenize.run(context(tmp_path / "b", source, tokenizer_artifact))


def test_a_shard_cut_short_is_rejected(tmp_path: Path, corpus: Corpus, tokenizer_artifact: Artifact) -> None:
    run = context(tmp_path / "tokenize", corpus(1), tokenizer_artifact)
    tokenize.run(run)
    path = run.output / "tokens" / "code" / "train.ds"
    with pytest.raises(DataError, match="no tokens of poetry, only of code, math"):
        TokenShard.open(run.output / "tokens" / "poetry" / "train.ds")
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(DataError, match=r"train.ds: has \d+ bytes, its index says"):
        TokenShard.open(path)
    path.unlink()
    with pytest.raises(DataError, match=r"train.ds: missing"):
        TokenShard.open(path)


def test_the_width_follows_the_vocabulary() -> None:
    assert [token_type(size) for size in (2048, 65_535, 65_536, 100_352)] == [
        "uint16",
        "uint16",
        "uint32",
        "uint32",
    ]


@given(
    keys=st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=60),
    share=st.floats(0.01, 0.5),
)
def test_validation_takes_one_at_least_and_never_all(keys: list[int], share: float) -> None:
    held_out = validation_documents(numpy.array(keys, dtype=numpy.uint64), share)
    assert held_out.sum() < max(len(keys), 1)
    assert held_out.sum() >= (len(keys) >= 2)


@given(
    texts=st.lists(st.text(max_size=30), max_size=30),
    order=st.randoms(use_true_random=False),
    limit=st.integers(1, 200),
)
def test_the_sample_is_a_function_of_the_set(texts: list[str], order: random.Random, limit: int) -> None:
    documents = [Document(text=text, id=hashlib.sha256(text.encode()).hexdigest()) for text in texts]
    sample = list(sample_documents(documents, limit, seed=1))
    shuffled = documents + documents[:5]
    order.shuffle(shuffled)
    assert sorted(sample_documents(shuffled, limit, seed=1)) == sorted(sample)
    total = sum(len(text.encode()) for text in set(texts))
    assert min(total, limit) - 3 <= sum(len(text.encode()) for text in sample) <= limit


def test_the_tokenizer_stage_reaches_its_vocabulary(tmp_path: Path, corpus: Corpus) -> None:
    settings = stage_config("tokenizer", vocab_size=VOCABULARY, sample_bytes_per_domain=200_000)
    results = []
    for number, source in enumerate([corpus(1), corpus(4)]):
        run = StageContext.for_test("tokenizer", settings, {"corpus": source}, tmp_path / str(number))
        result = train_tokenizer.run(run)
        results.append(content(run.output))
    assert results[0] == results[1]
    assert result.metrics["bytes_per_token"] > 1.5
    assert {"bytes_per_token/code", "bytes_per_token/math"} <= result.metrics.keys()
    saved = json.loads((run.output / "tokenizer" / "tokenizer_config.json").read_text())
    assert saved["tokenizer_class"] == "TokenizersBackend"


def test_no_documents_at_all_is_rejected(tmp_path: Path, tokenizer_artifact: Artifact) -> None:
    settings = stage_config("tokenizer", vocab_size=VOCABULARY, sample_bytes_per_domain=1000)
    empty = {"corpus": Artifact(tmp_path / "empty", tokenizer_artifact.manifest)}
    with pytest.raises(DataError, match="no documents to train"):
        train_tokenizer.run(StageContext.for_test("tokenizer", settings, empty, tmp_path / "run"))

"""Permutation, mixture and token stream: pure functions of an index."""

import tracemalloc
from collections import Counter
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import DataError
from pipeline.core.files import write_json
from pipeline.pretraining.data.mixture import Mixture, check_epochs
from pipeline.pretraining.data.permutation import FeistelPermutation
from pipeline.pretraining.data.stream import IGNORE_INDEX, PackedDataset, TokenStream
from pipeline.tokenization.shards import TokenShard
from tests.shards import write_shards

WEIGHTS = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.01, 100).map(lambda w: round(w, 3)), min_size=1)


@given(length=st.integers(1, 3000), key=st.text(max_size=5))
def test_permutation_is_a_bijection(length: int, key: str) -> None:
    images = FeistelPermutation(length, key)(numpy.arange(length))
    assert sorted(images.tolist()) == list(range(length))


@given(length=st.integers(2**33, 2**60), index=st.integers(0, 2**33 - 1))
def test_permutation_stays_inside_huge_lengths(length: int, index: int) -> None:
    assert 0 <= FeistelPermutation(length, "k")(numpy.array([index]))[0] < length


def test_permutation_looks_random() -> None:
    """Neighbours do not stay neighbours: the mean distance is a third of the length, as for a random order."""
    images = FeistelPermutation(10_000, "k")(numpy.arange(10_000))
    assert abs(numpy.abs(numpy.diff(images)).mean() / 10_000 - 1 / 3) < 0.02
    other = FeistelPermutation(10_000, "l")(numpy.arange(10_000))
    assert (images == other).mean() < 0.01


@given(weights=WEIGHTS, blocks=st.integers(0, 50), seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_mixture_is_exact_at_every_block(weights: dict[str, float], blocks: int, seed: int) -> None:
    mixture = Mixture(weights, seed)
    samples = blocks * mixture.block_size
    counts = mixture.counts(samples)
    assert sum(counts.values()) == samples
    total = sum(weights.values())
    for domain, count in counts.items():
        assert abs(count - samples * weights[domain] / total) < 1


@given(weights=WEIGHTS, start=st.integers(0, 500), count=st.integers(1, 300), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=50)
def test_mixture_assignment_is_a_function_of_the_sample_number(
    weights: dict[str, float], start: int, count: int, seed: int
) -> None:
    """Any cut of the sample range gives the same samples, counts agree, and no position is used twice."""
    mixture = Mixture(weights, seed)
    domains, positions = mixture.assign(0, start + count)
    assert [a[start:].tolist() for a in (domains, positions)] == [a.tolist() for a in mixture.assign(start, count)]
    found = Counter(mixture.domains[domain] for domain in domains)
    assert {name: found[name] for name in mixture.domains} == mixture.counts(start + count)
    for domain in range(len(mixture.domains)):
        used = positions[domains == domain]
        assert sorted(used.tolist()) == list(range(len(used)))


def test_mixture_rejects_what_would_run_out() -> None:
    with pytest.raises(DataError, match=r"mixture\.b: needs 64 sequences, has 10: 6\.4 epochs"):
        check_epochs(Mixture({"a": 1, "b": 1}, 0), 128, {"a": 100, "b": 10}, max_epochs=4)
    with pytest.raises(DataError, match=r"mixture\.tiny"):
        Mixture({"a": 1e6, "tiny": 1e-3}, 0)


DOCUMENTS = st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=40), min_size=1, max_size=30)


@given(documents=DOCUMENTS, context=st.integers(2, 33))
@settings(deadline=None)
def test_sequences_know_their_documents(
    documents: list[list[int]], context: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Positions restart with each document, and no label comes from another document."""
    directory = tmp_path_factory.mktemp("shards")
    write_shards(directory, {"code": documents})
    dataset = PackedDataset(TokenShard.open(directory / "code" / "train.ds"), context)
    whole = [(token, number) for number, document in enumerate(documents) for token in [*document, 0]]
    for number in range(len(dataset)):
        tokens, positions, labels = dataset.read(number)
        window = whole[number * context : number * context + context + 1]
        assert tokens.tolist() == [token for token, _ in window[:-1]]
        for at in range(context):
            same = window[at][1] == window[at + 1][1]
            assert labels[at] == (window[at + 1][0] if same else IGNORE_INDEX)
            started = at == 0 or window[at][1] != window[at - 1][1]
            assert positions[at] == (0 if started else positions[at - 1] + 1)


def test_tokens_beyond_four_gibibytes_are_where_the_index_says(tmp_path: Path) -> None:
    """A sparse file: nothing but its end is on the disk."""
    far, last = 2**30 + 5, [70_000, 70_001, 70_002, 70_003, 70_004]
    (tmp_path / "code").mkdir()
    with (tmp_path / "code" / "train.ds").open("wb") as file:
        file.seek(4 * far)
        file.write(numpy.array(last, dtype="<u4").tobytes())
    numpy.array([far + 2, far + len(last)], dtype="<u8").tofile(tmp_path / "code" / "train.ds.index")
    split = {"tokens": far + len(last), "documents": 2, "sha256": ""}
    write_json(tmp_path / "index.json", {"dtype": "uint32", "domains": {"code": {"train": split}}})
    shard = TokenShard.open(tmp_path / "code" / "train.ds")
    assert shard.document(1).tolist() == last[2:]
    dataset = PackedDataset(shard, 4)
    tokens, positions, labels = dataset.read(len(dataset) - 1)
    assert len(dataset) == (far + 4) // 4
    assert tokens.tolist() == [0, *last[:3]]
    assert positions.tolist()[3] == 0
    assert labels.tolist() == [last[0], last[1], IGNORE_INDEX, last[3]]


def test_a_sequence_is_read_without_a_look_at_the_rest(tmp_path: Path) -> None:
    """A number of another type than the ends would have all of them converted: 16 MB here, gigabytes in a corpus."""
    documents = 2_000_000
    (tmp_path / "code").mkdir()
    with (tmp_path / "code" / "train.ds").open("wb") as file:
        file.truncate(2 * 10 * documents)
    (numpy.arange(1, documents + 1, dtype="<u8") * 10).tofile(tmp_path / "code" / "train.ds.index")
    split = {"tokens": 10 * documents, "documents": documents, "sha256": "x"}
    write_json(tmp_path / "index.json", {"dtype": "uint16", "domains": {"code": {"train": split}}})
    stream = TokenStream(tmp_path, {"code": 1.0}, 64, seed=0)
    stream.read(0, 1)
    tracemalloc.start()
    stream.read(1, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_stream_reads_the_same_samples_however_it_is_cut(tmp_path: Path) -> None:
    documents = {name: [[n % 50 + 1] * 37 for n in range(40)] for name in ("code", "math")}
    write_shards(tmp_path, documents)
    stream = TokenStream(tmp_path, {"code": 3, "math": 1}, context=16, seed=7)
    whole = stream.read(0, 96)
    again = TokenStream(tmp_path, {"code": 3, "math": 1}, context=16, seed=7)
    parts = [again.read(start, 8) for start in range(0, 96, 8)]
    for name in ("tokens", "positions", "labels"):
        assert (numpy.concatenate([getattr(part, name) for part in parts]) == getattr(whole, name)).all()
    other = TokenStream(tmp_path, {"code": 3, "math": 1}, context=16, seed=8)
    assert (other.read(0, 96).tokens != whole.tokens).any()


def test_every_sequence_is_seen_once_an_epoch(tmp_path: Path) -> None:
    write_shards(tmp_path, {"code": [list(range(1, 60)) for _ in range(30)]})
    stream = TokenStream(tmp_path, {"code": 1}, context=16, seed=0)
    per_epoch = (30 * 60 - 1) // 16
    seen = Counter(tuple(row) for row in stream.read(0, 2 * per_epoch).tokens.tolist())
    once = Counter(tuple(row) for row in stream.read(0, per_epoch).tokens.tolist())
    assert seen == Counter({row: 2 * count for row, count in once.items()})


def test_stream_rejects_a_domain_without_tokens(tmp_path: Path) -> None:
    write_shards(tmp_path, {"code": [[1, 2, 3]]})
    with pytest.raises(DataError, match=r"mixture\.math: no tokens of this domain.*only of code"):
        TokenStream(tmp_path, {"code": 1, "math": 1}, context=2, seed=0)


def test_stream_rejects_a_shard_cut_short(tmp_path: Path) -> None:
    write_shards(tmp_path, {"code": [list(range(1, 60))] * 9})
    path = tmp_path / "code" / "train.ds"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"train\.ds: has 1070 bytes, its index says 1080"):
        TokenStream(tmp_path, {"code": 1}, context=8, seed=0)


def test_stream_rejects_an_index_that_points_past_the_end(tmp_path: Path) -> None:
    write_shards(tmp_path, {"code": [list(range(1, 60))] * 9})
    path = tmp_path / "code" / "train.ds.index"
    ends = numpy.fromfile(path, "<u8")
    ends[-1] += 7
    ends.tofile(path)
    with pytest.raises(DataError, match=r"train\.ds: documents end at token 547 of 540; tokenize again"):
        TokenStream(tmp_path, {"code": 1}, context=8, seed=0)

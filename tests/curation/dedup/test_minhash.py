"""MinHash: the words of datatrove, the curve of theory, groups found whatever is sorted together."""

import random
from pathlib import Path

import numpy
import pytest
from datatrove.pipeline.dedup.minhash import MinhashDedupSignature
from datatrove.utils.text import ngrams, simplify_text
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.core.arrays import write_array
from pipeline.core.config import build
from pipeline.curation.dedup import lsh_buckets
from pipeline.curation.dedup.clusters import DisjointSets
from pipeline.curation.dedup.lsh_buckets import candidate_groups
from pipeline.curation.dedup.minhash import MinHasher
from pipeline.curation.dedup.shingles import ShingleHasher, jaccard, shingle_hasher
from pipeline.curation.recipes.steps.duplicates import MinHash

STEP = build(MinHash, {"step": "minhash"}, "")
STOCK = MinhashDedupSignature("memory://")
PIECES = st.sampled_from(
    ["The", "don't", "U.S.", "3.14", "1,000", "café", "naïve", "e.g.", "(see", "it)", "\n\n", "\t", "—", "中文",
     "2024-11-24", "x=1;", "\"quoted\"", "can't.", "100%", "http://a.b/c?d=e",
     "İstanbul", "ﬁne", "a\u0301", "\u00a0", "#1", "..."]
)  # fmt: skip


def stock_n_grams(text: str, n: int) -> set[tuple[str, ...]]:
    """The different n-grams that datatrove hashes."""
    return set(ngrams(STOCK.word_tokenizer.word_tokenize(simplify_text(text)), n))


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.lists(PIECES, max_size=30).map(" ".join), st.text(max_size=80)))
@example("1, 2, 3 and 1 | 2")
def test_a_text_has_the_shingles_of_datatrove(text: str) -> None:
    # As many different ones, and the same in common with another text.
    assert len(ShingleHasher("eng", 2)(text)) == len(stock_n_grams(text, 2))


def test_texts_have_in_common_what_datatrove_says() -> None:
    draw = random.Random(0)
    words = ["The", "U.S.", "isn't", "3.5", "far,", "from", "(here)", "and", "it's", "NEAR", "café"]
    for _ in range(200):
        one, other = (" ".join(draw.choices(words, k=40)) for _ in range(2))
        shingles = shingle_hasher("eng", 2)
        both = numpy.intersect1d(shingles(one), shingles(other), assume_unique=True)
        assert len(both) == len(stock_n_grams(one, 2) & stock_n_grams(other, 2))


def test_numbers_are_alike_unless_they_count() -> None:
    one, other = "What do 12 pens for 3.50 each cost?", "What do 7 pens for 1.25 each cost?"
    assert jaccard(ShingleHasher("eng", 2)(one), ShingleHasher("eng", 2)(other)) == 1
    apart = ShingleHasher("eng", 2, numbers_alike=False)
    assert 0 < jaccard(apart(one), apart(other)) < 1


@pytest.mark.parametrize("language", ["deu", "fra"])
def test_other_languages_have_the_words_of_their_tokenizer(language: str) -> None:
    text = {"deu": "Der Hund und die Katze, der Hund.", "fra": "L'ami d'un chien qu'il n'a pas."}[language]
    stock = MinhashDedupSignature("memory://", language=language)
    expected = set(ngrams(stock.word_tokenizer.word_tokenize(simplify_text(text)), 2))
    assert len(ShingleHasher(language, 2)(text)) == len(expected)


def pair(draw: numpy.random.Generator, similarity: float, union: int = 400) -> tuple[numpy.ndarray, numpy.ndarray]:
    """Two sets of shingles with a Jaccard similarity."""
    values = numpy.unique(draw.integers(0, 2**64, union, numpy.uint64))
    draw.shuffle(values)
    both = round(similarity * len(values))
    half = both + (len(values) - both) // 2
    return values[:half], numpy.concatenate([values[:both], values[half:]])


@pytest.mark.parametrize("similarity", [0.5, 0.6, 0.7, 0.75, 0.8, 0.9])
@pytest.mark.parametrize(("buckets", "hashes"), [(14, 8), (9, 13)])
def test_candidates_follow_the_curve(similarity: float, buckets: int, hashes: int) -> None:
    """Within four standard deviations of 1 - (1 - s^r)^b."""
    minhasher = MinHasher(build(MinHash, {"step": "minhash", "buckets": buckets, "hashes_per_bucket": hashes}, ""))
    draw, trials = numpy.random.default_rng(buckets), 400
    found = 0
    for _ in range(trials):
        one, other = pair(draw, similarity)
        found += bool((minhasher(one) == minhasher(other)).any())
    expected = 1 - (1 - similarity**hashes) ** buckets
    deviation = max((expected * (1 - expected) / trials) ** 0.5, 1 / trials)
    assert abs(found / trials - expected) <= 4 * deviation


def test_minima_estimate_the_similarity() -> None:
    minhasher = MinHasher(STEP)
    draw = numpy.random.default_rng(0)
    for similarity in (0.2, 0.5, 0.8):
        equal = [
            numpy.mean(minhasher.minima(a) == minhasher.minima(b))
            for a, b in (pair(draw, similarity) for _ in range(60))
        ]
        assert numpy.mean(equal) == pytest.approx(similarity, abs=0.03)


def test_a_text_without_shingles_is_like_no_other(tmp_path: Path) -> None:
    nothing = MinHasher(STEP)(numpy.empty(0, numpy.uint64))
    write_array(tmp_path / "a.npy", numpy.array([nothing, nothing]).T)
    indices, sizes = candidate_groups([tmp_path / "a.npy"], 0)
    assert len(indices) == len(sizes) == 0


@settings(deadline=None)
@given(
    numbers=st.lists(
        st.lists(st.integers(0, 9).map(lambda n: n * 0x1999999999999999), max_size=12), min_size=1, max_size=4
    ),
    at_once=st.integers(1, 30),
)
def test_groups_do_not_depend_on_what_is_sorted_together(numbers: list[list[int]], at_once: int) -> None:
    import tempfile

    flat = [number for shard in numbers for number in shard]
    expected = {
        tuple(place for place, other in enumerate(flat) if other == number)
        for number in flat
        if number and flat.count(number) > 1
    }
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lsh_buckets, "MAX_DOCUMENTS_SORTED", at_once)
        paths = [Path(folder) / f"{index}.npy" for index in range(len(numbers))]
        for path, shard in zip(paths, numbers, strict=True):
            write_array(path, numpy.array([shard], numpy.uint64).reshape(1, -1))
        indices, sizes = candidate_groups(paths, 0)
    ends = numpy.cumsum(sizes)
    assert {tuple(indices[end - size : end].tolist()) for end, size in zip(ends, sizes, strict=True)} == expected


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=40))
def test_clusters_are_the_connected_components(pairs: list[tuple[int, int]]) -> None:
    joined = DisjointSets(21)
    sets = [{number} for number in range(21)]
    for one, other in pairs:
        joined.union(one, other)
        merged = sets[one] | sets[other]
        for member in merged:
            sets[member] = merged
    assert joined.roots().tolist() == [min(each) for each in sets]

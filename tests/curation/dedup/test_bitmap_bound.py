"""Representatives that a document may be similar to: none that it is similar to is left out, few others are in."""

import numpy
from hypothesis import given
from hypothesis import strategies as st

from pipeline.curation.dedup.bitmap_bound import BLOCK_SIZE, Representatives
from pipeline.curation.dedup.shingles import jaccard

SETS = st.lists(st.frozensets(st.integers(0, 300), max_size=40), min_size=1, max_size=30)


def representatives_of(shingles: list[numpy.ndarray], characters: int, minimum: float) -> Representatives:
    representatives = Representatives(shingles.__getitem__, characters, minimum)
    for number in range(len(shingles) - 1):
        representatives.append(number)
    return representatives


@given(sets=SETS, characters=st.integers(0, 1000), minimum=st.sampled_from([0.01, 0.3, 0.5, 0.75, 1.0]))
def test_none_that_is_similar_is_left_out(sets: list[frozenset[int]], characters: int, minimum: float) -> None:
    shingles = [numpy.array(sorted(each), numpy.uint64) for each in sets]
    found = list(representatives_of(shingles, characters, minimum).possible_matches(len(sets) - 1))
    assert found == sorted(set(found))
    like = [number for number in range(len(sets) - 1) if jaccard(shingles[number], shingles[-1]) >= minimum]
    assert set(like) <= set(found)


def test_pages_of_a_template_are_told_apart_without_their_shingles() -> None:
    """Similarities are .70 but for one page in the middle, at the threshold of .75."""
    draw = numpy.random.default_rng(0)
    template = draw.integers(0, 2**63, 412, numpy.uint64)
    pages = [numpy.concatenate([template, draw.integers(0, 2**63, 88, numpy.uint64)]) for _ in range(2 * BLOCK_SIZE)]
    like = BLOCK_SIZE + 5
    pages[like][:429] = pages[-1][:429]
    found = list(representatives_of([numpy.sort(page) for page in pages], 3000, 0.75).possible_matches(len(pages) - 1))
    assert like in found
    assert len(found) < 0.02 * len(pages), len(found)

"""Near duplicates: MinHash signatures and buckets by datatrove, then every candidate's true similarity.

A common bucket makes candidates, not duplicates. In each bucket the longest document leads (of equals, the
one with the smallest id); a candidate at least `minimum_jaccard` like a leader joins it, another becomes a
leader.
Documents joined through any bucket are one cluster, of which the first in that order stays.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig

from pipeline.curation.documents import read_documents
from pipeline.curation.ledger import Ledger
from pipeline.curation.recipe_steps import MinHash
from pipeline.curation.rules.rule import Removal
from pipeline.curation.words import make_fast

PAIR = struct.Struct("<4I")
"""datatrove's record of a pair: shard and place of the one, shard and place of the other."""
CACHED_SHINGLES = 512
"""Documents whose n-grams are kept in memory while candidates are compared."""


def _config(step: MinHash) -> MinhashConfig:
    return MinhashConfig(
        n_grams=step.n_grams,
        num_buckets=step.buckets,
        hashes_per_bucket=step.hashes_per_bucket,
        hash_config=HashConfig(precision=64),
    )


def sign(stream: Iterable[Document], step: MinHash, folder: Path, shard: int) -> None:
    """Writes the signatures of a shard's documents, one file per bucket."""
    make_fast(step.language)
    MinhashDedupSignature(str(folder), config=_config(step), language=step.language).run(iter(stream), rank=shard)


def find_pairs(signatures: Path, step: MinHash, folder: Path, bucket: int) -> None:
    """Writes neighbours with equal signatures in a bucket: a chain through all that are equal."""
    finder = MinhashDedupBuckets(str(signatures), str(folder), config=_config(step))
    finder.run(None, rank=bucket, world_size=step.buckets)


class _Clusters:
    """Disjoint sets whose representative is the smallest member."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}

    def find(self, member: int) -> int:
        """The smallest member of a set."""
        root = member
        while (above := self.parent.get(root, root)) != root:
            root = above
        while self.parent.get(member, member) != root:
            self.parent[member], member = root, self.parent[member]
        return root

    def join(self, one: int, other: int) -> None:
        """Makes two sets one."""
        low, high = sorted((self.find(one), self.find(other)))
        self.parent[high] = low


def without(shards: Sequence[Path], pairs: Path, step: MinHash, ledger: Ledger) -> Iterator[Document]:
    """The documents of all shards but near duplicates, in the order of their ids.

    The value in a removed document's row is its highest similarity to another of its cluster.
    """
    make_fast(step.language)
    groups = _groups(pairs)
    candidates = {place for group in groups for place in group}
    texts = {place: document for place, document in _placed(shards) if place in candidates}
    ranking = sorted(texts, key=lambda place: (-len(texts[place].text), str(texts[place].id)))
    rank = {place: number for number, place in enumerate(ranking)}
    shingler = MinhashDedupSignature("memory://", config=_config(step), language=step.language)

    @lru_cache(maxsize=CACHED_SHINGLES)
    def shingles(number: int) -> frozenset[int]:
        return frozenset(shingler.get_shingles(texts[ranking[number]].text).ravel().tolist())

    clusters = _Clusters()
    similarity: dict[int, float] = {}
    for group in groups:
        leaders: list[int] = []
        for number in sorted(rank[place] for place in group):
            for leader in leaders:
                value = jaccard(shingles(leader), shingles(number))
                if value >= step.minimum_jaccard:
                    clusters.join(leader, number)
                    for member in (leader, number):
                        similarity[member] = max(value, similarity.get(member, 0.0))
                    break
            else:
                leaders.append(number)
    for place, document in _placed(shards):
        number = rank.get(place)
        first = number if number is None else clusters.find(number)
        if first == number:
            ledger.keep(step.step, len(document.text), len(document.text))
            yield document
            continue
        assert first is not None
        assert number is not None
        removal = Removal(
            reason="near_duplicate",
            value=round(similarity[number], 4),
            threshold=step.minimum_jaccard,
            duplicate_of=str(texts[ranking[first]].id),
        )
        ledger.remove(step.step, document, removal)


def jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    """Size of the intersection over size of the union, 0 for two empty sets."""
    both = len(one & other)
    union = len(one) + len(other) - both
    return both / union if union else 0.0


def _placed(shards: Sequence[Path]) -> Iterator[tuple[tuple[int, int], Document]]:
    for shard, path in enumerate(shards):
        for place, document in enumerate(read_documents(path)):
            yield (shard, place), document


def _groups(pairs: Path) -> list[list[tuple[int, int]]]:
    """The documents with equal signatures, bucket by bucket."""
    groups: list[list[tuple[int, int]]] = []
    for path in sorted(pairs.glob("*.dups")):
        records = PAIR.iter_unpack(path.read_bytes())
        # Neighbours come in the order of the signatures: a pair that begins where the last one ended is of
        # the same signature.
        previous: tuple[int, int] | None = None
        for (shard, place), other in (((a, b), (c, d)) for a, b, c, d in records):
            if (shard, place) != previous:
                groups.append([(shard, place)])
            groups[-1].append(other)
            previous = other
    return [list(group) for group in dict.fromkeys(map(tuple, groups))]

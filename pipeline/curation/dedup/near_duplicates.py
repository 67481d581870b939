"""Removes near duplicates: of each cluster of similar documents one stays, and remembers how many it stands for.

Agreement in a MinHash bucket makes candidates, not duplicates; the true Jaccard similarity of their shingles decides.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy
from datatrove.data import Document

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.dedup.clusters import cluster
from pipeline.curation.dedup.lsh_buckets import candidates, read_candidate_groups
from pipeline.curation.dedup.shingles import shingle_hasher
from pipeline.curation.dedup.text_store import TextStore, enumerate_documents
from pipeline.curation.recipes.steps.duplicates import MinHash

CLUSTER_SIZE = "minhash_cluster_size"
"""Metadata of a kept document: how many documents it stands for, itself among them, for up-sampling (FineWeb-2)."""
CACHED_SHINGLES = 512
"""Documents whose shingles are kept in memory while candidates are compared."""


def remove_near_duplicates(
    shards: Sequence[Path],
    own: int,
    previous: Sequence[Path],
    groups: Path,
    work: Path,
    step: MinHash,
    audit: AuditLog,
    keep_first: bool = False,
) -> Iterator[Document]:
    """Yields the documents of a domain that stay, in the order of their ids, and writes down those that go.

    Candidates are numbered by preference: documents of previous runs first, since they stay in any case, then the
    longest, then those with the smallest id. Clustering in that order makes the first of each cluster the one that
    stays. A removed document's row has its highest similarity to another of its cluster, and the id of the one that
    stays; whether that is of a previous run makes the reason.

    Args:
        shards: files of the domain's documents, in the order of their ids.
        own: how many those are.
        previous: files of previous runs' documents, whose indices follow those of the shards.
        groups: folder of the candidate groups of all buckets.
        work: folder for the candidates' texts, on a local disk if there is one.
        step: its `minimum_jaccard`, language and length of shingles.
        audit: takes down what is kept and removed.
        keep_first: of a cluster the first document of the shards stays, instead of the longest.

    Memory: some 200 bytes for each candidate, the shingles of 512 of them, a bitmap for each representative of the
    largest group.
    """
    indices = candidates(groups)
    texts = TextStore(work, indices, enumerate_documents([*shards, *previous]))
    # Stable: of equal length the smallest id is first, which is the order of indices.
    lengths = numpy.zeros_like(texts.characters) if keep_first else -texts.characters
    by_preference = numpy.lexsort((lengths, indices < own))
    preference = numpy.empty_like(by_preference)
    preference[by_preference] = numpy.arange(len(by_preference))
    shingles = shingle_hasher(step.language, step.n_grams, step.numbers_alike)

    @lru_cache(maxsize=CACHED_SHINGLES)
    def shingles_at(number: int) -> numpy.ndarray:
        return shingles(texts.text(int(by_preference[number])))

    representatives, similarity = cluster(
        (preference[numpy.searchsorted(indices, group)] for group in read_candidate_groups(groups)),
        texts.characters[by_preference],
        shingles_at,
        step.minimum_jaccard,
    )
    is_own = indices[by_preference] < own
    sizes = numpy.bincount(representatives, weights=is_own, minlength=len(indices)).astype(int)
    candidate = 0
    for index, document in enumerate_documents(shards):
        if candidate == len(indices) or indices[candidate] != index:
            document.metadata[CLUSTER_SIZE] = 1
        else:
            number = int(preference[candidate])
            candidate += 1
            representative = int(representatives[number])
            if representative != number:
                removal = Removal(
                    reason="near_duplicate" if is_own[representative] else "near_duplicate_of_earlier_run",
                    value=round(float(similarity[number]), 4),
                    threshold=step.minimum_jaccard,
                    duplicate_of=texts.document_id(int(by_preference[representative])),
                )
                audit.remove(step.step, document, removal)
                continue
            document.metadata[CLUSTER_SIZE] = int(sizes[number])
        audit.keep(step.step, len(document.text), len(document.text))
        yield document

"""A bounded random sample of documents that does not depend on how the corpus is cut into files."""

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path

from datatrove.data import Document

from pipeline.tokenization.document_ids import keyed_hash64


def sample_documents(documents: Iterable[Document], byte_limit: int, seed: int) -> Iterator[str]:
    """Texts of the documents whose seeded hash is smallest, up to `byte_limit` bytes of UTF-8 in all.

    The result is a function of the set of documents alone: neither order, nor files, nor repeats change it.
    The last text is cut where the limit falls. Memory: about twice the limit.
    """
    heap: list[tuple[int, str, bytes]] = []
    kept: set[str] = set()
    size = 0
    for document in documents:
        if document.id in kept or not document.text:
            continue
        text = document.text.encode()[:byte_limit]
        key = keyed_hash64("tokenizer-sample", f"{seed}/{document.id}")
        # heapq keeps the smallest entry on top; with the sign turned that is the largest hash, the first to go.
        heapq.heappush(heap, (-key, document.id, text))
        kept.add(document.id)
        size += len(text)
        while size - len(heap[0][2]) >= byte_limit:
            _, dropped, text = heapq.heappop(heap)
            kept.remove(dropped)
            size -= len(text)
    left = byte_limit
    for _, _, text in sorted(heap, reverse=True):
        yield text[:left].decode(errors="ignore")
        left -= min(left, len(text))


def choose_files(files: Iterable[Path], limit: int, seed: int) -> list[Path]:
    """At most `limit` of the document files: those with the smallest seeded hash of stage and file name."""

    def key(file: Path) -> int:
        return keyed_hash64("tokenizer-files", f"{seed}/{file.parents[2].name}/{file.name}")

    return sorted(files, key=key)[:limit]

"""A bounded random sample of documents that does not depend on how the corpus is cut into files."""

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.tokenization.documents import SourceDocument, hash64


def sample_documents(documents: Iterable[SourceDocument], byte_limit: int, seed: int) -> Iterator[str]:
    """Texts of the documents whose seeded hash is smallest, up to `byte_limit` bytes of UTF-8 in all.

    The result is a function of the set of documents alone: neither order, nor files, nor repeats change it.
    The last text is cut where the limit falls. Memory: about twice the limit.
    """
    heap: list[tuple[int, str, bytes]] = []
    held: set[str] = set()
    size = 0
    for document in documents:
        if document.identity in held or not document.text:
            continue
        text = document.text.encode()[:byte_limit]
        key = hash64("tokenizer-sample", f"{seed}/{document.identity}")
        heapq.heappush(heap, (-key, document.identity, text))
        held.add(document.identity)
        size += len(text)
        while size - len(heap[0][2]) >= byte_limit:
            _, dropped, text = heapq.heappop(heap)
            held.remove(dropped)
            size -= len(text)
    left = byte_limit
    for _, _, text in sorted(heap, reverse=True):
        yield text[:left].decode(errors="ignore")
        left -= min(left, len(text))


def choose_files(files: Iterable[Path], limit: int, seed: int) -> list[Path]:
    """At most `limit` of the document files: those with the smallest seeded hash of stage and file name."""

    def key(file: Path) -> int:
        return hash64("tokenizer-files", f"{seed}/{file.parents[2].name}/{file.name}")

    return sorted(files, key=key)[:limit]

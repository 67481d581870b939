"""The language reference that `help()` shows, as chapters: topics that belong together, assembled whole."""

from collections.abc import Iterator
from pydoc_data.topics import topics

from pipeline.curation.readers.embedded.text import EmbeddedText
from pipeline.curation.readers.sources import EmbeddedSource

TOPICS_PER_CHAPTER = 4


def units(source: EmbeddedSource) -> list[str]:
    """Chapters, by their first topic."""
    return sorted(topics)[::TOPICS_PER_CHAPTER][: source.limit]


def read(source: EmbeddedSource, names: list[str]) -> Iterator[EmbeddedText]:
    """One text per chapter."""
    ordered = sorted(topics)
    for name in names:
        first = ordered.index(name)
        chapter = ordered[first : first + TOPICS_PER_CHAPTER]
        yield EmbeddedText(origin=f"topics/{name}", text="\n\n\n".join(topics[each].strip() for each in chapter))

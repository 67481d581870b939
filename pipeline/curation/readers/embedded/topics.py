"""Generator of chapters of the Python language reference, from the topics that `help()` shows."""

from collections.abc import Iterator
from pydoc_data.topics import topics

from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.sources import EmbeddedSource

TOPICS_PER_CHAPTER = 4
"""A chapter has so many topics, neighbors in alphabetical order."""


def list_items(source: EmbeddedSource) -> list[str]:
    """Names of chapters: the first topic of each."""
    return sorted(topics)[::TOPICS_PER_CHAPTER][: source.limit]


def read(source: EmbeddedSource, items: list[str]) -> Iterator[EmbeddedText]:
    """Yields a text for each chapter, with its topics one after the other."""
    ordered = sorted(topics)
    for name in items:
        first = ordered.index(name)
        chapter = ordered[first : first + TOPICS_PER_CHAPTER]
        yield EmbeddedText(origin=f"topics/{name}", text="\n\n\n".join(topics[each].strip() for each in chapter))

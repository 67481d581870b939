"""Long documents of code: all modules of one package, each after a line with its name."""

from collections.abc import Iterator

from pipeline.curation.readers.embedded.packages import python_files, text_of
from pipeline.curation.readers.embedded.text import EmbeddedText
from pipeline.curation.readers.sources import EmbeddedSource


def units(source: EmbeddedSource) -> list[str]:
    """Names of packages; a limit on bytes leaves out those that do not fit."""
    chosen: list[str] = []
    size = 0
    for package in source.packages[: source.limit]:
        length = sum(path.stat().st_size for path in python_files(package).values())
        if source.max_bytes is None or size + length <= source.max_bytes:
            size += length
            chosen.append(package)
    return chosen


def read(source: EmbeddedSource, names: list[str]) -> Iterator[EmbeddedText]:
    """One text per package."""
    for package in names:
        modules = [f"# {name}\n{text_of(path).strip()}\n" for name, path in python_files(package).items()]
        yield EmbeddedText(origin=package, text="\n\n".join(modules))

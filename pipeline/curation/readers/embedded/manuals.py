"""Generator of long prose: all docstrings of the modules in a folder, in the order of the files."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.embedded.docstrings import MINIMUM_CHARACTERS, docstrings_of
from pipeline.curation.readers.embedded.packages import module_name, python_files, shuffled
from pipeline.curation.readers.sources import EmbeddedSource


def list_items(source: EmbeddedSource) -> list[str]:
    """Names of the folders of the packages, in shuffled order."""
    folders = {str(PurePosixPath(name).parent) for package in source.packages for name in python_files(package)}
    return shuffled(sorted(folders), source.seed)[: source.limit]


def read(source: EmbeddedSource, items: list[str]) -> Iterator[EmbeddedText]:
    """Yields a manual for each folder: a chapter for each module, a section for each longer docstring."""
    files = {name: path for package in source.packages for name, path in python_files(package).items()}
    for folder in items:
        chapters = []
        for name, path in files.items():
            if str(PurePosixPath(name).parent) != folder:
                continue
            module = module_name(name)
            entries = [each for each in docstrings_of(path, module) if len(each[1]) >= MINIMUM_CHARACTERS]
            sections = [f"{title}\n\n{documentation}" for title, documentation in entries]
            if sections:
                chapters.append(f"{module}\n{'=' * len(module)}\n\n" + "\n\n".join(sections))
        yield EmbeddedText(origin=folder, text="\n\n\n".join(chapters))

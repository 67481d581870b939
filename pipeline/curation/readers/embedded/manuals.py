"""Long documents of prose: everything that the modules of one folder document, in the order of the files."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from pipeline.curation.readers.embedded.docstrings import MINIMUM_CHARACTERS, documentation_of
from pipeline.curation.readers.embedded.packages import module_name, python_files, shuffled
from pipeline.curation.readers.embedded.text import EmbeddedText
from pipeline.curation.readers.sources import EmbeddedSource


def units(source: EmbeddedSource) -> list[str]:
    """Names of the folders of the packages."""
    folders = {str(PurePosixPath(name).parent) for package in source.packages for name in python_files(package)}
    return shuffled(sorted(folders), source.seed)[: source.limit]


def read(source: EmbeddedSource, names: list[str]) -> Iterator[EmbeddedText]:
    """One manual per folder."""
    files = {name: path for package in source.packages for name, path in python_files(package).items()}
    for folder in names:
        chapters = []
        for name, path in files.items():
            if str(PurePosixPath(name).parent) != folder:
                continue
            module = module_name(name)
            entries = [each for each in documentation_of(path, module) if len(each[1]) >= MINIMUM_CHARACTERS]
            sections = [f"{title}\n\n{documentation}" for title, documentation in entries]
            if sections:
                chapters.append(f"{module}\n{'=' * len(module)}\n\n" + "\n\n".join(sections))
        yield EmbeddedText(origin=folder, text="\n\n\n".join(chapters))

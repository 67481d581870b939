"""The step that joins the files of a repository into one document."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import NonNegativeInt, PositiveInt

from pipeline.curation.recipes.steps.base import Scope, Step


@dataclass(frozen=True, kw_only=True)
class PackRepositories(Step):
    """Joins the files of a repository into one document, ordered by path, each file after a line that names it.

    It runs after deduplication, which compares single files. A later run that names this one in `against` compares
    its files with whole repositories.
    """

    scope: ClassVar[Scope] = "domain"
    step: Literal["pack_repositories"]
    repository_key: str = "repository"
    """Metadata key with the repository's name (starcoderdata: max_stars_repo_name). A document without it is kept as it
    is."""
    path_key: str = "path"
    """Metadata key with the file's path in the repository (starcoderdata: max_stars_repo_path)."""
    header: str = "# {path}"
    """Line before each file; `{path}` becomes the file's path."""
    maximum_characters: PositiveInt = 4_000_000
    """Characters of a document from which the repository continues in another one."""
    minimum_characters: NonNegativeInt = 0
    """Characters that a packed document must have; shorter ones are removed."""
    buckets: PositiveInt = 64
    """Parts on disk that files are divided into by repository. One part at a time is in memory."""

    def __post_init__(self) -> None:
        if "{path}" not in self.header:
            raise ValueError(f"header is {self.header}, it must hold {{path}}")

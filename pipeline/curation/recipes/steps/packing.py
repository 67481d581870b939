"""The step that makes one document of many."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.curation.recipes.steps.scope import Scope


@dataclass(frozen=True, kw_only=True)
class PackRepositories:
    """Makes one document of the files of a repository, in the order of their paths, each after a line with its path.

    Comes after deduplication, which compares files. A later run with this one in `against` meets whole repositories.
    """

    scope: ClassVar[Scope] = "domain"
    step: Literal["pack_repositories"]
    repository_key: str = "repository"
    """Metadata with the repository's name (starcoderdata: max_stars_repo_name). A document without it stays alone."""
    path_key: str = "path"
    """Metadata with the file's path in it (starcoderdata: max_stars_repo_path)."""
    header: str = "# {path}"
    """Line before each file."""
    maximum_characters: int = 4_000_000
    """Characters from which a repository goes on in another document."""
    minimum_characters: int = 0
    """Characters that a document must have at last: shorter repositories go."""
    buckets: int = 64
    """Parts on the disk that files are divided into by repository, one of which is in memory."""

    def __post_init__(self) -> None:
        for name in ("maximum_characters", "buckets"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, set 1 or more")
        if "{path}" not in self.header:
            raise ValueError(f"header is {self.header}, it must hold {{path}}")

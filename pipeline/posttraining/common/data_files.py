"""Files of one's own with conversations, preferences or prompts: settings, a fingerprint of what they hold, their rows.

A row is a JSON object. What its keys may be is said where the rows are used: `data.shapes`.
"""

from __future__ import annotations

import gzip
import itertools
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, TypeVar

import orjson
from pydantic import BeforeValidator, NonNegativeFloat

from pipeline.core.errors import DataError
from pipeline.core.files import files_below, sha256_of
from pipeline.core.hub import dataset_trouble
from pipeline.core.installation import locate
from pipeline.posttraining.common.row_recipes import (
    RowSource,
    describe_recipe,
    load_row_recipe,
    missing_datasets,
)

FORMATS = (".jsonl", ".jsonl.gz", ".json", ".parquet")
_BLANK = object()
_COMMIT = re.compile(r"[0-9a-f]{40}")
ReadT = TypeVar("ReadT")
Place = tuple[str, int]
"""A row's file and its number, from 1."""
SetAside = list[dict[str, Any]]
"""A row for each row of a file that was set aside: `file`, `row` (from 1) and `reason`; `recipe` where one names it."""


class RowError(ValueError):
    """A row that cannot be used; the message says what is wrong and what to do, without the row's place."""


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """A file of rows, or a dataset of the Hugging Face hub; one of `path` and `dataset` is set."""

    path: str | None = None
    """JSON lines (plain or gzip), a JSON list of objects, or Parquet. A relative path is taken from the working
    directory."""
    dataset: str | None = None
    """`owner/name` on the hub, or a local folder with files that `datasets` reads."""
    subset: str | None = None
    """Configuration of the dataset, as the hub calls it."""
    split: str = "train"
    """Split of the dataset."""
    revision: str | None = None
    """Commit of the dataset on the hub, 40 characters: a branch may change its rows under the same name."""
    on_bad_row: Literal["refuse", "set_aside"] = "refuse"
    """What follows from a row that cannot be used: an error that names it, or a line in `quarantine.jsonl` of the stage
    that reads it, which counts such lines and goes on with the others."""

    def __post_init__(self) -> None:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("set one of path and dataset")
        if self.path is not None and not PurePath(self.path).name.endswith(FORMATS):
            raise ValueError(f"path is {self.path}, set a file named {', '.join(FORMATS)}")
        if self.dataset is not None and not Path(self.dataset).is_dir() and not _COMMIT.fullmatch(self.revision or ""):
            raise ValueError(
                f"dataset is {self.dataset}, no folder here; for one of the hub set revision to its commit of 40 "
                "characters"
            )

    @property
    def name(self) -> str:
        """What logs and errors call it: the path, or the dataset."""
        return self.path or str(self.dataset)

    def describe(self) -> dict[str, Any]:
        """What identifies its rows, for a fingerprint: hashes of local files, or what the hub knows a commit by.

        Raises:
            DataError: for a file that is not there.
        """
        if self.path is not None:
            self._check_exists(self.path)
            return {"file": PurePath(self.path).name, "sha256": sha256_of(Path(self.path))}
        folder = Path(str(self.dataset))
        rows = {"subset": self.subset, "split": self.split}
        if folder.is_dir():
            return {**rows, "files": {str(each.relative_to(folder)): sha256_of(each) for each in files_below(folder)}}
        return {**rows, "dataset": self.dataset, "revision": self.revision}

    @staticmethod
    def _check_exists(path: str) -> None:
        if Path(path).is_dir():
            raise DataError(f"{path}: a folder, name one of its files")
        if not Path(path).is_file():
            raise DataError(f"{path}: no such file in {Path.cwd()}, name one that is there")

    def read(self, read: Callable[[dict[str, Any]], ReadT], aside: SetAside) -> Iterator[tuple[Place, ReadT]]:
        """What `read` makes of each row, with the row's place.

        Args:
            read: refuses a row by a RowError.
            aside: takes the rows that are set aside.

        Raises:
            DataError: for a file that is not there, or cannot be read, with the row at which reading ended; for a row
                that cannot be used, with its place, if `on_bad_row` is `refuse`.
        """
        for place, row in self._placed():
            try:
                if isinstance(row, RowError):
                    raise row
                if not isinstance(row, dict):
                    raise RowError("not a JSON object, correct or remove it")
                value = read(row)
            except RowError as error:
                self.refuse(place, str(error), aside)
                continue
            yield place, value

    def refuse(self, place: Place, reason: str, aside: SetAside) -> None:
        """Sets a row aside that `read`, or whoever used it later, found of no use.

        Raises:
            DataError: if `on_bad_row` is `refuse`.
        """
        if self.on_bad_row == "refuse":
            key = "dataset" if self.path is None else "path"
            raise DataError(
                f"{place[0]}: row {place[1]}: {reason}; or leave such rows out: "
                f"{{{key}: {self.name}, on_bad_row: set_aside}}"
            )
        aside.append({"file": place[0], "row": place[1], "reason": reason})

    def _placed(self) -> Iterator[tuple[Place, Any]]:
        """Each row with its place: an object, what stands there in place of one, or the RowError of what is no row."""
        if self.path is not None:
            self._check_exists(self.path)
        rows = self._dataset_rows() if self.path is None else _file_rows(Path(self.path))
        number = 0
        try:
            for number, row in enumerate(rows, start=1):
                if row is not _BLANK:
                    yield (self.name, number), row
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise DataError(
                f"{self.name}: row {number + 1}: cannot be read ({' '.join(str(error).split())}), correct or remove it"
            ) from error

    def _dataset_rows(self) -> Iterator[Any]:
        from datasets import load_dataset

        try:
            yield from load_dataset(
                str(self.dataset), self.subset, split=self.split, revision=self.revision, streaming=True
            )
        except Exception as error:
            # A missing dataset or split, a network that does not answer, a damaged file: each its own class.
            trouble = dataset_trouble(error, str(self.dataset), self.revision)
            raise DataError(
                f"dataset={self.dataset}: cannot be read: {trouble}; or set dataset, subset, split and revision to "
                "what the hub has"
            ) from error


def _file_rows(path: Path) -> Iterator[Any]:
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        try:
            for batch in parquet.ParquetFile(path).iter_batches(batch_size=256):
                yield from batch.to_pylist()
        except pyarrow.ArrowException as error:
            raise ValueError(str(error)) from error
    elif path.suffix == ".json":
        whole = orjson.loads(path.read_bytes())
        yield from whole if isinstance(whole, list) else [whole]
    else:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                # An empty line is no row, but counted, so that numbers are those of an editor.
                yield _parsed(line) if line.strip() else _BLANK


def _parsed(line: bytes) -> Any:
    """The row of a line, or why it is none: the lines after it can be read all the same."""
    try:
        return orjson.loads(line)
    except ValueError as error:
        return RowError(f"cannot be read ({' '.join(str(error).split())}), correct or remove it")


def say_aside(aside: SetAside) -> list[str]:
    """What a plan or a log says of rows that were set aside: how many of each file or recipe, and the first."""
    first: dict[str, dict[str, Any]] = {}
    counts = Counter[str]()
    for row in aside:
        name = row.get("recipe", row["file"])
        first.setdefault(name, row)
        counts[name] += 1
    return [
        f"{name}: {counts[name]:,} rows set aside, the first is "
        f"{row['file'] + ': ' if name != row['file'] else ''}row {row['row']}: {row['reason']}"
        for name, row in first.items()
    ]


@dataclass(frozen=True, kw_only=True)
class PromptFile(DataFile):
    """Prompts for RL, each with an answer and the verifier that holds completions against it."""

    weight: NonNegativeFloat = 1.0
    """Share of the file in the mixture of prompts, relative to the weights of domains and other files."""
    verifier: str | None = None
    """Verifier of the rows that name none."""
    recipe: str | None = field(default=None, metadata={"fingerprint": False})
    """A recipe in place of path and dataset, such as `data_recipes/posttraining/granite/prompts/math.yaml`: the prompts
    of all its sources together."""

    def __post_init__(self) -> None:
        if self.recipe is None:
            super().__post_init__()
        elif self.path is not None or self.dataset is not None:
            raise ValueError("set one of recipe, path and dataset")

    @property
    def name(self) -> str:
        """What logs and errors call it: the recipe, the path, or the dataset."""
        return self.recipe or super().name

    @cached_property
    def sources(self) -> list[RowSource]:
        """The sources of the recipe; none without one.

        Raises:
            RecipeError: for a recipe that cannot be used.
        """
        return load_row_recipe(locate(Path(self.recipe)))[1] if self.recipe is not None else []

    @property
    def missing(self) -> list[str]:
        """The data sets of the hub that the recipe names and that are not on this machine."""
        return missing_datasets(self.sources)

    def refuse(self, place: Place, reason: str, aside: SetAside) -> None:
        """Sets a row aside that cannot be used; one of a recipe always, as nobody corrects a public data set.

        Raises:
            DataError: if `on_bad_row` is `refuse`, without a recipe.
        """
        if self.recipe is None:
            super().refuse(place, reason, aside)
        else:
            aside.append({"file": place[0], "row": place[1], "reason": reason, "recipe": self.recipe})

    def _placed(self) -> Iterator[tuple[Place, Any]]:
        if self.recipe is None:
            yield from super()._placed()
            return
        # It loads the readers of curation, which takes a while.
        from pipeline.posttraining.common.rows import items, read_rows

        for source in self.sources:
            for row in itertools.chain.from_iterable(read_rows(source, item) for item in items(source)):
                if row.bad is not None:
                    yield (row.file, row.number), RowError(row.bad)
                elif row.left_out is None:
                    yield (row.file, row.number), {"verifier": source.settings.verifier, **row.values}

    def describe(self) -> dict[str, Any]:
        """What identifies its rows and their share, for a fingerprint.

        Raises:
            DataError: for a file that is not there.
            RecipeError: for a recipe that cannot be used.
        """
        if self.recipe is None:
            rows = super().describe()
        else:
            rows = {"recipe": describe_recipe(*load_row_recipe(locate(Path(self.recipe))))}
        return {**rows, "weight": self.weight, "verifier": self.verifier}


def _from_path(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


DataFiles = tuple[Annotated[DataFile, BeforeValidator(_from_path)], ...]
"""Files in the order in which they are read; each is a path, or a mapping of `DataFile`'s keys."""
PromptFiles = tuple[Annotated[PromptFile, BeforeValidator(_from_path)], ...]
"""The same with `PromptFile`'s keys."""


def describe_files(files: Iterable[DataFile], key: str) -> dict[str, Any]:
    """The files' part of a stage's fingerprint, under the name of the key that names them; empty without files.

    Raises:
        DataError: for a file that is not there.
    """
    described = [each.describe() for each in files]
    return {key: described} if described else {}

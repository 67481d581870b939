"""The parts that the stage's settings divide its sources into, and whether enough of each source could be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.core.errors import DataError
from pipeline.core.files import read_json
from pipeline.posttraining.common.data_files import DataFile
from pipeline.posttraining.common.row_recipes import RowSource
from pipeline.posttraining.common.rows import items
from pipeline.posttraining.data.all_sources import conversation_sources, row_sources
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.jsonl import iterate_jsonl
from pipeline.posttraining.data.workspace import READ, Part, Workspace

MAX_NAMED = 3
"""Bad rows that the error names."""


def conversation_parts(config: SftDataConfig) -> list[Part]:
    """The parts of all sources of conversations, in the order in which their records stand in the result.

    Raises:
        DataError: if there is no source.
        RecipeError: for a recipe that cannot be used.
    """
    return _parts(conversation_sources(config))


def preference_parts(config: SftDataConfig) -> list[Part]:
    """The parts of all sources of preferences beside the built-in pairs, in their order.

    Raises:
        RecipeError: for a recipe that cannot be used.
    """
    return _parts([*row_sources(config, "preferences"), *config.preference_files])


def _parts(sources: Iterable[RowSource | DataFile]) -> list[Part]:
    found = [(each, item) for each in sources for item in ([""] if isinstance(each, DataFile) else items(each))]
    return [Part(number, source, item) for number, (source, item) in enumerate(found)]


def check_bad_share(workspace: Workspace, parts: Sequence[Part], config: SftDataConfig) -> None:
    """Compares how many rows of each source were put aside with how many were read.

    Raises:
        DataError: for a source of which more could not be used than the configuration allows.
    """
    read, bad = Counter[str](), Counter[str]()
    named: dict[str, list[str]] = {}
    for part in parts:
        if isinstance(part.source, DataFile):
            continue
        task, name = f"read-{part.number:05d}", part.source.name
        read[name] += read_json(workspace.counts(task))["counts"][READ]["in"]
        for row in iterate_jsonl(workspace.log("quarantine", task)):
            bad[name] += 1
            if len(named.setdefault(name, [])) < MAX_NAMED:
                named[name].append(f"{row['file']}: row {row['row']}: {row['reason']}")
    for name, count in bad.items():
        if count > config.maximum_bad_share * read[name]:
            raise DataError(
                f"{name}: {count:,} of {read[name]:,} rows cannot be used ({'; '.join(named[name])}); correct columns "
                f"in its recipe, or set stages.sft_data.config.maximum_bad_share above {count / read[name]:.4g}"
            )

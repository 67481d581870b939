"""The texts that the stages of a run made for training: documents, conversations, and prompts of RL.

A stage's manifest says which files it has; no others are opened. Of what was imported, weights or tokens, there are no
texts. Preference pairs, which reward models alone read, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import orjson

from pipeline.core.artifact import Artifact, check_sizes, remedy
from pipeline.core.documents import read_documents
from pipeline.core.errors import DataError

Text = tuple[str, str]
"""Where a text is, such as `train.jsonl:7`, and the text."""


@dataclass(frozen=True)
class _Kind:
    """What a kind of stage has for training."""

    files: str
    """Its files, as a shell pattern of the manifest's paths."""
    read: Callable[[Path], Iterator[str]]
    """The texts of a file, in its order."""


def _documents(path: Path) -> Iterator[str]:
    for document in read_documents(path):
        yield document.text


def _conversations(path: Path) -> Iterator[str]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield _said(orjson.loads(line)["messages"])
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{path}:{number}: no conversation ({error}); {remedy(path.parent)}") from None


def _prompts(path: Path) -> Iterator[str]:
    import pyarrow
    from pyarrow import parquet

    try:
        for batch in parquet.ParquetFile(path).iter_batches(columns=["prompt"]):
            for row in batch.to_pylist():
                yield row["prompt"] if isinstance(row["prompt"], str) else _said(row["prompt"])
    except (pyarrow.ArrowException, KeyError, TypeError) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{path}: no completions ({why}); {remedy(path.parent.parent)}") from None


def _said(messages: Iterable[dict[str, Any]]) -> str:
    """All that is said in a conversation, by whomever."""
    return "\n\n".join(message["content"] for message in messages if message.get("content"))


_KINDS = {
    "curate": _Kind("documents/*.jsonl.gz", _documents),
    "synthesize": _Kind("documents/*.jsonl.gz", _documents),
    "sft_data": _Kind("train.jsonl", _conversations),
    "rl": _Kind("completions/*.parquet", _prompts),
}
"""By kind of stage. A stage of RL keeps the completions of some steps: its other prompts are not known."""
IMPORTS = ("import_model", "import_tokens")
"""Kinds of stages that take in what somebody else trained on or tokenized."""


def has_texts(made: Artifact) -> bool:
    """Whether an artifact has texts to train on."""
    return bool(_files(made))


def expected_texts(made: Artifact) -> int:
    """About how many texts an artifact has, as its manifest says; 0 where it does not."""
    counts = made.manifest.counts or {}
    return int(made.manifest.metrics.get("conversations/train", counts.get("kept", 0)))


def read_texts(made: Artifact) -> Iterator[Text]:
    """The texts of an artifact, file by file.

    Raises:
        ArtifactError: if a file of the artifact is missing or has another size than its manifest says.
        DataError: for a file that is damaged.
    """
    check_sizes(made.directory, made.manifest.fingerprint)
    for name in _files(made):
        for number, text in enumerate(_KINDS[made.manifest.kind].read(made.directory / name), start=1):
            yield f"{name}:{number}", text


def _files(made: Artifact) -> list[str]:
    kind = _KINDS.get(made.manifest.kind)
    return sorted(name for name in made.manifest.files if kind and fnmatchcase(name, kind.files))

"""The model of `fivephase evaluate`: a folder, a stage of a run, or a model of the hub; described without torch."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.artifact import MODEL_FOLDERS, Artifact, check_sizes, input_folder, load, read_manifest, stage_model
from pipeline.core.config import nearest
from pipeline.core.errors import ArtifactError, DataError, UserError
from pipeline.core.files import identities

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
FETCHED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "tokenizer.model"]
"""Files that are taken from the hub: no pickles, no code."""
LEFT = ["*/*", "consolidated*"]
"""Of these, other formats of the same weights."""


@dataclass(frozen=True)
class ModelSource:
    """A Hugging Face folder, and what is known of the run that made it."""

    folder: Path
    name: str
    """What the evaluation's folder is called by."""
    run: Path | None
    """Folder of the run that made it."""
    tokens: Artifact | None
    """Stage that tokenized the run's documents."""

    @property
    def identity(self) -> list[list[Any]]:
        """What changes when the model does: names, sizes and hashes of its files."""
        return identities(sorted(path for path in self.folder.iterdir() if path.is_file()))


def model_source(model: str, root: Path) -> ModelSource:
    """The model that an argument names.

    Args:
        model: a folder, `<run>/<stage>` below `root`, or `<organization>/<name>` of the hub.
        root: folder of all runs.

    Raises:
        UserError: for a folder that holds no model, a stage that is not there, or a model that cannot be fetched.
        ArtifactError: for a stage that is not finished, is damaged or makes no model.
    """
    for place in (Path(model).expanduser(), root / model):
        if place.is_dir():
            return _of_folder(place)
    if not HUB_NAME.fullmatch(model):
        raise UserError(f"model={model}: no such folder; give one, <run>/<stage> of {root}, or <organization>/<name>")
    run, _, stage = model.partition("/")
    if (root / run).is_dir():
        stages = [path.parent.name for path in (root / run).glob("*/manifest.json")]
        raise UserError(f"model={model}: {root / run} has no finished stage {stage}, {nearest(stage, stages)}")
    return ModelSource(_fetched(model), model.replace("/", "--"), None, None)


def run_tokens(run: str, root: Path) -> Artifact:
    """The stage of a run that tokenized its documents.

    Args:
        run: a run below `root`, or the folder of one or of its stage.
        root: folder of all runs.

    Raises:
        UserError: if there is none that is finished.
    """
    for place in (Path(run).expanduser(), root / run):
        for folder in (place, *sorted(place.glob("*"))):
            if (folder / "manifest.json").is_file() and (folder / "tokens" / "index.json").is_file():
                return check_sizes(folder)
    raise UserError(f"tokens={run}: no finished stage that tokenizes there; name a run of {root}")


def _of_folder(folder: Path) -> ModelSource:
    folder = folder.absolute()
    if (manifest := read_manifest(folder)) is not None:
        if (model := stage_model(folder)) is not None:
            return _of_folder(model)
        raise ArtifactError(f"{folder}: a stage of kind {manifest.kind} has no model; name one that trains")
    for pattern, what in (("config.json", "configuration"), ("tokenizer*", "tokenizer"), ("*.safetensors", "weights")):
        if not any(folder.glob(pattern)):
            raise UserError(f"model={folder}: has no {what} ({pattern}); give a Hugging Face folder, or <run>/<stage>")
    made = read_manifest(folder.parent) if folder.name in MODEL_FOLDERS else None
    if made is None:
        return ModelSource(folder, folder.name, None, None)
    stage = load(folder.parent)
    return ModelSource(folder, folder.parent.name, folder.parent.parent, _tokens_of(stage))


def _tokens_of(made: Artifact) -> Artifact | None:
    """The nearest stage with tokens that an artifact was made from, through all that it reads."""
    waiting, seen = [made], {made.directory}
    while waiting:
        stage = waiting.pop(0)
        if (stage.directory / "tokens" / "index.json").is_file():
            return stage
        for read in stage.manifest.inputs.values():
            folder = input_folder(stage.directory.parent, read)
            if folder not in seen and (manifest := read_manifest(folder)) is not None:
                seen.add(folder)
                waiting.append(Artifact(folder, manifest))
    return None


def _fetched(model: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=FETCHED, ignore_patterns=LEFT))
    # No network, no such repository, no access: each its own class, below different bases.
    except Exception as error:
        raise DataError(
            f"model={model}: no such folder here, and it cannot be fetched from the hub ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:160]}); give the folder of a model, or <run>/<stage>"
        ) from None

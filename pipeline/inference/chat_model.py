"""Which model to talk to: that of a folder, or the newest chat model of a run."""

from pathlib import Path

from pipeline.core.artifact import MODEL_FOLDERS, Artifact, load, read_manifest
from pipeline.core.errors import ArtifactError

CHAT_KINDS = ("sft", "rl", "release")
"""Kinds of stages whose models answer in turns."""


def newest_chat_model(run: Path) -> Path | None:
    """The Hugging Face folder of the stage among SFT, RL and release that finished last; None if none has finished.

    Args:
        run: the run's folder, whatever configuration its stages were made with.

    Raises:
        ArtifactError: for a manifest that cannot be read.
    """
    artifacts = [
        Artifact(directory, manifest)
        for directory in (sorted(run.iterdir()) if run.is_dir() else ())
        if (manifest := read_manifest(directory)) is not None and manifest.kind in CHAT_KINDS
    ]
    if not artifacts:
        return None
    return _model_folder(max(artifacts, key=lambda each: each.manifest.finished))


def chat_model(run: Path) -> Path:
    """As `newest_chat_model`, of a run that must have one.

    Raises:
        ArtifactError: if no stage of the run that makes a chat model has finished, or the newest one was damaged.
    """
    found = newest_chat_model(run)
    if found is None:
        reason = "has no finished SFT, RL or release yet" if run.is_dir() else "no such run"
        raise ArtifactError(
            f"{run}: {reason}; run it to such a stage, or name a folder with a model: fivephase chat PATH"
        )
    load(found.parent)
    return found


def model_folder(path: Path) -> Path:
    """The Hugging Face folder that a path names: itself, that of a finished stage, or the newest of a run.

    Raises:
        ArtifactError: if it is none of these, or a stage that was damaged.
    """
    if (path / "config.json").is_file() and (path / "tokenizer_config.json").is_file():
        if path.name in MODEL_FOLDERS and read_manifest(path.absolute().parent) is not None:
            load(path.absolute().parent)
        return path
    manifest = read_manifest(path)
    if manifest is None:
        if not path.is_dir():
            raise ArtifactError(f"{path}: no such folder; name one with a Hugging Face model, or run=<name>")
        return chat_model(path)
    folder = _model_folder(Artifact(path, manifest))
    if not folder.is_dir():
        raise ArtifactError(f"{path}: a stage of kind {manifest.kind} has no model; name one that trains")
    load(path)
    return folder


def _model_folder(artifact: Artifact) -> Path:
    return artifact.directory / "model" if artifact.manifest.kind == "release" else artifact.checkpoint

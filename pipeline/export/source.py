"""The model to export: a stage of a run, or any Hugging Face folder, with what the run's manifests know of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.artifact import MODEL_FOLDERS, Manifest, check_sizes, load, read_manifest, stage_model
from pipeline.core.errors import ArtifactError, UserError
from pipeline.core.files import read_json
from pipeline.release.lineage import disclosures, lineage

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
"""Files of a Hugging Face folder that an export replaces by its own."""


@dataclass(frozen=True)
class Source:
    """A Hugging Face folder and what is known of its making."""

    folder: Path
    name: str
    """What exports of it are called: that of the stage or of the folder."""
    stages: list[Manifest]
    """Manifests of the stages that made it, in their order; none for a folder that belongs to no run."""
    datasets: list[dict[str, Any]]
    """The data that it was made from, in the fields of the data disclosure."""
    tokens: Path | None
    """Shards with the held-out tokens of its run."""
    place: Path
    """Folder that its exports are put in unless another is named: `exports/` of the run, or beside the folder."""

    @property
    def architecture(self) -> str:
        """Class of the model in transformers, by its configuration."""
        return self.config.get("architectures", ["unknown"])[0]

    @property
    def config(self) -> dict[str, Any]:
        """The content of its config.json."""
        return read_json(self.folder / "config.json")

    @property
    def context(self) -> int | None:
        """Most tokens that it reads at a time, by its configuration; None if that does not say."""
        return self.config.get("max_position_embeddings")

    @property
    def weight_bytes(self) -> int:
        """Size of its weights on the disk."""
        return sum(path.stat().st_size for path in self.folder.glob("*.safetensors"))


def of_stage(run: Path, stage: str) -> Source:
    """The model of a finished stage of a run.

    Raises:
        UserError: if there is no such run.
        ArtifactError: if the stage is not finished, is damaged or makes no model.
    """
    if not run.is_dir():
        raise UserError(f"{run}: no such run; name one with run=<name>, or give the folder of a model")
    check_sizes(run / stage)
    if (model := stage_model(run / stage)) is not None:
        return of_folder(model)
    raise ArtifactError(f"{run / stage}: holds no model; name a stage that trains one, or release, with stage=<name>")


def of_folder(folder: Path) -> Source:
    """The model of a Hugging Face folder; where a stage of a run made it, with what its manifests say.

    Raises:
        UserError: if the folder is none, or lacks configuration, weights or tokenizer.
        ArtifactError: if its files are not those that the stage published, or a stage that it was made from is missing
            or was made anew.
    """
    folder = folder.absolute()
    for file, what in (("config.json", "configuration"), ("tokenizer.json", "tokenizer"), (WEIGHTS[0], "weights")):
        if not any(folder.glob(file)):
            raise UserError(f"{folder}: has no {what} ({file}); give a Hugging Face folder, or run=<name>")
    stage = folder.parent
    manifest = read_manifest(stage) if folder.name in MODEL_FOLDERS else None
    if manifest is None:
        disclosure = folder / "data_disclosure.json"
        datasets = read_json(disclosure) if disclosure.is_file() else []
        return Source(folder, folder.name, [], datasets, None, folder.parent)
    stages = lineage(load(stage))
    run = stage.parent
    tokens = [each.directory / "tokens" for each in stages if (each.directory / "tokens" / "index.json").is_file()]
    manifests = [each.manifest for each in stages]
    return Source(folder, stage.name, manifests, disclosures(stages), tokens[0] if tokens else None, run / "exports")


def pre_tokenizer_patterns(folder: Path) -> list[str]:
    """The regular expressions that a tokenizer splits text by before it merges bytes, in their order."""
    description = json.loads((folder / "tokenizer.json").read_text()).get("pre_tokenizer") or {}
    parts = description.get("pretokenizers", [description])
    return [pattern for each in parts if (pattern := each.get("pattern", {}).get("Regex"))]

"""The stages that a model was made by, followed from manifest to manifest, and the data that they took in."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.core.artifact import IMPORTED, Artifact, input_folder, read_manifest
from pipeline.core.errors import ArtifactError
from pipeline.core.files import read_json

DISCLOSURE = "disclosure.json"
"""File in which a stage that takes data in describes them, in the fields of IBM's data disclosures."""


def lineage(model: Artifact) -> list[Artifact]:
    """The artifacts of all stages that a model was made by, in their order; the model's own is last.

    A stage comes after those that it reads, and of two that do not read each other the one that finished first. One
    that was taken from another run is called `<run>/<stage>`.

    Raises:
        ArtifactError: if a stage's folder is missing, or was made anew after the model was made from it.
    """
    found: dict[Path, Artifact] = {}
    _add_with_inputs(model, model.directory.parent, found)
    ordered: dict[Path, Artifact] = {}
    while waiting := [each for folder, each in found.items() if folder not in ordered]:
        ready = [each for each in waiting if all(folder in ordered for folder in _read_by(each))]
        first = min(ready, key=lambda each: each.manifest.finished)
        ordered[first.directory] = first
    return list(ordered.values())


def _read_by(made: Artifact) -> list[Path]:
    """The folders of the artifacts that one was made from."""
    return [input_folder(made.directory.parent, source) for source in made.manifest.inputs.values()]


def _add_with_inputs(made: Artifact, run: Path, found: dict[Path, Artifact]) -> None:
    """Adds an artifact to those found, after all that it was made from: a depth-first walk of the chain."""
    for source, folder in zip(made.manifest.inputs.values(), _read_by(made), strict=True):
        if folder in found:
            continue
        upstream = read_manifest(folder)
        if upstream is None or upstream.fingerprint != source["fingerprint"]:
            state = "missing" if upstream is None else "made anew since"
            raise ArtifactError(
                f"{folder}: {made.manifest.stage} was made from it, but it is {state}; run from={folder.name}"
            )
        _add_with_inputs(Artifact(folder, upstream), run, found)
    other_run = made.directory.parent
    name = made.manifest.stage if other_run == run else f"{other_run.name}/{made.manifest.stage}"
    found[made.directory] = Artifact(made.directory, dataclasses.replace(made.manifest, stage=name))


def disclosures(stages: Iterable[Artifact]) -> list[dict[str, Any]]:
    """The data sets that the stages of a lineage took in, in the fields of IBM's data disclosures.

    Imported weights and tokens stand among them: what they were made from, only their makers can say.
    """
    found: list[dict[str, Any]] = []
    for each in stages:
        if DISCLOSURE in each.manifest.files:
            found += read_json(each.directory / DISCLOSURE)
        elif each.manifest.kind == "import_model":
            imported = read_json(each.directory / IMPORTED)
            revision = f" at {imported['revision']}" if imported["revision"] else ""
            found.append(_imported(f"weights of {imported['source']}{revision}", "what they were trained on"))
        elif each.manifest.kind == "import_tokens":
            found.append(_imported("imported tokens", "what texts they are of"))
    return found


def _imported(what: str, unknown: str) -> dict[str, Any]:
    return {
        "name": what,
        "description": f"{unknown} is not known here",
        "source": "imported",
        "licence": f"that of the {what}",
    }

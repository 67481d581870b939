"""The stages that a model was made by, followed from manifest to manifest, and the data that they took in."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.core.artifact import Artifact, Manifest, read_manifest
from pipeline.core.errors import ArtifactError
from pipeline.core.files import read_json

DISCLOSURE = "disclosure.json"
"""File in which a stage that takes data in describes them, in the fields of IBM's data disclosures."""


def lineage(model: Artifact) -> list[Manifest]:
    """The manifests of all stages that a model was made by, in their order; the model's own is last.

    A stage comes after those that it reads, and of two that do not read each other the one that finished first.

    Raises:
        ArtifactError: if a stage's folder is missing, or was made anew after the model was made from it.
    """
    found: dict[str, Manifest] = {}
    _add_with_inputs(model.manifest, model.directory.parent, found)
    ordered: list[Manifest] = []
    while waiting := [each for name, each in found.items() if name not in {done.stage for done in ordered}]:
        done = {each.stage for each in ordered}
        ready = [each for each in waiting if all(source["stage"] in done for source in each.inputs.values())]
        ordered.append(min(ready, key=lambda each: each.finished))
    return ordered


def _add_with_inputs(manifest: Manifest, run: Path, found: dict[str, Manifest]) -> None:
    """Adds a manifest to those found, after all that it was made from: a depth-first walk of the chain."""
    for source in manifest.inputs.values():
        name = source["stage"]
        if name in found:
            continue
        upstream = read_manifest(run / name)
        if upstream is None or upstream.fingerprint != source["fingerprint"]:
            state = "missing" if upstream is None else "made anew since"
            raise ArtifactError(f"{run / name}: {manifest.stage} was made from it, but it is {state}; run from={name}")
        _add_with_inputs(upstream, run, found)
    found[manifest.stage] = manifest


def disclosures(stages: Iterable[Manifest], run: Path) -> list[dict[str, Any]]:
    """The data sets that the stages of a lineage took in, in the fields of IBM's data disclosures."""
    files = [run / each.stage / DISCLOSURE for each in stages if DISCLOSURE in each.files]
    return [dataset for file in files for dataset in read_json(file)]

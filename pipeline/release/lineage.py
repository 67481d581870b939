"""All stages a model was made by, read from the manifests that name each other."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.core.artifact import Artifact, Manifest, read_manifest
from pipeline.core.errors import ArtifactError
from pipeline.core.files import read_json

DISCLOSURE = "disclosure.json"
"""What a stage that takes data in says of it, in IBM's fields."""


def lineage(model: Artifact) -> list[Manifest]:
    """The manifests of a model's stage and of all it was made from, each after those it reads.

    Raises:
        ArtifactError: if one is missing or was made anew since.
    """
    found: dict[str, Manifest] = {}
    _visit(model.manifest, model.directory.parent, found)
    return list(found.values())


def _visit(manifest: Manifest, run: Path, found: dict[str, Manifest]) -> None:
    for source in manifest.inputs.values():
        name = source["stage"]
        if name in found:
            continue
        upstream = read_manifest(run / name)
        if upstream is None or upstream.fingerprint != source["fingerprint"]:
            state = "missing" if upstream is None else "made anew since"
            raise ArtifactError(f"{run / name}: {manifest.stage} was made from it, but it is {state}; run from={name}")
        _visit(upstream, run, found)
    found[manifest.stage] = manifest


def disclosed(stages: Iterable[Manifest], run: Path) -> list[dict[str, Any]]:
    """The datasets that the stages of a lineage took in."""
    files = [run / each.stage / DISCLOSURE for each in stages if DISCLOSURE in each.files]
    return [dataset for file in files for dataset in read_json(file)]

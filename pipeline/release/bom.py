"""A bill of materials in CycloneDX's JSON: a model's files, its data, the packages that made it, and a task per stage.

It is written as the specification has it (CycloneDX 1.7, https://cyclonedx.org/docs/1.7/json/), without a serial number
and the time of writing: the same run gives the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from pipeline.core.artifact import Manifest
from pipeline.core.files import files_below, sha256_of

BOM = "sbom.cdx.json"
SPEC_VERSION = "1.7"
TASK_TYPES = {
    "curate": "clean",
    "evaluate": "test",
    "release": "release",
    "import_model": "copy",
    "import_tokens": "copy",
}
"""CycloneDX's type of task by the kind of stage; all others build."""
MODEL_KINDS = ("pretrain", "import_model", "sft", "reward_model", "rl", "release")
"""Kinds of the stages whose artifact is a model; that of all others is data."""
DATA_KEYS = ("domain", "source", "url", "synthetic", "documents")
"""What the disclosure of a data set says that the bill repeats."""


@dataclass(frozen=True, kw_only=True)
class Materials:
    """What is known of a model."""

    name: str
    architecture: str
    """Class of the model in transformers."""
    license: str | None
    """As its card says; None if that says none."""
    files: Mapping[str, str]
    """SHA-256 of its files by their paths in its folder."""
    stages: Sequence[Manifest]
    """Manifests of the stages that made and measured it, in their order."""
    datasets: Sequence[Mapping[str, Any]]
    """What the stages took in, in the fields of IBM's data disclosures."""
    packages: Iterable[tuple[str, str]]
    """Names and versions of packages beside those that the manifests name."""


def hashes_below(folder: Path) -> dict[str, str]:
    """SHA-256 of all files of a folder by their paths in it."""
    return {str(path.relative_to(folder)): sha256_of(path) for path in files_below(folder)}


def bill_of_materials(materials: Materials) -> dict[str, Any]:
    """The bill as CycloneDX 1.7 has it, to be written as JSON."""
    data = [_data(number, each) for number, each in enumerate(materials.datasets)]
    recorded = {pair for each in materials.stages for pair in each.packages.items()}
    packages = [_package(name, version) for name, version in sorted(recorded | set(materials.packages))]
    model: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": materials.name,
        **_licenses(materials.license),
        "modelCard": {"modelParameters": _parameters(materials, data)},
        "components": [
            {
                "type": "file",
                "bom-ref": f"file:{name}",
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": content}],
            }
            for name, content in sorted(materials.files.items())
        ],
        "properties": [
            _property("architecture", materials.architecture),
            *(_property(f"stage:{each.stage}", each.fingerprint) for each in materials.stages),
        ],
    }
    components = [*data, *packages]
    needs = [{"ref": "model", "dependsOn": [each["bom-ref"] for each in components]}] if components else []
    bill: dict[str, Any] = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {"component": model},
        "components": components,
        "dependencies": needs,
    }
    if materials.stages:
        bill["formulation"] = [_formula(materials.stages)]
    return bill


def _parameters(materials: Materials, data: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"task": "text-generation", "modelArchitecture": materials.architecture}
    return {**found, "datasets": [{"ref": each["bom-ref"]} for each in data]} if data else found


def _data(number: int, dataset: Mapping[str, Any]) -> dict[str, Any]:
    description = {"description": dataset["description"]} if dataset.get("description") else {}
    return {
        "type": "data",
        "bom-ref": f"data:{number}",
        "name": dataset.get("name", f"data {number}"),
        **description,
        **_licenses(dataset.get("licence")),
        "properties": [_property(key, str(dataset[key])) for key in DATA_KEYS if dataset.get(key) is not None],
    }


def _package(name: str, version: str) -> dict[str, Any]:
    named = {"bom-ref": f"{name}@{version}", "name": name, "version": version}
    if name == "python":
        return {"type": "platform", **named}
    return {"type": "library", **named, "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"}


def _formula(stages: Sequence[Manifest]) -> dict[str, Any]:
    """How the model was made: an artifact and a task for each manifest, in one workflow."""
    # A name alone may stand for stages of two runs; a fingerprint holds the name as well.
    names = {each.fingerprint: each.stage for each in stages}
    read = {
        each.stage: {
            role: names[source["fingerprint"]]
            for role, source in sorted(each.inputs.items())
            if source["fingerprint"] in names
        }
        for each in stages
    }
    artifacts = [
        {
            "type": "machine-learning-model" if each.kind in MODEL_KINDS else "data",
            "bom-ref": f"artifact:{each.stage}",
            "name": each.stage,
            "hashes": [{"alg": "SHA-256", "content": each.content}],
        }
        for each in stages
    ]
    workflow = {
        "bom-ref": "workflow",
        "uid": stages[-1].fingerprint,
        "name": "fivephase",
        "taskTypes": ["build"],
        "tasks": [_task(each, read[each.stage]) for each in stages],
        "taskDependencies": [
            {"ref": f"task:{stage}", "dependsOn": [f"task:{each}" for each in sorted(set(inputs.values()))]}
            for stage, inputs in read.items()
            if inputs
        ],
    }
    return {"bom-ref": "formula", "components": artifacts, "workflows": [workflow]}


def _task(made: Manifest, read: Mapping[str, str]) -> dict[str, Any]:
    times = {"timeStart": made.started, "timeEnd": made.finished}
    inputs = [
        {"resource": {"ref": f"artifact:{stage}"}, "properties": [_property("role", role)]}
        for role, stage in read.items()
    ]
    measured = [] if made.after is None else [_property(made.measure or "measure", repr(made.after))]
    task = {
        "bom-ref": f"task:{made.stage}",
        "uid": made.fingerprint,
        "name": made.stage,
        "taskTypes": [TASK_TYPES.get(made.kind, "build")],
        # A manifest of an earlier version may say no times.
        **{key: value for key, value in times.items() if value},
        "outputs": [{"type": "artifact", "resource": {"ref": f"artifact:{made.stage}"}}],
        "properties": [_property("kind", made.kind), _property("ranks", str(made.world_size)), *measured],
    }
    return {**task, "inputs": inputs} if inputs else task


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"fivephase:{name}", "value": value}


def _licenses(text: str | None) -> dict[str, Any]:
    """A license as an SPDX identifier or expression where it is one, else by name."""
    if not text:
        return {}
    try:
        spdx = str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        return {"licenses": [{"license": {"name": text}}]}
    compound = " " in spdx or spdx.startswith("LicenseRef-")
    return {"licenses": [{"expression": spdx} if compound else {"license": {"id": spdx}}]}

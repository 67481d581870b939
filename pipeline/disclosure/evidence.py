"""What a run knows of a released model: its lineage, its data with their audit, and where the texts come from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.artifact import Artifact, input_folder, read_manifest
from pipeline.core.documents import read_rows
from pipeline.core.errors import ArtifactError, ConfigError
from pipeline.core.files import read_json
from pipeline.curation.audit.web_domains import WEB_DOMAINS
from pipeline.release.lineage import disclosures, lineage
from pipeline.release.model_card import CONVERSATIONS_KIND, DATA_KINDS

NOT_KNOWN = "not known"
"""What is written of everything that the run has no record of."""
RELEASE_KIND = "release"
MODEL = "model"
"""Folder of a release with the model, and role of the artifact that was released."""
AUDIT = "report.json"
"""File of a stage that filters: what each step took in, kept and removed, by domain."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that is gathered before anything is written."""

    name: str
    license: str | None
    architecture: Mapping[str, Any]
    """The released model's config.json."""
    parameters: int | None
    files: Mapping[str, str]
    """SHA-256 of the released files by their paths in the model's folder, as the manifest has them."""
    made_by: Sequence[Artifact]
    """The stages that the model was made by, in their order."""
    stages: Sequence[Artifact]
    """These, the evaluations beside them and the release, in their order."""
    datasets: Sequence[Mapping[str, Any]]
    """Sources in the fields of IBM's disclosures."""
    audits: Mapping[str, Mapping[str, Any]]
    """Funnel of each stage that filters, by domain, by the stage's name."""
    selected: frozenset[str]
    """Domains whose documents are some of other domains': their sources count nothing."""
    web: Mapping[str, tuple[int, int]] | None
    """Documents and bytes of text by registered domain; None if no stage has counted them."""
    tokens: Mapping[str, int] | None
    """Training tokens of each domain; None if no stage says them."""
    imported: Sequence[str]
    """What the run took in without knowing what it was made from: weights or tokens."""
    undisclosed: Sequence[str]
    """Sources of conversations that the audit counts and no disclosure names: files of the user's own."""


def gather(release: Artifact) -> Evidence:
    """Follows the manifests from a released model.

    Raises:
        ConfigError: if the artifact is no release.
        ArtifactError: if a stage that it was made from is missing or was made anew, or the release has no model.
    """
    if release.manifest.kind != RELEASE_KIND:
        raise ConfigError(
            f"stages.disclose.inputs.release={release.manifest.stage}: is of kind {release.manifest.kind}, name a "
            "stage of kind release (+stage=release_sft makes one beside the last model's)"
        )
    folder = release.directory / MODEL
    if not (folder / "config.json").is_file():
        raise ArtifactError(f"{folder}: has no config.json; run from={release.directory.name}")
    source = input_folder(release.directory.parent, release.manifest.inputs[MODEL])
    made = read_manifest(source)
    stages = lineage(release)
    assert made is not None  # `lineage` has found it
    made_by = lineage(Artifact(source, made))
    frozen = release.directory / "config.json"
    settings = read_json(frozen).get("config", {}) if frozen.is_file() else {}
    datasets = disclosures(made_by)
    audits = {
        each.manifest.stage: read_json(each.directory / AUDIT) for each in made_by if AUDIT in each.manifest.files
    }
    parameters = release.manifest.metrics.get("parameters")
    return Evidence(
        name=settings.get("name") or NOT_KNOWN,
        license=settings.get("license"),
        architecture=read_json(folder / "config.json"),
        parameters=None if parameters is None else int(parameters),
        files={
            name.removeprefix(f"{MODEL}/"): each["sha256"]
            for name, each in release.manifest.files.items()
            if name.startswith(f"{MODEL}/")
        },
        made_by=made_by,
        stages=stages,
        datasets=datasets,
        audits=audits,
        selected=_selected(datasets, audits),
        web=_web(made_by),
        tokens=_tokens(made_by),
        imported=[each["name"] for each in datasets if each.get("source") == "imported"],
        undisclosed=_undisclosed(made_by, datasets, audits),
    )


def _selected(datasets: Sequence[Mapping[str, Any]], audits: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Domains whose audit counts documents of sources that the domain itself does not name."""
    named: dict[str, set[str]] = {}
    for each in datasets:
        named.setdefault(str(each.get("domain")), set()).add(str(each["name"]))
    found = set()
    for audit in audits.values():
        for domain, report in audit.items():
            counted = {name for name, count in report.get("sources", {}).items() if count.get("documents")}
            if domain in named and counted - named[domain]:
                found.add(domain)
    return frozenset(found)


def _undisclosed(
    stages: Sequence[Artifact], datasets: Sequence[Mapping[str, Any]], audits: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    named = {str(each["name"]) for each in datasets}
    counted = [
        source
        for each in stages
        if each.manifest.kind == CONVERSATIONS_KIND
        for report in audits.get(each.manifest.stage, {}).values()
        for source in report.get("sources", {})
    ]
    # The audit puts the domain of a source before its name.
    return sorted({source for source in counted if source not in named and source.partition("/")[2] not in named})


def _web(stages: Sequence[Artifact]) -> dict[str, tuple[int, int]] | None:
    counted = [each for each in stages if WEB_DOMAINS in each.manifest.files]
    if not counted or any(each.manifest.kind == "curate" and each not in counted for each in stages):
        return None
    documents: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for each in counted:
        for row in read_rows(each.directory / WEB_DOMAINS):
            documents[row["domain"]] += row["documents"]
            size[row["domain"]] += row["bytes"]
    return {domain: (documents[domain], size[domain]) for domain in sorted(size)}


def _tokens(stages: Sequence[Artifact]) -> dict[str, int] | None:
    found: Counter[str] = Counter()
    for each in stages:
        if each.manifest.kind in DATA_KINDS:
            for metric, value in each.manifest.metrics.items():
                part, _, domain = metric.partition("/")
                if part == "tokens" and domain:
                    found[domain] += int(value)
    return dict(found) or None

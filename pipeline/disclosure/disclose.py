"""The stage `disclose`: the trust pack of a released model, from what the run has written down, without a network.

The same run gives the same bytes: nothing is dated but by manifests, and no machine is named. A signature is another
each time.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.context import StageContext, StageResult
from pipeline.core.files import write_json
from pipeline.disclosure.config import DiscloseConfig
from pipeline.disclosure.croissant import croissant
from pipeline.disclosure.data_fields import data_fields
from pipeline.disclosure.eu_summary import as_markdown, eu_summary
from pipeline.disclosure.evidence import MODEL, NOT_KNOWN, Evidence, gather
from pipeline.release.bom import BOM, Materials, bill_of_materials
from pipeline.release.signing import SIGNATURE, sign, signer

RELEASE = "release"
"""Role of the input that is disclosed."""
CARD = "model_card.md"
CONTENTS = {
    CARD: "the model card of the release: recipe in order, data, evaluation, samples, limits",
    "eu_training_content.md": "the public summary of training content after the European Commission's template",
    "eu_training_content.json": "the same, to be read by programs",
    "data_disclosure.json": "model and data sets in the fields of IBM's disclosures",
    "croissant.json": "the curated documents with their files, as Croissant 1.1",
    BOM: "bill of materials as CycloneDX 1.7: files, data, packages, and a task for each stage",
    SIGNATURE: "signature of the released folder by OpenSSF's model signing",
}


def run(context: StageContext[DiscloseConfig]) -> StageResult:
    """Writes the files of `CONTENTS`, and a README.md that says what each holds and what is not known.

    Raises:
        ConfigError: for an input that is no release, or a setting that names a source that does not exist.
        ArtifactError: if the release, or a stage that it was made from, is not complete.
        UserError: if the key cannot be used.
    """
    config = context.config
    release = context.inputs[RELEASE]
    signing = None if config.signing_key is None else signer(Path(config.signing_key), "signing_key")
    evidence = gather(release)
    context.progress.start(len(CONTENTS), counted="files", label="writing")
    output = context.output
    summary = eu_summary(evidence, config)
    written: dict[str, Any] = {
        "eu_training_content.json": summary,
        "data_disclosure.json": data_fields(evidence, config),
        "croissant.json": croissant(evidence, config, context.directory),
        BOM: bill_of_materials(_materials(evidence)),
    }
    for name, value in written.items():
        write_json(output / name, value)
    (output / "eu_training_content.md").write_text(as_markdown(summary), encoding="utf-8")
    card = release.directory / MODEL / "README.md"
    if card.is_file():
        shutil.copyfile(card, output / CARD)
    else:
        (output / CARD).write_text(f"# {evidence.name}\n\nThe release has no card: {NOT_KNOWN}.\n", encoding="utf-8")
    if signing is not None:
        sign(signing, release.directory / MODEL, output)
    missing = unknown(written)
    (output / "README.md").write_text(_readme(evidence, missing, signing is not None), encoding="utf-8")
    context.progress.advance(len(CONTENTS))
    stages, known = len(evidence.stages), float(len(missing))
    return StageResult(
        metrics={"stages": float(stages), "data_sets": float(len(evidence.datasets)), "not_known": known}
    )


def unknown(written: Mapping[str, Any]) -> list[str]:
    """Where the files say "not known": a file's name and the keys that lead to it, without the numbers of rows."""
    found: dict[str, None] = {}

    def look(value: Any, place: str) -> None:
        if isinstance(value, Mapping):
            for key, each in value.items():
                look(each, f"{place} / {key}")
        elif isinstance(value, list):
            for each in value:
                look(each, place)
        elif isinstance(value, str) and value.startswith(NOT_KNOWN):
            found[place] = None

    for name, value in written.items():
        look(value, name)
    return list(found)


def _materials(evidence: Evidence) -> Materials:
    return Materials(
        name=evidence.name,
        architecture=next(iter(evidence.architecture.get("architectures") or []), NOT_KNOWN),
        license=evidence.license,
        files=evidence.files,
        stages=[each.manifest for each in evidence.stages],
        datasets=evidence.datasets,
        packages=(),
    )


def _readme(evidence: Evidence, missing: list[str], signed: bool) -> str:
    listed = [f"- `{name}`: {what}" for name, what in CONTENTS.items() if signed or name != SIGNATURE]
    lines = [
        f"# {evidence.name}: what is said of it",
        "",
        "Gathered from the manifests, recipes and audit of the run that made it. Nothing here is legal advice.",
        "",
        *listed,
        "",
        "## Not known",
        "",
        "The run has no record of these. Settings of the stage `disclose` fill some of them in.",
        "",
        *([f"- {each}" for each in missing] or ["- nothing"]),
    ]
    return "\n".join(lines) + "\n"

"""A bill of materials in CycloneDX's JSON: the model's files, the data it was made from, the packages that made it."""

# The classes of cyclonedx are made by a decorator, behind which pyright does not see their parameters.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false, reportArgumentType=false

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.core.artifact import provenance
from pipeline.core.extras import require
from pipeline.core.files import files_below, sha256_of
from pipeline.export.source import Source

BOM = "sbom.cdx.json"


def check_installed() -> None:
    """Raises a UserError if the package that writes the bill is missing."""
    require("sbom", "cyclonedx")


def write_bom(source: Source, folder: Path, license_name: str | None, versions: dict[str, str]) -> None:
    """Writes `sbom.cdx.json` (CycloneDX 1.6) from what the manifests of the model's stages say.

    Args:
        source: the model that was exported.
        folder: with all files but the bill and the signature.
        license_name: the model's, by its card; None if that says none.
        versions: of the packages that converted it.
    """
    check_installed()
    from cyclonedx.model import HashAlgorithm, HashType, Property  # pyright: ignore[reportMissingImports]
    from cyclonedx.model.bom import Bom  # pyright: ignore[reportMissingImports]
    from cyclonedx.model.component import Component, ComponentType  # pyright: ignore[reportMissingImports]
    from cyclonedx.output import make_outputter  # pyright: ignore[reportMissingImports]
    from cyclonedx.schema import OutputFormat, SchemaVersion  # pyright: ignore[reportMissingImports]

    files = [
        Component(
            type=ComponentType.FILE,
            name=str(path.relative_to(folder)),
            bom_ref=f"file:{path.relative_to(folder)}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256_of(path))],
        )
        for path in files_below(folder)
    ]
    made = [Property(name=f"fivephase:stage:{each.stage}", value=each.fingerprint) for each in source.stages]
    model = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=folder.name,
        bom_ref="model",
        licenses=_licenses(license_name),
        properties=[Property(name="fivephase:architecture", value=source.architecture), *made],
        components=files,
    )
    data = [
        Component(
            type=ComponentType.DATA,
            name=each.get("name", f"data {number}"),
            bom_ref=f"data:{number}",
            description=each.get("description"),
            licenses=_licenses(each.get("licence")),
            properties=[
                Property(name=f"fivephase:{key}", value=str(each[key]))
                for key in ("domain", "source", "url", "synthetic", "documents")
                if each.get(key) is not None
            ],
        )
        for number, each in enumerate(source.datasets)
    ]
    packages = [_package(name, version) for name, version in sorted(_packages(source, versions))]
    bom = Bom(components=[*data, *packages])
    bom.metadata.component = model
    bom.register_dependency(model, [*data, *packages])
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    (folder / BOM).write_text(text + "\n")


def _packages(source: Source, versions: dict[str, str]) -> set[tuple[str, str]]:
    """Names and versions of all packages that any stage, or the export, worked with."""
    recorded = [each.packages for each in source.stages]
    return {pair for each in [*recorded, provenance()["packages"], versions] for pair in each.items()}


def _package(name: str, version: str) -> Any:
    from cyclonedx.model.component import Component, ComponentType  # pyright: ignore[reportMissingImports]
    from packageurl import PackageURL  # pyright: ignore[reportMissingImports]

    if name == "python":
        return Component(type=ComponentType.PLATFORM, name=name, version=version, bom_ref=f"{name}@{version}")
    purl = PackageURL("pypi", name=name, version=version)
    return Component(type=ComponentType.LIBRARY, name=name, version=version, purl=purl, bom_ref=f"{name}@{version}")


def _licenses(text: str | None) -> Iterable[Any]:
    """A license as an SPDX identifier where it is one, else by name."""
    from cyclonedx.contrib.license.factories import LicenseFactory  # pyright: ignore[reportMissingImports]

    return [LicenseFactory().make_from_string(text)] if text else []

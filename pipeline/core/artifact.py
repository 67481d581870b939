"""A stage's output: a folder with a manifest, which is written last, so that a folder without one is not finished.

The manifest names every file with size and SHA-256, and the stages that were read with their fingerprints, so that a
model's lineage can be followed from folder to folder.
"""

import dataclasses
import importlib.metadata
import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pipeline
from pipeline.core.errors import ArtifactError
from pipeline.core.files import files_below, read_json, sha256_of, sync, write_json
from pipeline.core.installation import CHECKOUT

MANIFEST = "manifest.json"
PARTIAL = "partial"
"""Folder of a stage in which its outputs are written."""
STATE = "state"
"""Folder of a stage with what an interrupted attempt continues from."""
PUBLISHING = "publishing.json"
"""The complete manifest under another name, while outputs are moved into place."""
RECORDED_PACKAGES = (
    "torch", "deepspeed", "transformers", "trl", "accelerate", "datasets", "datatrove", "tokenizers",
    "hydra-core", "wandb", "numpy",
)  # fmt: skip
"""Packages whose versions go into the manifest."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a stage made, from what, and how it went: the content of manifest.json."""

    stage: str
    kind: str
    """Name of the stage's `StageType`."""
    fingerprint: str
    """Hash of the resolved configuration, the fingerprints of the inputs and the kind's version."""
    inputs: dict[str, dict[str, str]]
    """Role to `{"stage", "fingerprint"}` of the artifact read."""
    files: dict[str, dict[str, Any]]
    """Path in the stage's folder to `{"size", "sha256"}`."""
    metrics: dict[str, float] = field(default_factory=dict)
    measure: str = ""
    """What `before` and `after` measure, for the summary table."""
    before: float | None = None
    after: float | None = None
    tokens: int = 0
    counts: dict[str, int] | None = None
    """`in`, `kept` and `removed` documents or samples, if the stage filters any."""
    samples: list[dict[str, str]] = field(default_factory=list)
    started: str = ""
    """Start of the attempt that finished: UTC, ISO 8601."""
    finished: str = ""
    seconds: float = 0.0
    """Wall-clock time of the attempt that finished."""
    peak_memory_bytes: int = 0
    """Largest resident memory of a rank or of one of its child processes."""
    attempt: int = 1
    world_size: int = 1
    git_revision: str | None = None
    packages: dict[str, str] = field(default_factory=dict)
    host: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Artifact:
    """The folder of a finished stage with its manifest, as stages get their inputs."""

    directory: Path
    manifest: Manifest

    @property
    def checkpoint(self) -> Path:
        """The Hugging Face folder that every stage which trains writes: weights, configuration, tokenizer."""
        return self.directory / "checkpoint"


def provenance() -> dict[str, Any]:
    """The manifest's fields `packages`, `host` and `git_revision`: with what and where this process works."""
    versions = {"fivephase": pipeline.__version__, "python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        versions[package] = importlib.metadata.version(package)
    host = {"name": platform.node(), "machine": platform.machine(), "system": platform.platform()}
    return {"packages": versions, "host": host, "git_revision": git_revision()}


def git_revision() -> str | None:
    """The checked-out revision of this package, with `-dirty` if files differ from it; None outside a checkout."""
    git = shutil.which("git")
    # A package in an environment below somebody's repository must not be given that repository's revision.
    if git is None or CHECKOUT is None or not (CHECKOUT / ".git").exists():
        return None
    command = [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    answer = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    return answer.stdout.strip() if answer.returncode == 0 else None


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a stage's folder, or None if the stage is not finished. Checks no files.

    Raises:
        ArtifactError: for a manifest that cannot be read.
    """
    path = directory / MANIFEST
    if not path.exists():
        return None
    try:
        return Manifest(**read_json(path))
    except (ValueError, TypeError) as error:
        raise ArtifactError(f"{path}: not a manifest ({error}); delete it to make the stage again") from None


def load(directory: Path, fingerprint: str | None = None, hashes: bool = True) -> Artifact:
    """Opens a finished stage's folder and checks its files against the manifest.

    Args:
        directory: the stage's folder.
        fingerprint: the configuration that it must have been made with; None takes any.
        hashes: compare the SHA-256 of every file, which reads all of them; otherwise only their sizes.

    Raises:
        ArtifactError: if the stage is not finished or was made with another configuration, or if a file is missing, cut
            short or changed.
    """
    manifest = read_manifest(directory)
    if manifest is None:
        raise ArtifactError(f"{directory}: not finished (no {MANIFEST}); run it with from={directory.name}")
    if fingerprint is not None and manifest.fingerprint != fingerprint:
        raise ArtifactError(
            f"{directory}: made with another configuration (fingerprint {manifest.fingerprint[:8]}, "
            f"wanted {fingerprint[:8]}); run again with from={directory.name}"
        )
    remedy = f"delete {directory / MANIFEST} and run again to make it anew"
    for name, expected in manifest.files.items():
        path = directory / name
        if not path.is_file():
            raise ArtifactError(f"{path}: missing; {remedy}")
        size = path.stat().st_size
        if size != expected["size"]:
            raise ArtifactError(f"{path}: has {size} bytes, its manifest says {expected['size']}; {remedy}")
        if hashes and sha256_of(path) != expected["sha256"]:
            raise ArtifactError(f"{path}: its content changed since it was made (SHA-256 differs); {remedy}")
    return Artifact(directory, manifest)


def publish(directory: Path, manifest: Manifest) -> Manifest:
    """Finishes a stage: moves its outputs from `partial/` into place, then writes the manifest. Rank 0 alone calls it.

    Hashes all outputs, writes the complete manifest under the name `publishing.json`, moves the outputs, and renames
    the manifest. A process killed at any point in between leaves what `finish_publishing` completes.

    Returns:
        The manifest with its field `files` filled in.
    """
    partial = directory / PARTIAL
    partial.mkdir(exist_ok=True)
    files: dict[str, dict[str, Any]] = {}
    for path in files_below(partial):
        sync(path)
        files[str(path.relative_to(partial))] = {"size": path.stat().st_size, "sha256": sha256_of(path)}
    complete = dataclasses.replace(manifest, files=files)
    write_json(directory / PUBLISHING, dataclasses.asdict(complete))
    finish_publishing(directory)
    return complete


def finish_publishing(directory: Path) -> None:
    """Completes a `publish` that was interrupted; does nothing if none was, so it may be called at any time."""
    if not (directory / PUBLISHING).exists():
        return
    partial = directory / PARTIAL
    for child in sorted(partial.iterdir()) if partial.exists() else []:
        child.rename(directory / child.name)
    sync(directory)
    (directory / PUBLISHING).rename(directory / MANIFEST)
    sync(directory)
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(directory / STATE, ignore_errors=True)

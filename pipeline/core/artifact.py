"""A stage's output: a folder whose manifest was written last.

No manifest: not done. The manifest names the manifests it was made from, so lineage is a walk over files.
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
STATE = "state"
PUBLISHING = "publishing.json"
RECORDED_PACKAGES = (
    "torch", "deepspeed", "transformers", "trl", "accelerate", "datasets", "datatrove", "tokenizers",
    "hydra-core", "wandb", "numpy",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a stage made, from what, and how it went."""

    stage: str
    kind: str
    fingerprint: str
    """Hash of the resolved configuration, the upstream fingerprints and the kind's version."""
    inputs: dict[str, dict[str, str]]
    """Role to `{"stage", "fingerprint"}` of the artifact read."""
    files: dict[str, dict[str, Any]]
    """Relative path to `{"size", "sha256"}`."""
    metrics: dict[str, float] = field(default_factory=dict)
    measure: str = ""
    """What `before` and `after` measure: the headline of the summary table."""
    before: float | None = None
    after: float | None = None
    tokens: int = 0
    counts: dict[str, int] | None = None
    """`in`, `kept` and `removed` of the documents or samples, where the stage filters."""
    samples: list[dict[str, str]] = field(default_factory=list)
    started: str = ""
    """UTC, ISO 8601."""
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
    """A finished stage's folder and its manifest."""

    directory: Path
    manifest: Manifest

    @property
    def checkpoint(self) -> Path:
        """The plain Hugging Face folder that a model stage emits."""
        return self.directory / "checkpoint"


def describe_environment() -> dict[str, Any]:
    """Packages, host and source revision, for the manifest."""
    versions = {"fivephase": pipeline.__version__, "python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        versions[package] = importlib.metadata.version(package)
    host = {"name": platform.node(), "machine": platform.machine(), "system": platform.platform()}
    return {"packages": versions, "host": host, "git_revision": _git_revision()}


def _git_revision() -> str | None:
    """The checked-out revision, with `-dirty` where files differ from it; None outside a checkout."""
    git = shutil.which("git")
    # A package in an environment below somebody's repository must not be given that repository's revision.
    if git is None or CHECKOUT is None or not (CHECKOUT / ".git").exists():
        return None
    command = [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    answer = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    return answer.stdout.strip() if answer.returncode == 0 else None


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a stage's folder, or None if the stage is not done.

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
    """Opens a finished stage's artifact and checks its files against the manifest.

    Raises:
        ArtifactError: if the stage is not done, was made with another configuration, or a file is
            missing, cut short or changed.
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
    """Moves what a stage wrote in `partial/` into place and writes its manifest last.

    A process killed in between leaves `publishing.json`; `finish_publishing` completes it.
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
    """Completes an interrupted `publish`, if there is one. Safe to call at any time."""
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

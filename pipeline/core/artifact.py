"""A stage's output: a folder with a manifest, which is written last, so that a folder without one is not finished.

The manifest names every file with size and SHA-256, and the stages that were read with their fingerprints, so that a
model's lineage can be followed from folder to folder.
"""

import contextlib
import dataclasses
import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pipeline
from pipeline.core.config import build
from pipeline.core.config import fingerprint as fingerprint_of
from pipeline.core.errors import ArtifactError, ConfigError
from pipeline.core.files import files_below, hashes_of, read_json, sha256_of, sync, write_json, xxh3_of
from pipeline.core.installation import CHECKOUT

MANIFEST = "manifest.json"
PARTIAL = "partial"
"""Folder of a stage in which its outputs are written."""
STATE = "state"
"""Folder of a stage with what an interrupted attempt continues from."""
PUBLISHING = "publishing.json"
"""The complete manifest under another name, while outputs are moved into place."""
TERABYTES = ("documents", "tokens")
"""Folders of outputs that grow with the training data. All others, such as checkpoints, are hashed whenever read."""
MODEL_FOLDERS = ("model", "checkpoint")
"""Where a stage keeps its model: `release` in the first, stages that train in the second."""
IMPORTED = "imported.json"
"""File of an imported model's artifact: where it came from, its context, and reference logits."""
RECORDED_PACKAGES = (
    "torch", "deepspeed", "transformers", "trl", "accelerate", "datasets", "datatrove", "tokenizers",
    "hydra-core", "wandb", "numpy",
)  # fmt: skip
"""Packages whose versions go into the manifest, of those that are installed: no stage needs all of them."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a stage made, from what, and how it went: the content of manifest.json."""

    stage: str
    kind: str
    """Name of the stage's `StageType`."""
    fingerprint: str
    """Hash of the resolved configuration, the fingerprints of the inputs and the kind's version."""
    inputs: dict[str, dict[str, str]]
    """Role to `{"stage", "fingerprint", "content"}` of the artifact read; `content` is its manifest's. With `folder`,
    the artifact is another run's: where it lies, from the run's folder."""
    files: dict[str, dict[str, Any]]
    """Path in the stage's folder to `{"size", "sha256", "xxh3"}`."""
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
    """Most resident memory that rank 0 and its child processes held together (`pipeline.core.memory`)."""
    attempt: int = 1
    world_size: int = 1
    git_revision: str | None = None
    code: str | None = None
    """Hash of this package's sources (`pipeline.core.installation.code_hash`)."""
    packages: dict[str, str] = field(default_factory=dict)
    host: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """A hash of the names and SHA-256 of all files: equal for two artifacts of equal bytes, whenever made."""
        return fingerprint_of({name: each["sha256"] for name, each in self.files.items()})


@dataclass(frozen=True)
class Artifact:
    """The folder of a finished stage with its manifest, as stages get their inputs."""

    directory: Path
    manifest: Manifest

    @property
    def checkpoint(self) -> Path:
        """The Hugging Face folder that every stage which trains writes: weights, configuration, tokenizer."""
        return self.directory / "checkpoint"


def stage_model(directory: Path) -> Path | None:
    """The Hugging Face folder that a stage's folder holds; None if it has none."""
    folders = (directory / name for name in MODEL_FOLDERS)
    return next((folder for folder in folders if (folder / "config.json").is_file()), None)


def provenance() -> dict[str, Any]:
    """The manifest's fields `packages`, `host` and `git_revision`: with what and where this process works."""
    versions = {"fivephase": pipeline.__version__, "python": platform.python_version()}
    for package in RECORDED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
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


def read_manifest(directory: Path, name: str = MANIFEST) -> Manifest | None:
    """The manifest of a stage's folder, or None if the stage is not finished. Checks no files.

    Args:
        directory: the stage's folder.
        name: the file; `publishing.json` is the manifest of a stage whose outputs are being moved.

    Raises:
        ArtifactError: for a manifest that cannot be read.
    """
    path = directory / name
    if not path.exists():
        return None
    try:
        manifest = build(Manifest, read_json(path), "")
        for each in manifest.files.values():
            _ = each["size"], each["sha256"]
        for each in manifest.inputs.values():
            _ = each["stage"], each["fingerprint"]
        return manifest
    except KeyError as error:
        raise ArtifactError(f"{path}: not a manifest (no {error} of a file or an input); {remedy(directory)}") from None
    except (ConfigError, OSError, ValueError, TypeError) as error:
        why = str(error).removeprefix(f"{path}: ")
        raise ArtifactError(f"{path}: not a manifest ({why}); {remedy(directory)}") from None


def remedy(directory: Path) -> str:
    """What a message tells the user to do about a stage whose folder is damaged."""
    return (
        f"`fivephase remake {directory.name} run={directory.parent.name}`, with the other overrides of the run, sets "
        "it aside and makes it anew (with --dependents, also what was made from it)"
    )


def input_folder(run: Path, read: Mapping[str, str]) -> Path:
    """The folder of an artifact that a stage of a run reads, which may be another run's.

    Args:
        run: the run's folder.
        read: an entry of `inputs` of a manifest or a frozen configuration.
    """
    return Path(os.path.normpath(run / read.get("folder", read["stage"])))


def load(
    directory: Path, fingerprint: str | None = None, hashes: bool = True, rank: int = 0, world_size: int = 1
) -> Artifact:
    """Opens a finished stage's folder and checks it against the manifest: all its files are there, and no others.

    Args:
        directory: the stage's folder.
        fingerprint: the configuration that it must have been made with; None takes any.
        hashes: compare the hash of every file, which reads all of them; otherwise of documents and tokens, which can be
            terabytes, only the sizes.
        rank: of the ranks that share the hashing; this one hashes every `world_size`-th file.
        world_size: number of these ranks.

    Raises:
        ArtifactError: if the stage is not finished or was made with another configuration, if a file is missing, cut
            short or changed, or if there is a file that was not published.
    """
    manifest = _checked(directory, fingerprint)
    names = [name for name in manifest.files if hashes or name.split("/")[0] not in TERABYTES]
    for name in names[rank::world_size]:
        expected = manifest.files[name]
        # Manifests of earlier versions have SHA-256 alone.
        found = xxh3_of(directory / name) if "xxh3" in expected else sha256_of(directory / name)
        if found != expected.get("xxh3", expected["sha256"]):
            raise ArtifactError(
                f"{directory / name}: its content changed since it was made (hash differs); {remedy(directory)}"
            )
    return Artifact(directory, manifest)


def check_sizes(directory: Path, fingerprint: str | None = None) -> Artifact:
    """As `load`, but reads no file: content that changed without changing a size is not found.

    Raises:
        ArtifactError: as `load`.
    """
    return Artifact(directory, _checked(directory, fingerprint))


def _checked(directory: Path, fingerprint: str | None) -> Manifest:
    manifest = read_manifest(directory)
    if manifest is None:
        raise ArtifactError(f"{directory}: not finished (no {MANIFEST}); run it with from={directory.name}")
    if fingerprint is not None and manifest.fingerprint != fingerprint:
        raise ArtifactError(
            f"{directory}: made with another configuration (fingerprint {manifest.fingerprint[:8]}, "
            f"wanted {fingerprint[:8]}); run again with from={directory.name}"
        )
    for name, expected in manifest.files.items():
        path = directory / name
        if not path.is_file():
            raise ArtifactError(f"{path}: missing; {remedy(directory)}")
        size = path.stat().st_size
        if size != expected["size"]:
            raise ArtifactError(f"{path}: has {size} bytes, its manifest says {expected['size']}; {remedy(directory)}")
    # What reads a folder takes the files that it finds there.
    for top in sorted({name.split("/")[0] for name in manifest.files if "/" in name}):
        for path in files_below(directory / top):
            # Such as .DS_Store and .nfs0001, which file managers and file systems make.
            if not path.name.startswith(".") and str(path.relative_to(directory)) not in manifest.files:
                raise ArtifactError(
                    f"{path}: not made by this stage (its manifest has no such file); move it elsewhere"
                )
    return manifest


def publish(directory: Path, manifest: Manifest) -> Manifest:
    """Finishes a stage: moves its outputs from `partial/` into place, then writes the manifest. Rank 0 alone calls it.

    Hashes all outputs, writes the complete manifest under the name `publishing.json`, moves the outputs, and renames
    the manifest. A process killed at any point in between leaves what `finish_publishing` completes. Files whose names
    begin with a dot are what a kill left of a file half written: they are removed.

    Returns:
        The manifest with its field `files` filled in.
    """
    partial = directory / PARTIAL
    partial.mkdir(exist_ok=True)
    remove_temporaries(partial)
    files: dict[str, dict[str, Any]] = {}
    for path in files_below(partial):
        sync(path)
        files[str(path.relative_to(partial))] = {"size": path.stat().st_size, **hashes_of(path)}
    complete = dataclasses.replace(manifest, files=files)
    write_json(directory / PUBLISHING, dataclasses.asdict(complete))
    finish_publishing(directory)
    return complete


def remove_temporaries(folder: Path) -> None:
    """Removes the files below a folder whose names begin with a dot: what a kill left of files half written."""
    for path in files_below(folder):
        if path.name.startswith("."):
            path.unlink()


def finish_publishing(directory: Path) -> None:
    """Completes a `publish` that was interrupted and removes what is left of the work; does nothing to other folders.

    Whoever calls it holds the stage's lock.

    Raises:
        ArtifactError: if the manifest that was to be published cannot be read, which damages nothing further.
    """
    partial = directory / PARTIAL
    if read_manifest(directory, PUBLISHING) is not None:
        for child in sorted(partial.iterdir()) if partial.exists() else []:
            place = directory / child.name
            # Outputs of a manifest that somebody deleted: a folder cannot be renamed to one that has something in it.
            if place.is_dir():
                shutil.rmtree(place)
            child.rename(place)
        sync(directory)
        (directory / PUBLISHING).rename(directory / MANIFEST)
        sync(directory)
    if (directory / MANIFEST).exists():
        for left in (partial, directory / STATE):
            shutil.rmtree(left, ignore_errors=True)
        for temporary in directory.glob(".*.json.*"):
            temporary.unlink()


def is_tidy(directory: Path) -> bool:
    """Whether `finish_publishing` would find nothing to do in a finished stage's folder."""
    return not any((directory / name).exists() for name in (PUBLISHING, PARTIAL, STATE))

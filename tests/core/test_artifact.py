"""Artifacts: published whole, verified when read."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from pipeline.core.artifact import MANIFEST, PARTIAL, PUBLISHING, Manifest, finish_publishing, load, publish
from pipeline.core.errors import ArtifactError
from pipeline.core.files import read_json, write_json

UNFINISHED = Manifest(stage="phase1", kind="pretrain", fingerprint="f" * 64, inputs={}, files={})


def made(directory: Path) -> Path:
    (directory / PARTIAL / "checkpoint").mkdir(parents=True)
    (directory / PARTIAL / "checkpoint" / "model.safetensors").write_bytes(b"weights" * 100)
    (directory / PARTIAL / "report.json").write_text("{}")
    publish(directory, UNFINISHED)
    return directory


def test_a_published_artifact_loads(tmp_path: Path) -> None:
    artifact = load(made(tmp_path / "phase1"), "f" * 64)
    assert sorted(artifact.manifest.files) == ["checkpoint/model.safetensors", "report.json"]
    assert artifact.checkpoint.is_dir()
    assert not (tmp_path / "phase1" / PARTIAL).exists()


def test_an_unfinished_stage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not finished"):
        load(tmp_path / "phase1")


def test_another_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"made with another configuration.*wanted 00000000"):
        load(made(tmp_path / "phase1"), "0" * 64)


def test_damage_is_found(tmp_path: Path) -> None:
    weights = Path("checkpoint/model.safetensors")
    changed = made(tmp_path / "changed")
    (changed / weights).write_bytes(b"Weights" * 100)
    with pytest.raises(ArtifactError, match="content changed since it was made"):
        load(changed)
    assert load(changed, hashes=False)
    short = made(tmp_path / "short")
    (short / weights).write_bytes(b"weights" * 99)
    with pytest.raises(ArtifactError, match="has 693 bytes, its manifest says 700"):
        load(short, hashes=False)
    missing = made(tmp_path / "missing")
    (missing / weights).unlink()
    with pytest.raises(ArtifactError, match=r"model\.safetensors: missing"):
        load(missing)


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_interrupted_publishing_is_completed(tmp_path: Path, moved: int) -> None:
    """Killed after the plan was written, with none, some or all files in place."""
    whole = made(tmp_path / "whole")
    killed = tmp_path / "killed"
    shutil.copytree(whole, killed)
    (killed / MANIFEST).rename(killed / PUBLISHING)
    (killed / PARTIAL).mkdir()
    for name in ["checkpoint", "report.json"][moved:]:
        (killed / name).rename(killed / PARTIAL / name)
    finish_publishing(killed)
    assert load(killed).manifest == load(whole).manifest
    finish_publishing(killed)
    assert sorted(path.name for path in killed.iterdir()) == ["checkpoint", MANIFEST, "report.json"]


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / MANIFEST, {**dataclasses.asdict(UNFINISHED), "surprise": 1})
    with pytest.raises(ArtifactError, match=r"manifest\.json: not a manifest"):
        load(tmp_path)
    assert read_json(tmp_path / MANIFEST)["surprise"] == 1

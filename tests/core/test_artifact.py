"""Artifacts: published whole, verified when read."""

import dataclasses
import importlib.metadata
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.artifact import (
    MANIFEST,
    PARTIAL,
    PUBLISHING,
    RECORDED_PACKAGES,
    Manifest,
    check_sizes,
    finish_publishing,
    load,
    provenance,
    publish,
)
from pipeline.core.errors import ArtifactError
from pipeline.core.files import read_json, write_json

UNFINISHED = Manifest(stage="phase1", kind="pretrain", fingerprint="f" * 64, inputs={}, files={})


OUTPUTS = {"checkpoint/model.safetensors": b"weights" * 100, "report.json": b"{}"}


def made(directory: Path, outputs: Mapping[str, bytes] = OUTPUTS) -> Path:
    for name, content in outputs.items():
        (directory / PARTIAL / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / PARTIAL / name).write_bytes(content)
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


def test_damage_is_found_and_the_remedy_named(tmp_path: Path) -> None:
    weights = Path("checkpoint/model.safetensors")
    changed = made(tmp_path / "changed")
    (changed / weights).write_bytes(b"Weights" * 100)
    with pytest.raises(ArtifactError, match=r"content changed since it was made .* `fivephase remake changed run="):
        load(changed)
    assert check_sizes(changed)
    short = made(tmp_path / "short")
    (short / weights).write_bytes(b"weights" * 99)
    with pytest.raises(ArtifactError, match="has 693 bytes, its manifest says 700"):
        check_sizes(short)
    missing = made(tmp_path / "missing")
    (missing / weights).unlink()
    with pytest.raises(ArtifactError, match=r"model\.safetensors: missing"):
        check_sizes(missing)


def test_a_flipped_byte_of_a_checkpoint_is_found_at_every_scale(tmp_path: Path) -> None:
    """`hashes=False` spares terabytes of documents and tokens alone."""
    stage = made(tmp_path / "stage", {"documents/code/00000.jsonl.gz": b"text", "training_state/state": b"moments"})
    (stage / "documents/code/00000.jsonl.gz").write_bytes(b"Text")
    assert load(stage, hashes=False)
    with pytest.raises(ArtifactError, match=r"00000\.jsonl\.gz: its content changed"):
        load(stage)
    (stage / "training_state/state").write_bytes(b"Moments")
    with pytest.raises(ArtifactError, match="training_state/state: its content changed"):
        load(stage, hashes=False)


def test_ranks_share_the_hashing(tmp_path: Path) -> None:
    stage = made(tmp_path / "stage", {f"checkpoint/{number}": b"weights" for number in range(5)})
    (stage / "checkpoint/3").write_bytes(b"Weights")
    found = []
    for rank in range(3):
        try:
            load(stage, rank=rank, world_size=3)
        except ArtifactError:
            found.append(rank)
    assert found == [0]


def test_a_file_that_was_not_published_is_refused(tmp_path: Path) -> None:
    """Whoever reads a folder reads all that it finds there."""
    stage = made(tmp_path / "stage", {"documents/code/00000.jsonl.gz": b"text"})
    (stage / "documents/code/99999.jsonl.gz").write_bytes(b"more")
    (stage / "attempts").mkdir()
    (stage / "documents/code/.DS_Store").touch()
    with pytest.raises(ArtifactError, match=r"99999\.jsonl\.gz: not made by this stage"):
        check_sizes(stage)
    (stage / "documents/code/99999.jsonl.gz").unlink()
    assert check_sizes(stage)


def test_what_a_kill_left_half_written_is_not_published(tmp_path: Path) -> None:
    stage = made(tmp_path / "stage", {"training_state/progress.json": b"{}", "training_state/.progress.json.17": b"{"})
    assert list(load(stage).manifest.files) == ["training_state/progress.json"]
    assert not (stage / "training_state/.progress.json.17").exists()


def test_outputs_without_their_manifest_are_replaced(tmp_path: Path) -> None:
    """Whoever deletes a manifest, and makes the stage again, gets an artifact."""
    stage = made(tmp_path / "stage", {"documents/code/1": b"old", "report.json": b"old"})
    (stage / MANIFEST).unlink()
    made(stage, {"documents/code/2": b"new", "report.json": b"new"})
    assert sorted(load(stage).manifest.files) == ["documents/code/2", "report.json"]


def test_equal_bytes_are_equal_content(tmp_path: Path) -> None:
    one, same, other = (made(tmp_path / name, {"a": text}) for name, text in [("1", b"x"), ("2", b"x"), ("3", b"y")])
    content = [load(stage).manifest.content for stage in (one, same, other)]
    assert content[0] == content[1] != content[2]


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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metrics": [1]}, "metrics=.1.: input should be"),
        ({"inputs": "x"}, "inputs='x': input should be"),
        ({"inputs": {"model": {"stage": "phase1"}}}, "no 'fingerprint' of a file or an input"),
        ({"files": {"a": 3}}, "files.a=3: input should be"),
        ({"files": {"a": {"size": 3}}}, "no 'sha256' of a file or an input"),
    ],
)
def test_a_manifest_of_another_form_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    write_json(tmp_path / MANIFEST, {**dataclasses.asdict(UNFINISHED), **change})
    with pytest.raises(ArtifactError, match=rf"manifest\.json: not a manifest \({said}.*\); `fivephase remake"):
        load(tmp_path)


def test_a_manifest_needs_no_package_that_the_stage_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a package is not installed, as wandb or datatrove on a machine that only trains, none is recorded."""
    installed = provenance()["packages"]
    assert installed["torch"] == importlib.metadata.version("torch")
    assert {"fivephase", "python", *RECORDED_PACKAGES} == installed.keys()
    monkeypatch.setattr(sys, "path", [each for each in sys.path if "site-packages" not in each])
    importlib.invalidate_caches()
    assert provenance()["packages"].keys() == {"fivephase", "python"}

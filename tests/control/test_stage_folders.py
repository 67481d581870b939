"""Skipping, superseding and setting aside the folders of stages of the real smoke configuration."""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest

from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import FrozenStage, freeze, read_frozen, select
from pipeline.control.stage_folders import check_upstream, is_done, prepare, set_aside
from pipeline.core.artifact import MANIFEST, PARTIAL, Manifest, load, publish
from pipeline.core.config import RunConfig
from pipeline.core.errors import ArtifactError, BusyError
from pipeline.core.lock import stage_lock


def configured(*overrides: str) -> RunConfig:
    return typed(compose(["scale=smoke", *overrides]))


def finish(stage: FrozenStage, root: Path, text: str = "made") -> None:
    """Makes a stage's artifact as a worker would."""
    partial = stage.directory(root) / PARTIAL
    partial.mkdir(parents=True)
    (partial / "output.txt").write_text(text)
    manifest = Manifest(
        stage=stage.stage, kind=stage.kind, fingerprint=stage.fingerprint, inputs=stage.inputs, files={}
    )
    publish(stage.directory(root), manifest)


def test_done_stages_are_skipped_and_superseded_ones_come_back(tmp_path: Path) -> None:
    original = freeze(configured())[0]
    changed = dataclasses.replace(original, fingerprint="0" * 64)
    assert not prepare(original, tmp_path)
    finish(original, tmp_path, "original")
    assert prepare(original, tmp_path)

    assert not prepare(changed, tmp_path)
    assert not (original.directory(tmp_path) / "output.txt").exists()
    finish(changed, tmp_path, "changed")

    assert prepare(original, tmp_path)
    assert (original.directory(tmp_path) / "output.txt").read_text() == "original"
    assert prepare(changed, tmp_path)
    assert (original.directory(tmp_path) / "output.txt").read_text() == "changed"


def test_partial_work_of_another_configuration_is_not_continued(tmp_path: Path) -> None:
    original = freeze(configured())[0]
    prepare(original, tmp_path)
    state = original.directory(tmp_path) / "state"
    state.mkdir()
    prepare(dataclasses.replace(original, fingerprint="0" * 64), tmp_path)
    assert not state.exists()
    prepare(original, tmp_path)
    assert state.exists()


def test_a_part_of_a_run_needs_what_comes_before(tmp_path: Path) -> None:
    stages = freeze(configured())
    part = select(stages, "synthesize", "tokenizer")
    tokenizer_reads = {each["stage"] for each in part[-1].inputs.values()}
    assert "curate" in tokenizer_reads
    with pytest.raises(
        ArtifactError,
        match=r"reads curate .* has not been made with this configuration; "
        r"`fivephase run run=smoke from=curate to=tokenizer`, with",
    ):
        check_upstream(stages, part, tmp_path)
    finish(stages[0], tmp_path)
    check_upstream(stages, part, tmp_path)
    assert is_done(stages[0], stages[0].directory(tmp_path))


def test_all_that_is_missing_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    """As after `fivephase remake sft --dependents`: what was made before sft is there, and nothing after."""
    stages = freeze(configured())
    names = [stage.stage for stage in stages]
    for stage in stages[: names.index("sft") + 1]:
        finish(stage, tmp_path)
    with pytest.raises(ArtifactError) as refused:
        check_upstream(stages, select(stages, "rl_math", None), tmp_path)
    said, begin = str(refused.value), min(names.index("reward_model"), names.index("rl_multi_domain"))
    for name in ("reward_model", "rl_multi_domain", "rl_rlhf", "rl_identity", "evaluate_sft"):
        assert f" {name}," in said
    assert "which have not been made with this configuration; `fivephase run run=smoke from=" in said
    first = said.partition(" from=")[2].partition("`")[0]
    assert names.index(first) <= begin
    check_upstream(stages, select(stages, first, None), tmp_path)  # the remedy


def test_a_running_stage_keeps_its_folder(tmp_path: Path) -> None:
    """Another configuration, or the same one again, is refused with who runs and the keys that differ."""
    original = freeze(configured())[0]
    changed = dataclasses.replace(original, fingerprint="0" * 64, config={**original.config, "documents_per_file": 7})
    assert not prepare(original, tmp_path)
    with stage_lock(original.directory(tmp_path)):
        there = original.config["documents_per_file"]
        differing = rf"another configuration \(config\.documents_per_file: {there}, here 7\); wait for it"
        with pytest.raises(BusyError, match=rf"process {os.getpid()} on .* works on this stage with {differing}"):
            prepare(changed, tmp_path)
        with pytest.raises(BusyError, match=r"works on this stage; wait for it, or stop it first"):
            prepare(original, tmp_path)
    assert not prepare(changed, tmp_path)


def test_what_a_running_stage_reads_stays_where_it_is(tmp_path: Path) -> None:
    stages = {stage.stage: stage for stage in freeze(configured())}
    prepare(stages["tokenize"], tmp_path)
    finish(stages["tokenize"], tmp_path)
    with stage_lock(stages["phase1"].directory(tmp_path), ["tokenize"]):
        assert prepare(stages["tokenize"], tmp_path)
        with pytest.raises(BusyError, match=rf"tokenize: process {os.getpid()} on .* reads it"):
            prepare(dataclasses.replace(stages["tokenize"], fingerprint="0" * 64), tmp_path)
        with pytest.raises(BusyError, match="reads it"):
            set_aside(stages["tokenize"], tmp_path)
    assert load(stages["tokenize"].directory(tmp_path))


def test_a_stage_set_aside_is_made_anew(tmp_path: Path) -> None:
    stage = freeze(configured())[0]
    assert set_aside(stage, tmp_path) is None
    prepare(stage, tmp_path)
    finish(stage, tmp_path)
    (stage.directory(tmp_path) / MANIFEST).write_text("")
    with pytest.raises(ArtifactError, match=r"manifest\.json: not a manifest .* `fivephase remake curate run=smoke`"):
        prepare(stage, tmp_path)
    places = []
    for _ in range(2):
        places.append(set_aside(stage, tmp_path))
        assert not prepare(stage, tmp_path)
        finish(stage, tmp_path)
        assert prepare(stage, tmp_path)
    assert [place.name for place in places if place] == ["curate-remade", "curate-remade.1"]


def test_a_copied_or_renamed_run_is_done(tmp_path: Path) -> None:
    stage = freeze(configured())[0]
    prepare(stage, tmp_path)
    finish(stage, tmp_path)
    (tmp_path / stage.run).rename(tmp_path / "renamed")
    shutil.copytree(tmp_path / "renamed", tmp_path / "copied")
    for name in ("renamed", "copied"):
        assert prepare(freeze(configured(f"run={name}"))[0], tmp_path)
        assert is_done(read_frozen(tmp_path / name / "curate"), tmp_path / name / "curate")


def test_a_stage_made_from_files_that_were_replaced_is_not_done(tmp_path: Path) -> None:
    """Data and manifest are replaced together, so that all hashes are right."""
    stages = freeze(configured())
    curate, tokenizer = stages[0], next(stage for stage in stages if stage.stage == "tokenizer")
    finish(curate, tmp_path)
    content = load(curate.directory(tmp_path)).manifest.content
    read = {role: {**each, "content": content} for role, each in tokenizer.inputs.items() if each["stage"] == "curate"}
    finish(dataclasses.replace(tokenizer, inputs=read), tmp_path)
    directory = tokenizer.directory(tmp_path)
    assert is_done(tokenizer, directory)
    set_aside(curate, tmp_path)
    assert is_done(tokenizer, directory)
    finish(curate, tmp_path)
    assert is_done(tokenizer, directory)
    set_aside(curate, tmp_path)
    finish(curate, tmp_path, "replaced")
    with pytest.raises(
        ArtifactError, match=r"made from other files of curate .* `fivephase remake tokenizer run=smoke`"
    ):
        is_done(tokenizer, directory)

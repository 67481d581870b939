"""Freezing, skipping and superseding stages of the real smoke configuration."""

import dataclasses
from pathlib import Path

import pytest

from pipeline.control.compose import compose, typed
from pipeline.control.run import FrozenStage, check_upstream, freeze, is_done, prepare, select
from pipeline.core.artifact import PARTIAL, Manifest, publish
from pipeline.core.config import RunConfig
from pipeline.core.errors import ArtifactError, ConfigError


def configured(*overrides: str) -> RunConfig:
    return typed(compose(["scale=smoke", *overrides]))


def fingerprints(*overrides: str) -> dict[str, str]:
    return {stage.stage: stage.fingerprint for stage in freeze(configured(*overrides))}


def finish(stage: FrozenStage, root: Path, text: str = "made") -> None:
    """Makes a stage's artifact as a worker would."""
    partial = stage.directory(root) / PARTIAL
    partial.mkdir(parents=True)
    (partial / "output.txt").write_text(text)
    manifest = Manifest(
        stage=stage.stage, kind=stage.kind, fingerprint=stage.fingerprint, inputs=stage.inputs, files={}
    )
    publish(stage.directory(root), manifest)


def test_a_changed_override_changes_what_depends_on_it_and_nothing_else() -> None:
    before, after = fingerprints(), fingerprints("stages.phase3.config.tokens=8192")
    changed = {name for name in before if before[name] != after[name]}
    untouched = {"curate", "synthesize", "tokenizer", "tokenize", "phase1", "phase2", "sft_data"}
    assert not changed & untouched
    assert changed == set(before) - untouched


@pytest.mark.parametrize(
    "override",
    [
        "run=other",
        "root=/elsewhere",
        "tracking=off",
        "stages.phase1.config.save_every_steps=7",
        "+resources.pretraining.threads=1",
        "stages.curate.config.workers=1",
    ],
)
def test_what_cannot_change_the_result_is_no_part_of_the_fingerprint(override: str) -> None:
    assert fingerprints(override) == fingerprints()


def test_the_seed_changes_every_stage() -> None:
    before, after = fingerprints(), fingerprints("seed=1")
    assert all(before[name] != after[name] for name in before)


def test_a_stage_may_be_left_out_if_nothing_reads_it() -> None:
    assert "release" in fingerprints()
    assert "release" not in fingerprints("stages.release=null")
    with pytest.raises(ConfigError, match=r"stages\.phase2\.inputs\.model=phase1: no such stage before phase2"):
        freeze(configured("stages.phase1=null"))


def test_select() -> None:
    stages = freeze(configured())
    names = [stage.stage for stage in select(stages, "phase2", "phase4")]
    assert names == ["phase2", "phase3", "phase4"]
    with pytest.raises(ConfigError, match=r"from=phase9: unknown stage, did you mean phase"):
        select(stages, "phase9", None)
    with pytest.raises(ConfigError, match="phase4 comes after phase2"):
        select(stages, "phase4", "phase2")


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
        ArtifactError, match=r"reads curate .* has not been made with this configuration; run from=curate"
    ):
        check_upstream(stages, part, tmp_path)
    finish(stages[0], tmp_path)
    check_upstream(stages, part, tmp_path)
    assert is_done(stages[0], tmp_path)

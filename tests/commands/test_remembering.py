"""What a run remembers of its settings, what is said of changed ones, and who may change them."""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.commands.changes import say_changes
from pipeline.commands.composed import ComposedRun, composed
from pipeline.commands.remembering import remembering
from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import FrozenStage, write_frozen
from pipeline.control.run_settings import (
    REMEMBERED,
    changed_settings,
    merge_overrides,
    read_settings,
    settings_of,
    write_settings,
)
from pipeline.core.artifact import PARTIAL, Manifest, publish
from pipeline.core.config import RunConfig
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR, BusyError, ConfigError, DamagedFileError
from pipeline.core.lock import stage_lock
from tests.runs import frozen_stage


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return typed(compose(["scale=smoke"]))


def made(
    config: RunConfig, root: Path, *stages: FrozenStage, overrides: tuple[str, ...] = ("scale=smoke",)
) -> ComposedRun:
    """A run of these stages, as a command would compose it."""
    here = dataclasses.replace(config, root=str(root), run="abl")
    settings = settings_of(here, stages, overrides, None)
    chain = {each.stage: {"kind": each.kind, "inputs": {}, "config": each.config} for each in stages}
    settings.configuration["stages"] = chain
    return ComposedRun(here, list(stages), settings, read_settings(root / "abl"))


def finish(stage: FrozenStage, root: Path) -> None:
    directory = stage.directory(root)
    (directory / PARTIAL).mkdir(parents=True)
    write_frozen(directory, stage)
    publish(directory, Manifest(stage=stage.stage, kind=stage.kind, fingerprint=stage.fingerprint, inputs={}, files={}))


def test_given_overrides_come_on_top_of_remembered_ones() -> None:
    remembered = ["scale=smoke", "+stages.phase1.config.x=1", "seed=1", "~stages.release"]
    assert merge_overrides(remembered, ["seed=2", "stages.phase1.config.x=3"]) == [
        "scale=smoke", "~stages.release", "seed=2", "stages.phase1.config.x=3",
    ]  # fmt: skip


def test_what_is_remembered_does_not_say_where_or_which_part(config: RunConfig, tmp_path: Path) -> None:
    overrides = ["scale=smoke", "run=abl", f"root={tmp_path}", "from=phase1", "to=phase2", "seed=1"]
    settings = settings_of(config, [frozen_stage("phase1", "a")], overrides, "../../conf")
    assert settings.overrides == ["scale=smoke", "seed=1"]
    assert not {"run", "root", "first", "last"} & settings.configuration.keys()
    write_settings(tmp_path / "abl", settings)
    assert read_settings(tmp_path / "abl") == settings


def test_a_run_that_is_moved_finds_its_settings(config: RunConfig, tmp_path: Path) -> None:
    write_settings(tmp_path / "abl", settings_of(config, [], ["scale=smoke", "seed=7"], None))
    (tmp_path / "abl").rename(tmp_path / "renamed")
    options = argparse.Namespace(overrides=["run=renamed", f"root={tmp_path}"], config_dir=None, fresh=False)
    found, overrides, _ = composed(options)
    assert (found.seed, found.run, found.root) == (7, "renamed", str(tmp_path))
    assert overrides == ["scale=smoke", "seed=7", *options.overrides]


def test_a_setting_that_stages_share_is_listed_once(config: RunConfig, tmp_path: Path) -> None:
    names = ("phase1", "phase2", "phase3")
    old = made(config, tmp_path, *(frozen_stage(name, "a", config={"model": {"layers": 4}}) for name in names))
    new = made(config, tmp_path, *(frozen_stage(name, "b", config={"model": {"layers": 5}}) for name in names))
    (change,) = changed_settings(old.settings, new.settings)
    assert (change.stages, change.key, change.old, change.new) == (names, "model.layers", "4", "5")
    assert changed_settings(old.settings, old.settings) == []


@pytest.mark.parametrize(("after", "key"), [({"version": 2}, "(version of its kind)"), ({}, "(its files or defaults)")])
def test_what_is_no_setting_is_named_too(config: RunConfig, tmp_path: Path, after: dict[str, Any], key: str) -> None:
    old = made(config, tmp_path, frozen_stage("curate", "a"), frozen_stage("tokenize", "c"))
    new = made(config, tmp_path, frozen_stage("curate", "b", **after), frozen_stage("tokenize", "c"))
    assert [(each.stages, each.key) for each in changed_settings(old.settings, new.settings)] == [(("curate",), key)]


def test_finished_work_is_set_aside_only_when_told_to(
    config: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = made(config, tmp_path, frozen_stage("phase1", "a"), frozen_stage("phase2", "a"))
    with remembering(old, yes=False):
        finish(old.stages[0], tmp_path)
    new = made(config, tmp_path, frozen_stage("phase1", "b", config={"tokens": 6}), frozen_stage("phase2", "b"))
    assert new.before is not None
    say_changes(new.folder, new.stages, new.before, new.settings)
    said = capsys.readouterr().err
    assert [line.split() for line in said.splitlines() if "tokens" in line] == [["tokens", "5", "6", "phase1"]]
    assert "  finished, to be set aside and made anew: phase1\n" in said
    assert max(map(len, said.splitlines()[1:])) <= 80
    with (
        pytest.raises(ConfigError, match=r"abl: phase1: finished, and would be set aside .*; add --yes"),
        remembering(new, False),
    ):
        pass
    assert read_settings(old.folder) == old.settings
    with remembering(new, yes=True):
        assert read_settings(old.folder) == new.settings
    # Before the stage was come to, the command was killed: it was agreed to once.
    with remembering(new, yes=False):
        pass


def test_settings_change_freely_where_nothing_finished_is_lost(config: RunConfig, tmp_path: Path) -> None:
    old = made(config, tmp_path, frozen_stage("phase1", "a"), frozen_stage("phase2", "a"))
    with remembering(old, yes=False):
        finish(old.stages[0], tmp_path)
    new = made(config, tmp_path, frozen_stage("phase1", "a"), frozen_stage("phase2", "b"))
    with remembering(new, yes=False):
        assert read_settings(old.folder) == new.settings


def test_a_command_keeps_others_from_changing_the_settings(config: RunConfig, tmp_path: Path) -> None:
    """Between two stages too, when no stage's lock is held."""
    old, new = (made(config, tmp_path, frozen_stage("phase1", fingerprint)) for fingerprint in "ab")
    with remembering(old, yes=False):
        with remembering(old, yes=False):
            pass
        with (
            pytest.raises(BusyError, match="works on this run with other settings; wait for it"),
            remembering(new, True),
        ):
            pass
    with (
        stage_lock(tmp_path / "abl" / "phase1"),
        pytest.raises(BusyError, match="other settings"),
        remembering(new, True),
    ):
        pass
    assert read_settings(old.folder) == old.settings
    with remembering(new, yes=True):
        pass


def test_a_run_made_before_is_read_from_its_stages_or_asks_for_its_scale(config: RunConfig, tmp_path: Path) -> None:
    stage = frozen_stage("phase1", "a")
    finish(stage, tmp_path)
    same, other = (made(config, tmp_path, frozen_stage("phase1", fingerprint), overrides=()) for fingerprint in "ab")
    assert same.before is not None
    assert same.before.scale is None
    assert same.before.configuration["stages"]["phase1"]["config"] == {"tokens": 5}
    with (
        pytest.raises(ConfigError, match=r"phase1: made with other settings .*; give its scale= once"),
        remembering(other, False),
    ):
        pass
    with remembering(same, yes=False):
        pass
    assert read_settings(tmp_path / "abl") == same.settings


def test_damaged_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / REMEMBERED).write_text('{"overrides": [')
    with pytest.raises(DamagedFileError, match=r"run\.json: not the settings of a run .*; give --fresh once"):
        read_settings(tmp_path)
    (tmp_path / REMEMBERED).write_text("{}")
    with pytest.raises(DamagedFileError):
        read_settings(tmp_path)


def test_a_folder_in_the_place_of_the_settings_is_named(tmp_path: Path) -> None:
    (tmp_path / REMEMBERED).mkdir()
    with pytest.raises(DamagedFileError, match=r"run\.json: cannot be read \(is a directory\); move it elsewhere, and"):
        read_settings(tmp_path, fresh=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"overrides": [5]}, "overrides"),
        ({"configuration": 3}, "configuration"),
        ({"configuration": {"seed": 0}}, "configuration has no stages or no seed"),
        (
            {"configuration": {"seed": 0, "stages": {"phase1": []}}},
            r"configuration\.stages\.phase1 or its config or inputs: no mapping",
        ),
        ({"stages": {"phase1": []}}, r"stages\.phase1"),
        ({"stages": {"phase1": {"version": 1}}}, r"stages\.phase1 has no fingerprint"),
    ],
)
def test_settings_of_another_form_are_named(
    config: RunConfig, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with remembering(made(config, tmp_path), yes=False):
        pass
    path = tmp_path / "abl" / REMEMBERED
    assert read_settings(path.parent) is not None
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(
        DamagedFileError, match=rf"run\.json: not the settings of a run \(.*{said}.*; give --fresh once"
    ):
        read_settings(path.parent)


def test_damaged_settings_are_written_anew_with_fresh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The remedy that the message names, which costs no finished or frozen stage."""
    arguments = ("plan", "--freeze", "to=curate", "run=abl", f"root={tmp_path}")
    assert fivephase(*arguments, "scale=smoke", "seed=3") == EXIT_DONE
    settings = tmp_path / "abl" / REMEMBERED
    whole = settings.read_text()
    settings.write_text(whole[:99])
    assert fivephase(*arguments) == EXIT_USER_ERROR
    assert "give --fresh once, with the run's scale= and overrides" in capsys.readouterr().err
    assert fivephase(*arguments, "--fresh", "scale=smoke", "seed=3") == EXIT_DONE
    assert settings.read_text() == whole
    assert not (tmp_path / "abl" / "superseded").exists()


def fivephase(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_commands_go_on_with_the_settings_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("run=abl", f"root={tmp_path}")
    assert fivephase("plan", "--freeze", "to=curate", "scale=smoke", "seed=3", *where) == EXIT_DONE
    before = json.loads((tmp_path / "abl" / "curate" / "config.json").read_text())
    assert fivephase("plan", "--freeze", "to=synthesize", *where) == EXIT_DONE
    said = capsys.readouterr()
    assert said.err == f"fivephase: {tmp_path}/abl goes on with scale=smoke seed=3\n"
    assert json.loads((tmp_path / "abl" / "synthesize" / "config.json").read_text())["seed"] == 3
    assert json.loads((tmp_path / "abl" / "curate" / "config.json").read_text()) == before
    assert fivephase("status", "run=abx", f"root={tmp_path}") == EXIT_USER_ERROR
    assert capsys.readouterr().err == f"fivephase: run=abx: no such run in {tmp_path}/, did you mean abl?\n"
    assert fivephase("runs", f"root={tmp_path}") == EXIT_DONE
    assert capsys.readouterr().out.splitlines()[-1].split() == ["abl", "smoke", "0/26", "—", "scale=smoke", "seed=3"]


def test_stages_are_listed_with_what_they_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert fivephase("stages") == EXIT_DONE
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["tokenizer", "tokenizer", "1", "curate,", "synthesize"] in lines
    assert max(map(len, map(" ".join, lines))) <= 80

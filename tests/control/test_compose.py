"""Configurations of the user's own beside the built-in ones, and keys that were renamed."""

from pathlib import Path

import pytest

from pipeline.control.compose import compose
from pipeline.core.errors import ConfigError

SCALE = """# @package _global_
defaults:
  - smoke
  - override /model: mine
scale: mine
stages:
  extra: {kind: tokenizer}
"""
MODEL = "defaults: [smoke]\nlayers: 1\n"


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, with what can go wrong in a path in its name."""
    folder = tmp_path / "it's a [new] project, {really}"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(("name", "option"), [("conf", None), ("mine", "mine"), ("mine", "../absolute")])
def test_own_choices_stand_beside_the_built_in_ones(working_directory: Path, name: str, option: str | None) -> None:
    write(working_directory / name, "scale/mine.yaml", SCALE)
    write(working_directory / name, "model/mine.yaml", MODEL)
    if option == "../absolute":
        option = str(working_directory / name)
    own = compose(["scale=mine", "stages.phase1.config.tokens=5"], option)
    assert (own.scale, own.model.layers, own.stages.phase1.config.tokens) == ("mine", 1, 5)
    assert compose(["scale=smoke"], option).model.layers > 1
    with pytest.raises(ConfigError, match=r"^scale=mien: no such choice, did you mean mine\?$"):
        compose(["scale=mien"], option)
    with pytest.raises(ConfigError, match=r"no key knd in stages.extra, did you mean kind\?$"):
        compose(["scale=mine", "stages.extra.knd=tokenize"], option)


def test_a_folder_named_replaces_the_one_that_is_found(working_directory: Path) -> None:
    write(working_directory / "conf", "scale/mine.yaml", SCALE)
    (working_directory / "other").mkdir()
    with pytest.raises(ConfigError, match="scale=mine: no such choice"):
        compose(["scale=mine"], "other")
    with pytest.raises(ConfigError, match="--config-dir=nowhere: no such folder"):
        compose([], "nowhere")


def test_a_built_in_name_means_the_same_everywhere(working_directory: Path) -> None:
    """Another program's `conf/` must not change a published number unseen; its own entry file is not looked at."""
    built_in = compose([])
    write(working_directory / "conf", "config.yaml", "defaults: [unknown]\n")
    assert compose([]) == built_in
    write(working_directory / "conf", "deepspeed/zero2.yaml", "zero_optimization: {stage: 3}\n")
    with pytest.raises(ConfigError, match=r"^conf/deepspeed/zero2\.yaml: a built-in configuration has this name"):
        compose([])


def test_a_file_that_is_not_yaml_is_named(working_directory: Path) -> None:
    write(working_directory / "conf", "scale/broken.yaml", "stages: [\n")
    with pytest.raises(ConfigError, match=r"^not valid YAML: .*broken\.yaml") as caught:
        compose(["scale=broken"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "now"),
    [
        ("launcher=slurm", "executor=slurm"),
        ("launcher.partition=big", "executor.partition=big"),
        ("+stages.curate.config.launcher.qos=low", "+stages.curate.config.executor.qos=low"),
    ],
)
def test_a_renamed_key_is_answered_with_its_name(override: str, now: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([override])
    assert str(caught.value) == f"{override}: launcher is called executor now, write {now}"

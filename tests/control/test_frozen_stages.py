"""Freezing the stages of the real smoke configuration, and choosing among them."""

from pathlib import Path

import pytest

from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import FROZEN, dependents, freeze, read_frozen, select
from pipeline.control.stage_folders import prepare
from pipeline.core.config import RunConfig
from pipeline.core.errors import ConfigError
from pipeline.core.files import read_json, write_json


def configured(*overrides: str) -> RunConfig:
    return typed(compose(["scale=smoke", *overrides]))


def fingerprints(*overrides: str) -> dict[str, str]:
    return {stage.stage: stage.fingerprint for stage in freeze(configured(*overrides))}


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
        "+stages.phase1.config.save_every_steps=7",
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
    with pytest.raises(ConfigError, match=r"=texts: no such stage before sft, .*inputs\.tokens=null takes it away$"):
        freeze(configured("stages.sft.inputs.tokens=texts"))


def test_select() -> None:
    stages = freeze(configured())
    names = [stage.stage for stage in select(stages, "phase2", "phase4")]
    assert names == ["phase2", "phase3", "phase4"]
    with pytest.raises(ConfigError, match=r"from=phase9: unknown stage, did you mean phase"):
        select(stages, "phase9", None)
    with pytest.raises(ConfigError, match="phase4 comes after phase2"):
        select(stages, "phase4", "phase2")


def test_dependents_are_a_stage_and_all_that_read_it() -> None:
    names = [stage.stage for stage in dependents(freeze(configured()), "rl_rlhf")]
    assert names[:2] == ["rl_rlhf", "evaluate_rl_rlhf"]
    assert {"rl_identity", "rl_math", "release"} <= set(names)
    assert not {"phase1", "sft", "reward_model", "rl_multi_domain"} & set(names)


def test_a_frozen_configuration_is_known_again(tmp_path: Path) -> None:
    stage = freeze(configured())[0]
    prepare(stage, tmp_path)
    directory = stage.directory(tmp_path)
    assert read_frozen(directory) == stage
    write_json(directory / FROZEN, {**read_json(directory / FROZEN), "seed": 5})
    with pytest.raises(ConfigError, match=r"config\.json: edited since it was frozen"):
        read_frozen(directory)
    (directory / FROZEN).write_text("")
    with pytest.raises(ConfigError, match=r"config\.json: not a frozen configuration"):
        read_frozen(directory)

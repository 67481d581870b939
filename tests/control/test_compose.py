"""Configurations of the user's own beside the built-in ones, and keys that were renamed."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import freeze
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


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (
            "",
            r"'resources.data' not found, which stages refer to; set it in .*/conf/scale/mine.yaml, or begin that with",
        ),
        ("- a\n", r"'resources.data' not found, which stages refer to; set it in .*/conf/scale/mine.yaml, or begin"),
        (
            "# @package _global_\ndefaults: [smoke, _self_]\nresources: 3\n",
            "which stages refer to; set it in .*/conf/scale/mine.yaml",
        ),
        ("# @package _global_\nstages: null\n", "^stages=None: no stages; set one to null to leave it out, not all$"),
    ],
)
def test_an_own_scale_that_lacks_what_all_need(working_directory: Path, scale: str, message: str) -> None:
    write(working_directory / "conf", "scale/mine.yaml", scale)
    with pytest.raises(ConfigError, match=message):
        compose(["scale=mine"])


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


@pytest.mark.parametrize(
    ("override", "stage", "part", "expected"),
    [
        ("+stages.phase1.config.deepspeed.steps_per_print=5", "phase1", "deepspeed", {"steps_per_print": 5}),
        (
            "stages.sft.config.deepspeed.zero_optimization.overlap_comm=true",
            "sft",
            "deepspeed",
            {"zero_optimization.overlap_comm": True},
        ),
        ("stages.phase1.resources.nodes=3", "phase1", "resources", {"nodes": 3}),
        ("++stages.phase1.config.model.layers=2", "phase1", "model", {"layers": 2}),
        ("stages.rl_math.config.problems.difficulty=7", "rl_math", "problems", {"difficulty": 7}),
    ],
)
def test_a_part_of_what_a_stage_refers_to_is_changed_and_the_rest_stays(
    override: str, stage: str, part: str, expected: dict[str, Any]
) -> None:
    """The stage alone has the change: neither what it refers to nor another stage that refers to it."""

    def found(*overrides: str) -> dict[str, dict[str, Any]]:
        stages = typed(compose(["scale=granite_4_1_8b", *overrides])).stages
        return {
            name: flat(dataclasses.asdict(each.resources) if part == "resources" else each.config.get(part, {}))
            for name, each in stages.items()
            if each is not None
        }

    before, after = found(), found(override)
    assert after[stage] == before[stage] | expected != before[stage]
    assert {name for name in before if before[name] != after[name]} == {stage}


def test_a_change_of_what_is_referred_to_reaches_a_stage_with_a_part_of_its_own() -> None:
    changed = compose(["scale=granite_4_1_8b", "stages.phase1.resources.nodes=3", "resources.pretraining.time=1:00"])
    assert dict(changed.stages.phase1.resources) == {"nodes": 3, "processes_per_node": 4, "time": "1:00"}


def test_a_key_that_a_reference_has_not_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no key nods in stages\.phase1\.resources, did you mean nodes\?$"):
        compose(["stages.phase1.resources.nods=3"])


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("+stages.curate.resources.threads=2", "stages.curate.resources.threads", 2),
        ("++stages.curate.resources.threads=2", "stages.curate.resources.threads", 2),
        ("+stages.mine.kind=curate", "stages.mine.kind", "curate"),
        ("+stages.phase1.config.fill_in_the_middle.rate=0.5", "stages.phase1.config.fill_in_the_middle.rate", 0.5),
    ],
)
def test_a_mapping_that_a_stage_has_not_is_added(override: str, key: str, value: object) -> None:
    assert OmegaConf.select(compose(["scale=smoke", override]), key) == value


@pytest.mark.parametrize("override", ["stages.phase1.config.tokens=1,2", "+seed=range(1,3)", "scale=smoke,nano"])
def test_a_sweep_is_refused_with_what_is_taken(override: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([override])
    key, _, value = override.partition("=")
    assert str(caught.value) == (
        f"{override}: a sweep over several values is not taken; give one value, or quote the text: \"{key}='{value}'\""
    )
    assert compose(["run='a,b'"]).run == "a,b"


def flat(mapping: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping with keys of one level, which dots join."""
    found: dict[str, Any] = {}
    for key, value in mapping.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


SCORE = "stages.rl_math.config.reward.math.score"


@pytest.mark.parametrize(
    ("overrides", "key", "value"),
    [
        ([f"{SCORE}=reward_model"], SCORE, "reward_model"),
        ([f"{SCORE}.my_rules:polite=1", f"{SCORE}.verifier=2"], SCORE, {"my_rules:polite": 1, "verifier": 2}),
        ([f"{SCORE}[my.rules:polite]=1"], SCORE, {"my.rules:polite": 1}),
        ([f"+{SCORE}={{verifier: 2, my.rules:polite: 0.5}}"], SCORE, {"verifier": 2, "my.rules:polite": 0.5}),
        (
            ["stages.rl_math.config.reward.my_games:CHESS.gate=my_rules:polite"],
            "stages.rl_math.config.reward",
            {"my_games:CHESS": {"gate": "my_rules:polite"}},
        ),
        (
            ['stages.rl_math.config.domain_weights={"my_games:CHESS": 1, math: 0}'],
            "stages.rl_math.config.domain_weights",
            {"my_games:CHESS": 1, "math": 0},
        ),
        (
            ["stages.rl_identity.config.domain_weights.my_games:CHESS=2"],
            "stages.rl_identity.config.domain_weights[my_games:CHESS]",
            2,
        ),
        (["stages.rl_math.inputs.reward_model=reward_model"], "stages.rl_math.inputs.reward_model", "reward_model"),
        (["deepspeed.zero_optimization.overlap_comm=true"], "deepspeed.zero_optimization.overlap_comm", True),
        (["stages.sft.config.deepspeed.aio.thread_count=2"], "stages.sft.config.deepspeed.aio", {"thread_count": 2}),
    ],
)
def test_new_keys_of_settings_need_no_plus_and_may_be_names_of_ones_own(
    overrides: list[str], key: str, value: object
) -> None:
    assert OmegaConf.select(compose(["scale=smoke", *overrides]), key) == value


def test_a_misspelled_setting_is_still_named() -> None:
    with pytest.raises(ConfigError, match=r"config\.rewrd: unknown key, did you mean reward\?"):
        freeze(typed(compose(["scale=smoke", "stages.rl_math.config.rewrd.math.score=verifier"])))
    with pytest.raises(ConfigError, match=r"no key rl_mth in stages, did you mean rl_math\?$"):
        compose(["scale=smoke", "stages.rl_mth.config.reward.math.score=verifier"])
    with pytest.raises(ConfigError, match=r"a name with a colon cannot be taken away; write stages\..*polite=0$"):
        compose(["scale=smoke", f"~{SCORE}.my_rules:polite"])

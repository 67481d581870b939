"""Experiments: those that come with the project compose and freeze, numbers are right, and the page says them."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.control.compose import compose, typed
from pipeline.control.experiment import (
    ExperimentConfig,
    as_markdown,
    differences,
    draw,
    interval,
    load_experiment,
)
from pipeline.core.config import build
from pipeline.core.errors import ConfigError
from pipeline.core.installation import CONF

NAMES = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
SETTINGS: dict[str, Any] = {
    "question": "Does it help?",
    "limits": "small",
    "overrides": ["scale=smoke"],
    "seeds": [0, 1, 2],
    "stage": "evaluate_phase4",
    "metrics": [{"name": "loss/mean", "better": "lower"}],
    "variants": {"with": {}, "without": {"overrides": ["stages.phase4.config.tokens=1000"]}},
}
MEASURED = {"loss/mean": {"with": {0: 3.0, 1: 3.1, 2: 3.2}, "without": {0: 3.5, 1: 3.6, 2: 3.8}}}


@pytest.mark.parametrize("name", NAMES)
def test_those_that_come_with_the_project_compose(name: str) -> None:
    experiment = load_experiment(name)
    for variant, settings in experiment.variants.items():
        own = experiment.variants[settings.run_of or variant].overrides
        run = typed(compose([*experiment.overrides, *own]))
        there = [stage for stage, each in run.stages.items() if each is not None]
        assert {experiment.stage_of(variant), *experiment.shared} <= set(there)


def test_an_interval_is_that_of_students_t() -> None:
    # A deviation of 0.057735 over the root of 3, times 4.303.
    mean, half = interval([0.5, 0.5, 0.6])
    assert mean == pytest.approx(0.53333, abs=1e-5)
    assert half == pytest.approx(0.14344, abs=1e-4)
    assert interval([2.0]) == (2.0, None)
    assert differences(MEASURED["loss/mean"], "with", "without") == pytest.approx([0.5, 0.5, 0.6])


def test_the_page_has_means_differences_and_what_they_say(tmp_path: Path) -> None:
    experiment = build(ExperimentConfig, SETTINGS, "x")
    page = as_markdown("helps", experiment, MEASURED, "x.png")
    assert "| with | 3.1 ± 0.25 | 3, 3.1, 3.2 |  |  |" in page
    assert "| without | 3.633 ± 0.38 | 3.5, 3.6, 3.8 | +0.5333 ± 0.14 | worse |" in page
    noisy = {"loss/mean": {**MEASURED["loss/mean"], "without": {0: 3.5, 1: 2.6, 2: 3.8}}}
    assert "| within noise |" in as_markdown("helps", experiment, noisy, "x.png")
    one = {"loss/mean": {name: {0: values[0]} for name, values in MEASURED["loss/mean"].items()}}
    assert "one seed says nothing of noise" in as_markdown("helps", experiment, one, "helps.png")
    for name in ("a", "b"):
        draw(tmp_path / f"{name}.png", experiment, MEASURED)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": []}, "seeds is empty"),
        ({"variants": {"with": {}}}, "variants names 1, set two or more"),
        ({"variants": {"a": {}, "b": {"run_of": "c"}}}, r"variants\.b\.run_of is c, set a variant"),
        (
            {"variants": {"a": {}, "b": {"run_of": "a", "overrides": ["x=1"]}}},
            r"variants\.b\.overrides: its run is that of a",
        ),
        ({"variantes": {}}, "did you mean variants"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(ExperimentConfig, {**SETTINGS, **changes}, "x")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["merg"], "experiment merg: there is none of this name, did you mean merge?"),
        (["merge", "run=mine"], "run=mine: the experiment sets it for each run; leave it out"),
        (["merge", "seeds=a"], "seeds=a: set whole numbers, such as seeds=0,1,2"),
        (["merge", "stages.phase4.config.tokenz=1"], "tokenz"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["experiment", *arguments])
    assert ended.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]

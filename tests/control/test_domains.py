"""Mixtures of one's own: they replace the published ones, and decide what is tokenized and evaluated."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.control.compose import compose, typed
from pipeline.control.domains import check_domains
from pipeline.control.frozen_stages import freeze
from pipeline.control.planning import plan_table, with_token_budget
from pipeline.core.errors import ConfigError

PHASES = [f"phase{number}" for number in ("1", "2", "3", "4", "5_32k", "5_128k", "5_512k")]
SCALE = """# @package _global_
defaults: [smoke]
scale: mine
stages:
  phase1: {config: {mixture: {articles: 3, letters: 1, code: 0}}}
"""


def settings(*overrides: str, scale: str = "smoke") -> dict[str, Any]:
    stages = typed(compose([f"scale={scale}", *overrides])).stages
    return {name: stage.config for name, stage in stages.items() if stage is not None}


@pytest.fixture
def own_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "my project" / "conf" / "scale"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(SCALE)
    monkeypatch.chdir(tmp_path / "my project")


@pytest.mark.usefixtures("own_scale")
def test_a_mixture_of_a_users_file_replaces_the_published_one() -> None:
    found = settings(scale="mine")
    assert found["phase1"]["mixture"] == {"articles": 3, "letters": 1, "code": 0}
    assert found["phase2"]["mixture"] == settings()["phase2"]["mixture"]
    assert settings("stages.phase1.config.mixture={letters: 2}", scale="mine")["phase1"]["mixture"] == {"letters": 2}
    assert settings("stages.phase1.config.mixture.letters=9", scale="mine")["phase1"]["mixture"]["letters"] == 9


def test_a_mixture_of_the_command_line_replaces_and_one_weight_does_not() -> None:
    published = settings()["phase2"]["mixture"]
    assert settings("stages.phase2.config.mixture={math: 1}")["phase2"]["mixture"] == {"math": 1}
    assert settings("stages.phase2.config.mixture.math=1")["phase2"]["mixture"] == {**published, "math": 1}


def test_what_mixtures_name_is_tokenized() -> None:
    mixture = "{articles: 1, code: 0}"
    own = settings(*(f"stages.{phase}.config.mixture={mixture}" for phase in PHASES))
    assert own["tokenize"]["domains"] == ["articles"]
    assert own["evaluate_phase4"]["long_context"]["domains"] == ["articles"]
    long = settings(
        "stages.tokenize.config.long_documents={books: 100}", "stages.phase4.config.mixture={books_long: 1}"
    )
    assert long["tokenize"]["domains"] == settings()["tokenize"]["domains"]
    assert settings("stages.tokenize.config.domains=[code]")["tokenize"]["domains"] == ["code"]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("stages.phase4.config.mixture={cod: 1}", r"stages\.phase4\.config\.mixture\.cod: .*did you mean code\?$"),
        ("stages.evaluate_phase4.config.long_context.domains=[book]", r"domains=book: .*did you mean books\?$"),
        ("stages.sft.config.text_replay.mixture={cod: 1}", r"text_replay\.mixture\.cod: .*did you mean code\?$"),
        ("stages.tokenize.config.domains=[maths]", r"tokenize\.config\.domains=maths: .*did you mean math\?$"),
    ],
)
def test_a_domain_that_no_recipe_makes_is_named(override: str, line: str) -> None:
    config = typed(compose(["scale=smoke", override]))
    stages = freeze(config)
    with pytest.raises(ConfigError, match=line):
        check_domains(config, stages, stages)
    # What does not tokenize needs no domain: a recipe can be tried alone.
    check_domains(config, stages, stages[:2])


def test_the_plan_shows_each_mixture_and_what_of_it_is_rearranged() -> None:
    mixture = "stages.phase2.config.mixture={math: 3, synthetic: 1, code: 0}"
    config = typed(compose(["scale=smoke", mixture, "stages.tokenize.config.domains=null"]))
    stages = with_token_budget(freeze(config), config.root)
    lines = plan_table(config, stages, stages).splitlines()
    assert "mixture of phase2: math 75 %, synthetic 25 %" in lines
    assert "fill-in-the-middle in phase2: no domain of this mixture" in lines
    assert sum(line.startswith("mixture of") for line in lines) == len(PHASES)
    assert max(len(line) for line in lines if line.startswith(("mixture", "  "))) <= 80
    tokenize = next(stage for stage in stages if stage.stage == "tokenize")
    assert set(tokenize.config["demand"]) == set(tokenize.config["domains"])

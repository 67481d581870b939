"""The difficulty of prompts in training: its rule, its state, and what the plan says of it."""

import json
import random

import pytest

from pipeline.core.config import ResourcesConfig, relevant
from pipeline.core.errors import ConfigError
from pipeline.environments.mixed_difficulty import MixedProblems
from pipeline.posttraining.rl.config import CurriculumConfig
from pipeline.posttraining.rl.curriculum import Curriculum
from pipeline.posttraining.rl.curriculum_trainer import mark_rows
from tests.posttraining.tiny import rl_config
from tests.settings import EASY

SAMPLES = 4


def curriculum(**changes: object) -> Curriculum:
    config = CurriculumConfig(**{"window": 2, "gain": 0.4, **changes})  # type: ignore[arg-type]
    return Curriculum(config, {name: MixedProblems(name, 0, EASY) for name in ("math", "science")}, SAMPLES)


def test_difficulty_moves_by_the_share_that_passed_of_the_last_prompts_and_stays_within_its_bounds() -> None:
    taught = curriculum(start=1.5, maximum=2.0)
    assert taught.observe("math", [1.0, 1.0, 1.0, 0.99]) == 0.75
    assert taught.difficulty("math") == 1.5, "one prompt of a window of two"
    assert taught.observe("math", [1.0, 1.0, 1.0, 1.0]) == 1.0
    assert taught.difficulty("math") == pytest.approx(1.5 + 0.4 * (7 / 8 - 0.5))
    assert taught.difficulty("science") == 1.5
    for _ in range(20):
        taught.observe("math", [1.0] * SAMPLES * 2)
        taught.observe("science", [0.0] * SAMPLES * 2)
    assert taught.metrics() == {"curriculum/math/difficulty": 2.0, "curriculum/science/difficulty": 1.0}


@pytest.mark.parametrize("ability", [1.3, 1.8, 2.6])
def test_half_of_the_replies_of_a_policy_pass_in_the_end(ability: float) -> None:
    """A policy whose chance falls from 1 to 0 over one step of difficulty around its ability."""
    taught, draw = curriculum(), random.Random(0)
    rates = []
    for _ in range(400):
        chance = min(max(ability + 0.5 - taught.difficulty("math"), 0.0), 1.0)
        rates.append(taught.observe("math", [float(draw.random() < chance) for _ in range(2 * SAMPLES)]))
    assert sum(rates[200:]) / 200 == pytest.approx(0.5, abs=0.04)
    assert taught.difficulty("math") == pytest.approx(ability, abs=0.3)


def test_what_was_saved_goes_on_with_the_same_prompts() -> None:
    whole, draw = curriculum(), random.Random(1)
    rewards = [[float(draw.random() < 0.7) for _ in range(SAMPLES)] for _ in range(40)]

    def go(taught: Curriculum, steps: range) -> list[tuple[str, float]]:
        posed = []
        for step in steps:
            posed.append((taught.draw("math").prompt, taught.difficulty("math")))
            taught.observe("math", rewards[step])
        return posed

    first = go(whole, range(23))
    saved = json.loads(json.dumps(whole.state()))
    rest = go(whole, range(23, 40))
    again = curriculum()
    again.restore(saved)
    assert go(again, range(23, 40)) == rest
    assert again.state() == whole.state()
    assert len({prompt for prompt, _ in first + rest}) == 40
    assert len({difficulty for _, difficulty in first + rest}) > 10


def test_only_rows_of_environments_are_drawn_later() -> None:
    config = rl_config(domain_weights={"math": 1, "science": 1}, curriculum={"domains": ["math"]})
    rows = mark_rows(
        [{"prompt": each} for each in "abc"], ["math", "science", "prompt_files.0"], config.curriculum_domains
    )
    assert [row["drawn_from"] for row in rows] == ["math", "", ""]
    assert [row["place"] for row in rows] == [0, 1, 2]


def test_the_settings() -> None:
    assert "curriculum" not in relevant(rl_config()), "finished runs stay what they are"
    config = rl_config(
        replay_share=0.25,
        replay_weights={"science": 1},
        curriculum={"maximum": 2.0},
        completions_per_device=64,
    )
    assert config.curriculum_domains == ("science", "math")
    assert relevant(config)["curriculum"]["maximum"] == 2.0
    assert config.plan(ResourcesConfig(), {}, {}).lines[-1] == (
        "curriculum: difficulty from 1, within 1 to 2, moves after every 8 prompts of a domain until 50% of its "
        "replies pass: science, math"
    )
    for changes, said in {
        "start": ({"start": 2.5, "maximum": 2.0}, "start is 2.5, set it from 1 to 2"),
        "bounds": ({"minimum": 2.0, "maximum": 2.0}, "minimum is 2 and maximum 2, set maximum higher"),
        "domain": ({"domains": ["code"]}, "curriculum.domains names 'code', set only domains with a weight"),
        "beyond": ({"maximum": 4.0}, "set at most 3"),
    }.values():
        with pytest.raises(ConfigError, match=said):
            rl_config(curriculum=changes)

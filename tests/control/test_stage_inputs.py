"""What a stage needs to read is checked before anything runs."""

import json
from pathlib import Path

import pytest

from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import freeze
from pipeline.core.errors import ConfigError
from pipeline.stages import STAGE_TYPES, players


def refused(*overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        freeze(typed(compose(["scale=smoke", *overrides])))
    return str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["chain=[sft_data]", "stages.sft_data.inputs.tokenizer=null"],
            "stages.sft_data.inputs.tokenizer: missing, and sft_data reads it; set it to a stage of kind tokenizer or "
            "import_tokens or import_model before sft_data",
        ),
        (
            ["stages.sft.inputs.data=null"],
            "stages.sft.inputs.data: missing, and sft reads it; set it to sft_data",
        ),
        (
            ["stages.tokenizer.inputs={corpus: null, synthetic: null}"],
            "stages.tokenizer.inputs.corpus: missing, and tokenizer reads it; set it to synthesize",
        ),
        (
            ["stages.evaluate_sft.inputs.tokens=null"],
            "stages.evaluate_sft.inputs.tokens: missing, and config.loss is measured on tokens, null is not; set it to "
            "tokenize",
        ),
        (
            ["stages.phase1.config.model=null"],
            "stages.phase1.inputs.model: missing, and config.model=null takes the shape of a checkpoint; set it to a "
            "stage of kind pretrain or import_model or sft or rl before phase1",
        ),
        (
            ["+stages.rl_math.config.reward.math.score=reward_model"],
            "stages.rl_math.inputs.reward_model: missing, and config.reward.math.score names reward_model; set it to "
            "reward_model",
        ),
        (
            [
                "language_model=endpoint", "stages.synthesize.config.language_model.model=x",
                "stages.synthesize.config.language_model.url=http://localhost:1/v1",
                "stages.synthesize.inputs.corpus=null",
            ],
            "stages.synthesize.inputs.corpus: missing, and the prompt ",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_what_plays_it(overrides: list[str], said: str) -> None:
    assert refused(*overrides).startswith(said)


def test_the_remedy_works() -> None:
    overrides = ["+stages.rl_math.config.reward.math.score=reward_model"]
    freeze(typed(compose(["scale=smoke", *overrides, "+stages.rl_math.inputs.reward_model=reward_model"])))


def test_rows_of_a_file_that_the_reward_model_grades_need_one(tmp_path: Path) -> None:
    rows = tmp_path / "prompts.jsonl"
    rows.write_text(json.dumps({"prompt": "How are you?", "verifier": "reward_model"}) + "\n")
    assert refused(f"stages.rl_math.config.prompt_files=['{rows}']").startswith(
        "stages.rl_math.inputs.reward_model: missing, and rows of config.prompt_files name the verifier reward_model"
    )


def test_an_unknown_role_and_a_stage_that_makes_something_else_are_refused() -> None:
    assert refused("+stages.sft.inputs.dta=sft_data") == (
        "stages.sft.inputs.dta=sft_data: sft reads no dta, did you mean data?; stages.sft.inputs.dta=null takes it away"
    )
    assert refused("+stages.curate.inputs={}", "+stages.synthesize.inputs.data=curate").startswith(
        "stages.synthesize.inputs.data=curate: synthesize reads no data"
    )
    assert refused("stages.sft.inputs.model=sft_data") == (
        "stages.sft.inputs.model=sft_data: a stage of kind sft_data makes no such thing, set phase5_512k"
    )


def test_every_role_has_kinds_that_play_it() -> None:
    for kind in STAGE_TYPES.values():
        assert all(players(role) for role in kind.roles)

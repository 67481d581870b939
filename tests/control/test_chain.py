"""A run of a part of the stages, in an order of its own."""

from pathlib import Path

import pytest

from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import freeze
from pipeline.core.errors import ConfigError

SCALE = """# @package _global_
defaults: [smoke]
scale: mine
seed: 7
chain: [tokenize, curate, evaluate_sft]
stages:
  curate: {config: {domains: [code]}}
  tokenize: {config: {domains: [code]}}
  evaluate_sft: {inputs: {tokens: null}}
"""


def test_a_chain_in_a_scale_chooses_and_orders_the_stages(tmp_path: Path) -> None:
    (tmp_path / "scale").mkdir()
    (tmp_path / "scale" / "mine.yaml").write_text(SCALE)
    run = typed(compose(["scale=mine"], str(tmp_path)))
    assert list(run.stages) == ["tokenize", "curate", "evaluate_sft"]
    assert run.seed == 7  # what is no stage can be set there as well
    tokenize, evaluate = run.stages["tokenize"], run.stages["evaluate_sft"]
    assert tokenize is not None
    assert evaluate is not None
    # Left out by itself, because the kind can do without, and by null; what is missing stays, to be named.
    assert tokenize.inputs == {"corpus": "curate", "tokenizer": "tokenizer"}
    assert evaluate.inputs == {"model": "sft"}
    with pytest.raises(ConfigError, match="corpus=curate: no such stage before tokenize"):
        freeze(run)
    assert list(typed(compose(["scale=mine", "chain=[curate]"], str(tmp_path))).stages) == ["curate"]


def test_without_a_chain_all_stages_run() -> None:
    assert len(typed(compose(["scale=smoke"])).stages) == len(compose(["scale=smoke"]).stages)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["chain=[curate,tokenizr]"], "chain: no stage tokenizr, did you mean tokenizer?"),
        (["chain=[curate,curate]"], "chain: names curate twice"),
        (["chain=[sft]", "stages.sft=null"], "chain: sft is null in stages"),
    ],
)
def test_a_chain_that_cannot_be_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        typed(compose(overrides))
    assert str(refused.value).startswith(message)

"""A corpus too small for the phases is rejected before it is tokenized."""

from pathlib import Path

import pytest

from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import freeze
from pipeline.control.planning import with_token_budget
from pipeline.core.artifact import Artifact, Manifest
from pipeline.core.errors import DataError
from pipeline.tokenization.token_budget import check_token_budget, estimated_tokens


def artifact(**metrics: float) -> Artifact:
    manifest = Manifest(stage="x", kind="test", fingerprint="0", inputs={}, files={}, metrics=metrics)
    return Artifact(Path("x"), manifest)


CORPUS = [artifact(**{"math/bytes": 3_000.0}), artifact(**{"math/bytes": 1_000.0, "long_cot/bytes": 900.0})]
TOKENIZER = artifact(**{"bytes_per_token": 3.0, "bytes_per_token/math": 2.0})


def test_tokens_are_estimated_by_the_domains_own_compression() -> None:
    assert estimated_tokens("math", CORPUS, TOKENIZER) == 2_000
    assert estimated_tokens("long_cot", CORPUS, TOKENIZER) == 300
    assert estimated_tokens("books", CORPUS, TOKENIZER) == 0


def test_a_shortage_is_rejected_with_its_numbers_and_a_near_miss_is_not() -> None:
    check_token_budget({"math": 2_000, "long_cot": 300}, CORPUS, TOKENIZER, validation_share=0.05)
    with pytest.raises(DataError, match=r"mixture\.math: has about 1,900 tokens, the phases need 4,000; lower"):
        check_token_budget({"math": 4_000}, CORPUS, TOKENIZER, validation_share=0.05)


def test_the_token_budget_is_the_largest_of_the_phases_and_changes_no_fingerprint() -> None:
    config = typed(compose(["scale=smoke", "stages.phase2.config.max_epochs=2"]))
    frozen = freeze(config)
    planned = {stage.stage: stage for stage in with_token_budget(frozen, "runs")}
    budget = planned["tokenize"].config["demand"]
    phases = [stage.config for stage in frozen if stage.kind == "pretrain"]
    for domain in budget:
        needed = [
            phase["tokens"] * phase["mixture"].get(domain, 0) / sum(phase["mixture"].values()) / phase["max_epochs"]
            for phase in phases
        ]
        # Phases take whole steps, which is a little more than their tokens.
        assert max(needed) <= budget[domain] <= max(needed) * 1.05
    assert set(budget) == {domain for phase in phases for domain, weight in phase["mixture"].items() if weight}
    assert [stage.fingerprint for stage in planned.values()] == [stage.fingerprint for stage in frozen]

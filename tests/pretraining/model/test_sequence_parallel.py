"""Sequences divided over two ranks train what one rank trains, documents apart."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.core.errors import ConfigError
from pipeline.pretraining.config import accumulation_steps
from pipeline.pretraining.engine import optimizer_state
from pipeline.pretraining.engine.engine import leave_process_group
from pipeline.pretraining.engine.logits_check import reference_logits
from tests.distributed import run_on_ranks, save
from tests.pretraining.training import SHAPE, phase, trainer
from tests.runs import write_counting_tokens

STEPS = 4
CASES: dict[str, dict[str, Any]] = {
    "stage1": {"stage": 1},
    "stage3": {"stage": 3},
    "checkpointed": {"stage": 2, "gradient_checkpointing": True},
    "tiled": {"stage": 2, "mlp_tiles": 3},
    "tiled3": {"stage": 3, "mlp_tiles": 2},
    "experts": {
        "stage": 1,
        "model": {**dataclasses.asdict(SHAPE), "experts": 4, "experts_per_token": 2, "router_loss": 1.0},
    },
}


def train(tokens: Path, work: Path, path: Path, parts: int) -> None:
    """A few steps of each case, with 50 tokens in a document and 32 in a sequence: all sequences have borders."""
    found = {}
    for name, case in CASES.items():
        settings = {key: value for key, value in case.items() if key != "stage"}
        if parts == 1:
            settings.pop("mlp_tiles", None)
        settings |= {"context": 32, "sequence_parallel": parts}
        trained = trainer(phase(case["stage"], 10, **settings), tokens, work / name)
        loss = trained.held_out()
        logits_before = reference_logits(trained.engine)
        losses = [trained._train_step(step, trained._read_micro_batches(step), True) for step in range(STEPS)]
        found[name] = {
            "losses": [*losses, *trained.domain_losses.values()], "logits_before": logits_before,
            "state": optimizer_state.gather_training_state(trained.engine),
            "held_out": [*loss.domains.values(), loss.near, loss.far], "norm": trained.optimizer.guard.gradient_norm,
        }  # fmt: skip
        trained.engine.destroy()
    save(path, found)
    leave_process_group()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("divided")
    write_counting_tokens(folder)
    for parts in (1, 2):
        run_on_ranks(train, parts, folder / "tokens", folder / str(parts), folder / f"{parts}.pt", parts)
    one, two = (torch.load(folder / f"{parts}.pt", weights_only=True) for parts in (1, 2))
    return one, two


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_with_halves_equal_one(name: str, trained: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Losses, the gradient norm, weights and moments, held-out losses, and logits."""
    whole, halves = (each[name] for each in trained)
    assert halves["losses"] == pytest.approx(whole["losses"], rel=1e-5)
    assert halves["norm"] == pytest.approx(whole["norm"], rel=1e-4)
    assert halves["held_out"] == pytest.approx(whole["held_out"], rel=1e-5)
    torch.testing.assert_close(halves["logits_before"], whole["logits_before"], rtol=1e-5, atol=1e-5)
    for key, value in whole["state"].items():
        torch.testing.assert_close(halves["state"][key], value, rtol=1e-3, atol=2e-5, msg=key)


def test_what_does_not_divide_is_rejected() -> None:
    with pytest.raises(
        ConfigError, match=r"sequence_parallel is 4, set it to a divisor of model\.key_value_heads, which is 2"
    ):
        phase(1, 10, sequence_parallel=4)
    with pytest.raises(ConfigError, match="sequence_parallel is 2, set it to a divisor of context, which is 15"):
        phase(1, 10, sequence_parallel=2, context=15)
    with pytest.raises(ConfigError, match=r"context is 8,192, but with rope_theta 10,000 positions repeat after 6,283"):
        phase(1, 10, context=8192)
    divided = phase(1, 10, sequence_parallel=2)
    with pytest.raises(ConfigError, match="sequence_parallel=2 does not divide 3 ranks"):
        accumulation_steps(divided, 3)
    assert accumulation_steps(divided, 4) == 2
    with pytest.raises(ConfigError, match="sequences_per_rank=2 × 3 groups of 2 ranks"):
        accumulation_steps(divided, 6)

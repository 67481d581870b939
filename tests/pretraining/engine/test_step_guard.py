"""Steps that would do harm leave weights, moments and the steps after them as if they had not been."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.core.errors import DataError
from pipeline.pretraining.config import SkipConfig
from pipeline.pretraining.engine import optimizer_state
from pipeline.pretraining.engine.engine import leave_process_group, update_norm
from pipeline.pretraining.engine.step_guard import StepGuard
from tests.distributed import run_on_ranks, save
from tests.pretraining.training import phase, trainer
from tests.runs import write_counting_tokens


def tell(guard: StepGuard, step: int, loss: float, norm: float) -> bool:
    guard.begin(loss)
    allowed = guard.allows(norm)
    assert (guard.end(step) is None) == allowed
    return allowed


@example(values=[1.0] * 4 + [2.0] * 5, bad=math.nan)
@given(values=st.lists(st.floats(1, 2), min_size=8, max_size=30), bad=st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_not_finite_is_skipped_and_forgotten(values: list[float], bad: float) -> None:
    """Comparisons go on as if it had not been: a NaN in the window would make each of them false."""
    config = SkipConfig(window=8, maximum_in_a_row=100)
    with_bad, without = StepGuard(config), StepGuard(config)
    for step, value in enumerate(values):
        assert not tell(with_bad, 2 * step, bad, 1.0)
        assert tell(with_bad, 2 * step + 1, value, value) == tell(without, step, value, value)
    assert with_bad.state_dict()["losses"] == without.state_dict()["losses"]
    assert not tell(with_bad, 999, 1.5, bad)


def test_outliers_are_skipped_from_half_a_window_on() -> None:
    guard = StepGuard(SkipConfig(window=8, sigmas=6))
    allowed = [tell(guard, step, value, value) for step, value in enumerate((2.0, 2.1, 9.0, 2.2))]
    assert allowed == [True] * 4
    for step in range(4, 12):
        assert tell(guard, step, 2.0 + 0.1 * (step % 2), 1.0 + 0.1 * (step % 2))
    assert not tell(guard, 12, 3.0, 1.0)
    assert not tell(guard, 13, 2.0, 9.0)
    assert tell(guard, 14, 2.1, 1.1)
    assert guard.skipped_steps == [12, 13]
    # A low loss is no outlier, and without sigmas nothing is.
    assert tell(guard, 15, 0.1, 0.1)
    free = StepGuard(SkipConfig(window=8, sigmas=None))
    assert all(tell(free, step, 10.0**step, 1.0) for step in range(20))


def test_many_in_a_row_end_the_phase() -> None:
    guard = StepGuard(SkipConfig(maximum_in_a_row=3))
    for step in (0, 1, 3, 4):
        tell(guard, step, math.nan, 1.0)
    with pytest.raises(DataError, match="step 6: the loss is nan; 3 steps in a row were skipped, lower learning_rate"):
        tell(guard, 5, math.nan, 1.0)


def test_the_window_is_part_of_a_checkpoint() -> None:
    one, other = StepGuard(SkipConfig(window=8)), StepGuard(SkipConfig(window=8))
    for step in range(10):
        tell(one, step, 1 + step / 7, 2 + step / 3)
    tell(one, 10, math.nan, 1.0)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert other.state_dict() == one.state_dict()


CASES = [*((stage, "fp32") for stage in range(4)), *((stage, "bf16") for stage in (1, 2, 3))]
BAD = 7


def train_with_and_without(tokens: Path, work: Path, path: Path) -> None:
    """Five steps, and the same with a step between the third and the fourth of which one micro-batch has a NaN."""
    found: dict[str, Any] = {}
    for stage, precision in CASES:
        for name, steps in (("without", [0, 1, 2, 3, 4]), ("with", [0, 1, 2, BAD, 3, 4])):
            trained = trainer(phase(stage, 10, precision=precision), tokens, work / f"{stage}{precision}{name}")
            forwards = 0

            def poison(module: Any, arguments: Any, output: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
                nonlocal forwards
                forwards += 1
                # The second micro-batch of the bad step, on the second rank only.
                bad = forwards == 3 * 2 + 2 and trained.context.rank == 1  # noqa: B023
                return tuple(each * math.nan for each in output) if bad else output

            if name == "with":
                module: Any = trained.engine.module
                module.register_forward_hook(poison)
            losses = [trained._train_step(step, trained._read_micro_batches(step), True) for step in steps]
            found[f"{stage}/{precision}/{name}"] = {
                "losses": losses,
                "state": optimizer_state.gather_training_state(trained.engine),
                "skipped": trained.optimizer.guard.skipped_steps,
                "adam_step": optimizer_state.adam_step_count(trained.engine),
                "update": update_norm(trained.engine),
                "norm": trained.optimizer.guard.gradient_norm,
            }
            trained.engine.destroy()
    save(path, found)
    leave_process_group()


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("poisoned")
    write_counting_tokens(folder)
    run_on_ranks(train_with_and_without, 2, folder / "tokens", folder / "work", folder / "found.pt")
    return torch.load(folder / "found.pt", weights_only=True)


@pytest.mark.parametrize(("stage", "precision"), CASES)
def test_a_nan_in_one_micro_batch_leaves_nothing(poisoned: dict[str, Any], stage: int, precision: str) -> None:
    clean, with_nan = (poisoned[f"{stage}/{precision}/{name}"] for name in ("without", "with"))
    assert with_nan["skipped"] == [BAD]
    assert clean["skipped"] == []
    assert math.isnan(with_nan["losses"][3])
    assert with_nan["losses"][:3] + with_nan["losses"][4:] == clean["losses"]
    assert with_nan["adam_step"] == clean["adam_step"] == 5
    for name, value in clean["state"].items():
        torch.testing.assert_close(with_nan["state"][name], value, rtol=0, atol=0)


@pytest.mark.parametrize(("stage", "precision"), CASES)
def test_norms_are_those_of_the_whole_model(poisoned: dict[str, Any], stage: int, precision: str) -> None:
    """Every stage measures what the first does, each from its own division of gradients and weights."""
    reference, found = poisoned["0/fp32/without"], poisoned[f"{stage}/{precision}/without"]
    tolerance = 1e-4 if precision == "fp32" else 0.1
    assert found["norm"] == pytest.approx(reference["norm"], rel=tolerance)
    assert found["update"] == pytest.approx(reference["update"], rel=tolerance)
    assert found["update"] > 0

"""The loss of every step of five small phases, as it was: what changes it changes the training of every model.

python -m tests.pretraining.test_golden    writes the curves anew, after a change that is meant
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.pretraining.engine import optimizer_state
from tests.pretraining.training import RecordingTracker, phase, trainer
from tests.runs import write_counting_tokens

CURVES = Path(__file__).parent / "golden_losses.json"
STEPS = 40
TOLERANCE = 2e-3
"""Relative: another processor multiplies matrices in another order."""
POWER = {"law": "power", "scale": 30.0, "exponent": -0.51, "maximum": 0.02, "warmup_tokens": 8 * 128}
PHASES: dict[str, dict[str, Any]] = {
    "phase1": {"stage": 1, "learning_rate": POWER},
    "phase2": {"stage": 2, "learning_rate": POWER, "mixture": {"code": 1, "math": 3}, "z_loss": 1e-4},
    "phase3": {"stage": 3, "learning_rate": {"law": "exponential", "end_ratio": 0.1}, "gradient_checkpointing": True},
    "phase4": {"stage": 0, "learning_rate": {"law": "linear", "end_ratio": 0.0}},
    "phase5": {"stage": 1, "learning_rate": {"law": "exponential", "start": 2e-3, "end_ratio": 0.0}, "context": 32},
}


def losses(work: Path) -> dict[str, list[float]]:
    """Trains the phases, each from where the one before ended."""
    write_counting_tokens(work)
    found: dict[str, list[float]] = {}
    state, tokens_before, rate, step_count = None, 0, None, 0
    for name, settings in PHASES.items():
        settings = dict(settings)
        made = phase(settings.pop("stage"), STEPS, **settings)
        trained = trainer(made, work / "tokens", work / name, tokens_before, rate)
        if state is not None:
            optimizer_state.restore_training_state(trained.engine, state, step_count)
        recorded = RecordingTracker(trained)
        trained.train()
        found[name] = list(recorded.losses.values())
        state = optimizer_state.gather_training_state(trained.engine)
        step_count = optimizer_state.adam_step_count(trained.engine)
        tokens_before, rate = tokens_before + made.steps * made.tokens_per_step, trained.schedule.end_rate
        trained.engine.destroy()
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_phase_learns_as_it_did(tmp_path: Path) -> None:
    golden = json.loads(CURVES.read_text())
    found = losses(tmp_path)
    assert found.keys() == golden.keys()
    for name, curve in golden.items():
        assert found[name] == pytest.approx(curve, rel=TOLERANCE), name


def test_the_curves_are_of_models_that_learn() -> None:
    golden = json.loads(CURVES.read_text())
    starts, ends = [curve[0] for curve in golden.values()], [curve[-1] for curve in golden.values()]
    assert starts[0] > 4.0
    assert ends[3] < 0.5 * starts[0]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        CURVES.write_text(json.dumps(losses(Path(folder)), indent=1) + "\n")

"""A stop signal is answered wherever a phase is: in a measurement and between merges too; and nothing is lost by it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.artifact import Artifact, load
from pipeline.core.context import StageContext, StopFlag
from pipeline.core.errors import Requeue
from pipeline.core.files import read_json, sha256_of
from pipeline.core.verified_folder import step_numbers
from pipeline.pretraining import phase
from tests.pretraining.training import phase as phase_config
from tests.runs import finished, write_phase_inputs

STEPS = 4
FILES = ("checkpoint/model.safetensors", "training_state/state.safetensors", "training_state/progress.json")
MERGED: dict[str, Any] = {"merge": {"weights": [0.5, 1.0]}, "validation": {"sequences_per_domain": 4, "every_steps": 2}}


@dataclass
class FlagAtALook(StopFlag):
    """A stop flag that a signal raises just before the stage looks at it for the `at`-th time; None: never."""

    at: int | None = None
    looks: int = 0

    @property
    def raised(self) -> bool:  # type: ignore[override]
        self.looks += 1
        return self.at is not None and self.looks >= self.at


def run(folder: Path, inputs: dict[str, Artifact], flag: StopFlag, **changes: Any) -> dict[str, str]:
    """One attempt of a phase in this process; the hashes of what it hands on."""
    context = StageContext.for_test("phase", phase_config(1, STEPS, **changes), inputs, folder)
    context.stop = flag
    phase.run(context)
    return {name: sha256_of(context.output / name) for name in FILES}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Artifact]:
    """Those of a second phase."""
    write_phase_inputs(tmp_path)
    given = {role: load(tmp_path / role) for role in ("tokens", "tokenizer")}

    def first(partial: Path) -> None:
        run(tmp_path / "first", given, FlagAtALook())
        for name in ("checkpoint", "training_state"):
            (tmp_path / "first" / "partial" / name).rename(partial / name)

    return {**given, "model": load(finished(tmp_path, "model", first))}


def test_a_stop_at_any_look_is_answered_and_leaves_no_trace(inputs: dict[str, Artifact], tmp_path: Path) -> None:
    flag = FlagAtALook()
    expected = run(tmp_path / "whole", inputs, flag, **MERGED)
    tried = read_json(tmp_path / "whole/partial/merge.json")["tried"]
    # Looks: at each forward pass of the measurements, at the start, in the middle, after each merge and at the end,
    # and after each step.
    in_a_measurement, rest = divmod(flag.looks - STEPS, 1 + 1 + len(tried) + 1)
    assert rest == 0
    assert in_a_measurement > 1
    in_the_middle = in_a_measurement + 2
    for at, saved in (
        (2, []),
        (in_the_middle, [2]),
        (2 * in_a_measurement + STEPS - 1, [STEPS - 1]),
        (2 * in_a_measurement + STEPS + 2, [STEPS]),
        (flag.looks - in_a_measurement - 1, [STEPS]),
        (flag.looks, [STEPS]),
    ):
        folder = tmp_path / f"stopped at {at}"
        with pytest.raises(Requeue, match="stopped by a signal"):
            run(folder, inputs, FlagAtALook(at=at), **MERGED)
        assert step_numbers(folder / "state" / "steps") == saved, at
        assert run(folder, inputs, FlagAtALook(), **MERGED) == expected, at
        assert read_json(folder / "partial/merge.json")["tried"] == tried

"""Gates of an evaluation: what a checkpoint lost beyond noise and beyond what its settings let pass, by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pipeline.core.errors import GateError
from pipeline.evaluation.comparison import Compared
from pipeline.evaluation.config import GatesConfig

LONG_RANGE = "long_range_loss/"
TEXT = "loss/mean"


def losses_beyond(
    gates: GatesConfig,
    metrics: Mapping[str, float],
    before: Mapping[str, float],
    compared: Sequence[Compared],
    vocabulary: int,
) -> list[str]:
    """What the gates have to say of a checkpoint, a sentence each.

    Args:
        gates: settings.
        metrics: of the checkpoint.
        before: of the one before it; empty without one.
        compared: answers of both on the same prompts.
        vocabulary: tokens that the model chooses from.
    """
    said: list[str] = []
    allowed = gates.accuracy_may_fall
    if allowed is not None:
        said += [
            f"accuracy of {each} fell by more than noise and gates.accuracy_may_fall={allowed:g}"
            for each in compared
            if each.change.fell_beyond(allowed)
        ]
    text = [TEXT] if TEXT in metrics else []
    long = [name for name in metrics if name.startswith(LONG_RANGE)]
    for name in (*text, *long):
        what = "text loss" if name == TEXT else f"loss at long range ({name.removeprefix(LONG_RANGE)} tokens)"
        loss, earlier = metrics[name], before.get(name)
        guess = math.log(vocabulary)
        if gates.uniform_guess and loss >= guess:
            gone = "it has lost text" if name == TEXT else "its long context is gone"
            said.append(f"{what} {loss:.3f} is no less than a uniform guess, {guess:.3f}: {gone}")
        elif gates.loss_may_rise is not None and earlier is not None and loss > earlier * (1 + gates.loss_may_rise):
            said.append(
                f"{what} rose from {earlier:.3f} to {loss:.3f}, {loss / earlier - 1:+.1%}, more than "
                f"gates.loss_may_rise={gates.loss_may_rise:g}"
            )
    return said


def check_gates(stage: str, gates: GatesConfig, said: Sequence[str]) -> None:
    """Warns in the log of what the gates said, or ends the stage.

    Raises:
        GateError: if there is something and the gates are to stop the stage.
    """
    if not said:
        return
    if gates.action == "stop":
        raise GateError(
            f"{'; '.join(said)}; train it otherwise, or set stages.{stage}.config.gates.action=warn to go on with it"
        )
    for each in said:
        print(f"warning: {each}")

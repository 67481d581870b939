"""The gate of a stage of RL: what its model may lose of verified accuracy, whatever the reward says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from pipeline.core.errors import GateError
from pipeline.core.statistics import Change, paired_change
from pipeline.posttraining.rl.config import StageGateConfig

Verified = Mapping[str, Sequence[float]]
"""By environment, the verifier's mean score of each different held-out prompt."""


def verified_metrics(before: Verified, after: Verified) -> dict[str, float]:
    """`verified/<environment>/<what>` for before, after, the change and the ends of its 90 % interval."""
    metrics: dict[str, float] = {}
    for environment, scores in before.items():
        change = paired_change(scores, after[environment])
        metrics |= {
            f"verified/{environment}/before": fmean(scores),
            f"verified/{environment}/after": fmean(after[environment]),
            f"verified/{environment}/change": change.mean,
            f"verified/{environment}/change_low": change.low,
            f"verified/{environment}/change_high": change.high,
            f"verified/{environment}/prompts": float(change.prompts),
        }
    return metrics


def check_gate(
    stage: str, gate: StageGateConfig, before: Verified, after: Verified, closed: Mapping[str, str] | None = None
) -> None:
    """Warns in the log of each domain whose verified accuracy fell by more than may be, or ends the stage.

    Args:
        stage: its name.
        gate: its settings.
        before: scores of the model that the stage started from.
        after: scores of the trained model on the same prompts.
        closed: domains whose verifier may not decide, with the reason: their change is told and has no consequence.

    Raises:
        GateError: for such a fall, if the gate is to stop the stage.
    """
    for environment, scores in before.items():
        change = paired_change(scores, after[environment])
        said = _said(environment, scores, after[environment], change)
        if closed and environment in closed:
            print(f"{said}; its verifier may not gate: {closed[environment]}")
            continue
        print(said)
        if not change.fell_beyond(gate.may_fall):
            continue
        fall = f"{said}, more than noise and gate.may_fall={gate.may_fall:g}"
        if gate.action == "stop":
            raise GateError(
                f"{fall}; set a larger beta, replay_share or reward.{environment}.gate=verifier, or "
                f"stages.{stage}.config.gate.action=warn to keep this model"
            )
        print(f"warning: {fall}")


def _said(environment: str, before: Sequence[float], after: Sequence[float], change: Change) -> str:
    return (
        f"verified accuracy in {environment} {fmean(before):.3f} -> {fmean(after):.3f} ({change.mean:+.3f}, 90 % "
        f"{change.low:+.3f} to {change.high:+.3f}, {change.prompts} prompts)"
    )

"""The gate of the reward model: is it fit to be followed by RL?"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from pipeline.core.errors import GateError
from pipeline.core.statistics import paired_change
from pipeline.posttraining.reward.best_of_n import Picks
from pipeline.posttraining.reward.config import RewardGateConfig

KINDS = "accuracy/kind/"


def best_of_n_metrics(picks: Mapping[str, Picks]) -> dict[str, float]:
    """`best_of_n/<domain>/<what>`: verified accuracy of all replies (mean) and of the picked ones (pick), with the ends
    of the 90 % interval of the difference and the number of prompts."""
    metrics: dict[str, float] = {}
    for domain, found in picks.items():
        change = paired_change(found.means, found.picks)
        metrics |= {
            f"best_of_n/{domain}/mean": fmean(found.means),
            f"best_of_n/{domain}/pick": fmean(found.picks),
            f"best_of_n/{domain}/change_low": change.low,
            f"best_of_n/{domain}/change_high": change.high,
            f"best_of_n/{domain}/prompts": float(change.prompts),
        }
    return metrics


def check_gate(
    stage: str, gate: RewardGateConfig, pair_metrics: Mapping[str, float], picks: Mapping[str, Picks]
) -> None:
    """Warns in the log of what makes the reward model unfit, or ends the stage.

    Raises:
        GateError: for the first fault, if the gate is to stop the stage.
    """
    faults = [
        f"{value:.3f} of the pairs with kind {name.removeprefix(KINDS)} are ordered right, gate.kind_accuracy is "
        f"{gate.kind_accuracy:g}; set more pairs or epochs"
        for name, value in pair_metrics.items()
        if name.startswith(KINDS) and value < gate.kind_accuracy
    ]
    for domain, found in picks.items():
        change = paired_change(found.means, found.picks)
        if not change.fell_beyond(0.0):
            continue
        faults.append(
            f"of the start model's replies in {domain} it picks such that {fmean(found.picks):.3f} are right, of all "
            f"{fmean(found.means):.3f} are (90 % {change.low:+.3f} to {change.high:+.3f}, {change.prompts} prompts): "
            "RL would go the wrong way; set a larger on_policy.share or more pairs"
        )
    for fault in faults:
        if gate.action == "stop":
            raise GateError(f"{fault}, or stages.{stage}.config.gate.action=warn to keep this model")
        print(f"warning: {fault}")

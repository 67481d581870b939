"""Calibration of the judge: how many planted defects it rejects, and how many conversations without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from pipeline.posttraining.calibration.defects import DEFECTS, Case, plant_all
from pipeline.posttraining.calibration.good_conversations import GoodConversation, good_conversations
from pipeline.posttraining.data.judge.config import JudgeConfig
from pipeline.posttraining.data.judge.gate import DefectCounts, below_floor, binding
from pipeline.posttraining.data.judge.judge import Judge
from pipeline.posttraining.data.judge.verdict import Decision
from pipeline.posttraining.data.record import Conversation

KIND = "judge"
"""What the report says it is of."""


def calibrate_judge(
    config: JudgeConfig, more: Sequence[Conversation] = (), done: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Asks the judge about good conversations and about the same ones with defects, and counts what it rejects.

    Args:
        config: settings of the judge; the calibration that they name is not looked at.
        more: good conversations beside the built-in ones.
        done: called after each verdict.

    Returns:
        the report, which JSON can hold: what it is bound to, the counts, and recall and precision per defect.

    Raises:
        UserError: for a rubric that cannot be used, a server that cannot be asked or fails too often.
    """
    good = [*good_conversations(), *(GoodConversation(each) for each in more)]
    cases = plant_all(good)
    with Judge(replace(config, calibration=None), done=done) as judge:
        decisions = judge.decide([*(each.conversation for each in good), *(case.conversation for case in cases)])
        judge.client.check_failures()
    return report(config, cases, decisions[: len(good)], decisions[len(good) :])


def report(
    config: JudgeConfig, cases: Sequence[Case], of_good: Sequence[Decision], of_cases: Sequence[Decision]
) -> dict[str, Any]:
    """The report of decisions on the good conversations, and on the cases in their order."""
    counts: dict[str, DefectCounts] = {}
    for name, defect in DEFECTS.items():
        found = [(case, each) for case, each in zip(cases, of_cases, strict=True) if case.defect == name]
        rejected = [each for _, each in found if each.outcome == "reject"]
        counts[name] = DefectCounts(
            planted=len(found),
            rejected=len(rejected),
            named=sum(defect.flag is None or defect.flag in each.flags for each in rejected),
            good_rejected=sum(of_good[case.good].outcome == "reject" for case, _ in found),
        )
    decisions = [*of_good, *of_cases]
    failed = below_floor(config, counts)
    return {
        "kind": KIND,
        "binding": binding(config),
        "model": config.endpoint.model,
        "rubric": config.rubric,
        "good": {"judged": len(of_good), "rejected": sum(each.outcome == "reject" for each in of_good)},
        "unparsed": sum(each.outcome == "unparsed" for each in decisions),
        "unanswered": sum(each.outcome == "unanswered" for each in decisions),
        "floors": {"minimum_recall": config.minimum_recall, "minimum_precision": config.minimum_precision},
        "counts": {name: asdict(each) for name, each in counts.items()},
        "recall": {name: round(each.recall, 4) for name, each in counts.items()},
        "precision": {name: round(each.precision, 4) for name, each in counts.items()},
        "below_floor": failed,
        "may_gate": not failed,
    }


def table(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """The rows of a report for the terminal, the first of them a heading."""
    rows: list[tuple[str, ...]] = [("defect", "planted", "rejected", "named", "recall", "precision")]
    for name, each in found["counts"].items():
        numbers = (str(each["planted"]), str(each["rejected"]), str(each["named"]))
        rows.append((name, *numbers, f"{found['recall'][name]:.2f}", f"{found['precision'][name]:.2f}"))
    return rows

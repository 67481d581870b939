"""Whether the judge may remove conversations: only where this model passed a calibration with this rubric."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.config import fingerprint
from pipeline.core.errors import DataError
from pipeline.posttraining.data.judge.config import JudgeConfig
from pipeline.posttraining.data.judge.rubric import load_rubric
from pipeline.posttraining.data.judge.verdict import SCHEMA

MINIMUM_CASES = 10
"""Conversations with a defect below which a share of them says nothing."""


@dataclass(frozen=True)
class Gate:
    """Whether verdicts remove, and why not."""

    open: bool
    why: str
    """In words for one line of the log."""


@dataclass(frozen=True)
class DefectCounts:
    """What the judge did with the conversations that a defect was planted in, and with the same ones without it."""

    planted: int
    """Conversations with the defect."""
    rejected: int
    """Of those, how many the judge rejected."""
    named: int
    """Of those, how many it rejected with the flag that the defect calls for, or for any reason if there is none."""
    good_rejected: int
    """The same conversations without the defect that it rejected."""

    @property
    def recall(self) -> float:
        """Share of the conversations with the defect that were rejected."""
        return self.rejected / self.planted if self.planted else 0.0

    @property
    def precision(self) -> float:
        """Share of the rejected ones that have the defect, where as many have it as have not; 0 if there are none."""
        rejected = self.rejected + self.good_rejected
        return self.rejected / rejected if rejected else 0.0


def binding(config: JudgeConfig) -> str:
    """A hash of all that a verdict depends on: model, rubric, schema, sampling, weights, thresholds, hard rejects."""
    return fingerprint(
        {
            "model": config.endpoint.model,
            "rubric": load_rubric(config.rubric).content(),
            "schema": SCHEMA,
            "response_format": config.response_format,
            "sampling": [config.temperature, config.reply_tokens],
            "weights": config.weights,
            "thresholds": [config.accept, config.reject],
            "hard_rejects": sorted(config.hard_rejects),
        }
    )


def below_floor(config: JudgeConfig, defects: dict[str, DefectCounts]) -> list[str]:
    """The defects that the judge finds too seldom, or where there are none, with its numbers; empty if it passes."""
    return [
        f"{name} (recall {counts.recall:.2f}, precision {counts.precision:.2f}, {counts.planted} cases)"
        for name, counts in defects.items()
        if counts.planted < MINIMUM_CASES
        or counts.recall < config.minimum_recall
        or counts.precision < config.minimum_precision
    ]


def find_gate(config: JudgeConfig) -> Gate:
    """Reads the calibration that the settings name, and holds it against model, rubric and floors.

    Raises:
        DataError: for a report that is not there or is none.
        RecipeError: for a rubric that cannot be used.
    """
    if config.calibration is None:
        return Gate(False, "judge.calibration is null; make one with `fivephase calibrate judge`")
    report = _read(Path(config.calibration))
    if report["binding"] != binding(config):
        return Gate(
            False,
            f"{config.calibration} is of another model, rubric or thresholds; run `fivephase calibrate judge` again",
        )
    failed = below_floor(config, {name: DefectCounts(**counts) for name, counts in report["counts"].items()})
    if failed or not report["counts"]:
        return Gate(
            False,
            f"{config.calibration}: below minimum_recall={config.minimum_recall:g} or "
            f"minimum_precision={config.minimum_precision:g} at {'; '.join(failed) or 'all defects'}",
        )
    return Gate(True, f"calibrated by {config.calibration}")


def _read(path: Path) -> dict[str, Any]:
    remedy = "set judge.calibration to a report of `fivephase calibrate judge`, or to null"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        binding_found, counts = report["binding"], report["counts"]
        for each in counts.values():
            if not all(type(number) is int for number in vars(DefectCounts(**each)).values()):
                raise TypeError
        return {"binding": binding_found, "counts": counts}
    except OSError:
        raise DataError(f"judge.calibration={path}: no file, {remedy}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"judge.calibration={path}: no report of a judge, {remedy}") from None

"""Which verifiers may decide what is kept: those that a calibration found to tell right answers from wrong ones."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pipeline.environments
from pipeline.core.errors import DataError
from pipeline.environments.own import is_own, own_sources

MINIMUM_AUC = 0.99
"""Floor of a verifier: the probability that a right answer scores above a wrong one, ties counting half."""
NOT_CALIBRATED = "not calibrated"
"""The reason of a verifier that a report has nothing of."""
SFT_KEY = "stages.sft_data.config.verifier_calibration"


def source_hash(name: str) -> str:
    """SHA-256 of the sources that a verifier is made of: all of `pipeline.environments`, and a file of one's own."""
    digest = hashlib.sha256(_built_in_sources())
    if is_own(name):
        digest.update(repr(sorted(own_sources([name]).items())).encode())
    return digest.hexdigest()


@cache
def _built_in_sources() -> bytes:
    digest = hashlib.sha256()
    folder = Path(inspect.getfile(pipeline.environments)).parent
    for path in sorted(folder.rglob("*.py")):
        digest.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return digest.digest()


def closed_gates(calibration: str | None, names: Iterable[str], key: str = SFT_KEY) -> dict[str, str]:
    """The verifiers that may not decide, with the reason: not calibrated, changed since, or below the floor.

    Args:
        calibration: report of `fivephase calibrate verifiers`; None lets all of them decide.
        names: of the verifiers that are to decide.
        key: of the setting that names the report, for the error message.

    Raises:
        DataError: for a report that is not there or is none.
    """
    if calibration is None:
        return {}
    found = _read(Path(calibration), key)
    closed = {}
    for name in names:
        if name not in found:
            closed[name] = NOT_CALIBRATED
        elif found[name]["binding"] != source_hash(name):
            closed[name] = "changed since it was calibrated"
        elif found[name]["auc"] < MINIMUM_AUC:
            closed[name] = f"AUC {found[name]['auc']:.4f} below {MINIMUM_AUC}"
    return closed


def _read(path: Path, key: str) -> dict[str, Any]:
    remedy = "set it to a report of `fivephase calibrate verifiers`, or to null"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["verifiers"]
        for each in found.values():
            if not isinstance(each["binding"], str) or not isinstance(each["auc"], float):
                raise TypeError
        return found
    except OSError:
        raise DataError(f"{key}={path}: no file, {remedy}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(f"{key}={path}: no report of verifiers, {remedy}") from None

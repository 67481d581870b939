"""Fingerprints of all stages of all scales, held to what they were: a change to the code must not rerun a finished run.

`python -m tests.control.test_fingerprints` writes `fingerprints.json` anew, when a change is meant.
"""

import json
import platform
from pathlib import Path

import pytest

from pipeline.control.compose import compose, typed
from pipeline.control.run import freeze
from pipeline.curation.readers import source_files

GOLDEN = Path(__file__).with_name("fingerprints.json")
SCALES = ("smoke", "smoke_gpu", "granite_4_1_3b", "granite_4_1_8b", "granite_4_1_30b")


def fingerprints(scale: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """By stage, as if every package of the embedded corpus had the same version on every machine."""
    monkeypatch.setattr(source_files, "version_of", lambda package: "any")
    monkeypatch.setattr(platform, "python_version", lambda: "any")
    return {stage.stage: stage.fingerprint for stage in freeze(typed(compose([f"scale={scale}"])))}


@pytest.mark.parametrize("scale", SCALES)
def test_fingerprints_are_what_they_were(scale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fingerprints(scale, monkeypatch) == json.loads(GOLDEN.read_text())[scale]


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        GOLDEN.write_text(json.dumps({scale: fingerprints(scale, patch) for scale in SCALES}, indent=2) + "\n")

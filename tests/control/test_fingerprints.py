"""Fingerprints of all stages of all scales, held to what they were: a change to the code must not rerun a finished run.

`python -m tests.control.test_fingerprints` writes `fingerprints.json` anew, when a change is meant.
"""

import json
import platform
from pathlib import Path

import pytest

from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import freeze
from pipeline.curation.readers import source_files

GOLDEN = Path(__file__).with_name("fingerprints.json")
CASES = (
    "scale=smoke",
    "scale=laptop",
    "scale=smoke_gpu",
    "scale=granite_4_1_3b",
    "scale=granite_4_1_8b",
    "scale=granite_4_1_30b",
    "scale=smoke language_model=endpoint stages.synthesize.config.language_model.model=any",
)
"""Command lines whose fingerprints are held: each scale, and what is in fingerprints that no scale chooses."""


def fingerprints(case: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """By stage, as if every package of the embedded corpus had the same version on every machine."""
    monkeypatch.setattr(source_files, "version_of", lambda package: "any")
    monkeypatch.setattr(platform, "python_version", lambda: "any")
    return {stage.stage: stage.fingerprint for stage in freeze(typed(compose(case.split())))}


@pytest.mark.parametrize("case", CASES)
def test_fingerprints_are_what_they_were(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fingerprints(case, monkeypatch) == json.loads(GOLDEN.read_text())[case.removeprefix("scale=")]


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        found = {case.removeprefix("scale="): fingerprints(case, patch) for case in CASES}
        GOLDEN.write_text(json.dumps(found, indent=2) + "\n")

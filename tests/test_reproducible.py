"""The same seed gives the same weights, wherever and with however many workers."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.artifact import read_manifest
from tests import ROOT

PHASES = ("phase1", "phase2")


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(2400)
def test_folders_and_workers_leave_the_weights_as_they_are(tmp_path: Path) -> None:
    """From raw pages through two phases: all files of the phases have the same SHA-256."""
    found = []
    for name, workers in (("one", 1), ("other/folder", 2)):
        settings = [
            f"root={tmp_path / name}",
            "run=first",
            "to=phase2",
            "tracking=off",
            f"stages.curate.config.workers={workers}",
            f"stages.curate.config.tasks={workers + 2}",
            f"stages.synthesize.config.workers={workers}",
            *(f"stages.{phase}.config.tokens=20_480" for phase in PHASES),
        ]
        command = [sys.executable, "-m", "pipeline", "run", "scale=smoke", *settings]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=1200)
        run = tmp_path / name / "first"
        manifests = {phase: read_manifest(run / phase) for phase in PHASES}
        found.append({phase: manifest.files for phase, manifest in manifests.items() if manifest})
    assert found[0] == found[1]
    assert "checkpoint/model.safetensors" in found[0]["phase2"]

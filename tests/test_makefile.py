"""`make clean` in a folder that has everything."""

import shutil
import subprocess
from pathlib import Path

from tests import ROOT


def test_clean_leaves_runs_and_environment(tmp_path: Path) -> None:
    """A run is weeks of checkpoints, which no cleaning may take along."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    kept = ["runs/first/phase1/manifest.json", ".venv/bin/python", "conf/scale/mine.yaml"]
    removed = ["build/lib/a.py", "dist/a.whl", "fivephase.egg-info/PKG-INFO", ".ruff_cache/a"]
    for name in (*kept, *removed):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert all((tmp_path / name).exists() for name in kept)
    assert not any((tmp_path / name).parent.exists() for name in removed)

"""Whether there is a Slurm to test with: `eval "$(tests/launch/slurm_ci.sh up)"` starts one."""

import shutil
import subprocess

import pytest


def controller_answers() -> bool:
    if shutil.which("sinfo") is None:
        return False
    return subprocess.run(["sinfo"], capture_output=True, timeout=20).returncode == 0


needs_slurm = [
    pytest.mark.slurm,
    pytest.mark.skipif(not controller_answers(), reason="no Slurm controller answers sinfo"),
]

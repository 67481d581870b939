"""What an executor cannot work with is said before anything is submitted."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import ConfigError
from pipeline.curation.config import ExecutorConfig
from pipeline.curation.executors.run_tasks import EXECUTORS

JOB: dict[str, Any] = {"time": "1:00:00", "cpus_per_task": 1, "memory_gb_per_cpu": 4, "tasks_per_job": 1}


def refused(config: ExecutorConfig, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        EXECUTORS[config.kind]([], 1, folder, config, None, lambda: False)
    return str(caught.value)


def test_slurm_has_no_folder_with_a_space(tmp_path: Path) -> None:
    """datatrove writes paths into its scripts without quotes."""
    folder = tmp_path / "my runs"
    said = refused(ExecutorConfig(kind="slurm", partition="any", **JOB), folder)
    assert said == f"executor=slurm: {folder} has a space in its name, set root to a folder without one"
    assert not folder.exists()


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_ray_has_to_be_installed(tmp_path: Path) -> None:
    assert "pip install 'ray>=2.40'" in refused(ExecutorConfig(kind="ray", **JOB), tmp_path)


def test_slurm_needs_a_partition() -> None:
    with pytest.raises(ValueError, match=r"set executor\.partition to one that sinfo lists"):
        ExecutorConfig(kind="slurm")

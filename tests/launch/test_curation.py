"""Curation's tasks on clusters: the same bytes as on one machine."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.curation.recipe_files import hashes, recipe, write_lines, write_recipe
from tests.launch.slurm import needs_slurm

STEPS = [
    {"step": "gopher_quality", "minimum_words": 8},
    {"step": "exact_dedup"},
    {"step": "minhash", "buckets": 4},
]
SEVERAL = ["executor.cpus_per_task=1", "executor.memory_gb_per_cpu=1"]


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """A recipe for six files."""
    words = re.findall(r"\w+", "the cat and the dog have a bone that they would give to nobody in this house")
    for number in range(6):
        lines = [" ".join(words[(number + line) % 7 :] + [str(line % 5)] * (line % 3)) for line in range(40)]
        write_lines(tmp_path / "lines" / f"{number}.jsonl", lines)
    write_recipe(tmp_path / "recipes", recipe(tmp_path / "lines", STEPS))
    return tmp_path / "recipes"


def curate(recipes: Path, name: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    """The stage as a user starts it."""
    command = [
        sys.executable, "-m", "pipeline", "stage", "curate", f"root={recipes.parent}", f"run={name}",
        f"stages.curate.config.recipes={recipes}", "recipe=technical", *overrides,
    ]  # fmt: skip
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)


def made(recipes: Path, name: str) -> dict[str, str]:
    """What the stage made, but for times and logs."""
    found = hashes(recipes.parent / name / "curate")
    return {path: digest for path, digest in found.items() if path.startswith(("documents", "removed", "report"))}


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestOnSlurm:
    pytestmark = needs_slurm

    def test_jobs_of_an_array_make_the_same(self, recipes: Path) -> None:
        assert curate(recipes, "here").returncode == 0
        there = curate(recipes, "there", "executor=slurm", "executor.partition=test", *SEVERAL)
        assert there.returncode == 0, there.stderr
        assert made(recipes, "there") == made(recipes, "here") != {}

    def test_what_is_wrong_with_the_data_comes_back(self, recipes: Path) -> None:
        (recipes.parent / "lines" / "3.jsonl").write_text("{}\nnot json\n" * 40)
        there = curate(recipes, "there", "executor=slurm", "executor.partition=test", *SEVERAL)
        assert there.returncode == 2, there.stderr
        assert "3.jsonl" in there.stderr


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_a_ray_cluster_makes_the_same(recipes: Path) -> None:
    assert curate(recipes, "here").returncode == 0
    there = curate(recipes, "there", "executor=ray", *SEVERAL)
    assert there.returncode == 0, there.stderr
    assert made(recipes, "there") == made(recipes, "here") != {}

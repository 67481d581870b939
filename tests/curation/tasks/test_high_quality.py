"""The high-quality subset: a classifier and documents, the same after a kill."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.curation.executors.run_tasks import TaskProgress
from pipeline.curation.recipes.recipe import load_recipe
from pipeline.curation.tasks.high_quality import SelectHighQuality
from pipeline.curation.tasks.workspace import DomainWorkspace
from tests import ROOT
from tests.curation.conftest import Curate
from tests.curation.interrupted import kill_when_stopped
from tests.curation.recipe_files import DISCLOSURE, hashes, recipe, write_lines, write_recipe

EXACT: list[dict[str, Any]] = [{"step": "exact_dedup"}]
PROGRAM = """
import sys
from pathlib import Path
from tests.curation.interrupted import stop_at_rename
from tests.curation.tasks.test_high_quality import select

recipes, output, last, marker = map(Path, sys.argv[1:])
stop_at_rename(lambda path: path == last, marker, after=True)
select(recipes, output)
"""


def select(recipes: Path, output: Path) -> None:
    """Makes the subset of what was curated to the output."""
    folder = output.parent / f"{output.name}-workspace"
    folder.mkdir(exist_ok=True)
    workspace = DomainWorkspace(folder, load_recipe(recipes / "common_crawl_hq.yaml"), 1)
    SelectHighQuality(workspace, output, 50)(TaskProgress(folder, 0))


@pytest.fixture
def recipes(tmp_path: Path) -> Path:
    """Two domains of documents, and a third that is the best of the second."""
    for domain, word in (("books", "theorem"), ("common_crawl", "offer")):
        lines = write_lines(tmp_path / f"{domain}.jsonl", [f"{word} {number} " * 40 for number in range(300)])
        write_recipe(tmp_path / "recipes", recipe(lines, EXACT, domain))
    sources = [{"kind": "domain", "domain": "common_crawl", "disclosure": DISCLOSURE}]
    classifier = {"step": "quality_classifier", "positives": ["books"], "hash_bits": 12, "epochs": 2}
    write_recipe(tmp_path / "recipes", recipe(tmp_path, [classifier], "common_crawl_hq", sources=sources))
    return tmp_path / "recipes"


@pytest.mark.slow
@pytest.mark.exhaustive
def test_killed_while_it_writes_and_done_again_gives_the_same_bytes(
    recipes: Path, tmp_path: Path, run_curate: Curate
) -> None:
    output, _ = run_curate(recipes, tasks=1)
    whole = hashes(output)
    classifiers, documents = (output / kind / "common_crawl_hq" for kind in ("classifiers", "documents"))
    assert {path.name for path in classifiers.iterdir()} >= {"model.safetensors", "config.json", "README.md"}
    for last in (classifiers / "model.safetensors", classifiers / "README.md", documents / "00000.jsonl.gz"):
        marker = tmp_path / "stopped"
        command = [sys.executable, "-c", PROGRAM, *map(str, (recipes, output, last, marker))]
        kill_when_stopped(subprocess.Popen(command, cwd=ROOT), marker)
        assert last.exists()
    # What a kill in the midst of writing leaves.
    (classifiers / ".model.safetensors.123").write_bytes(b"half")
    (documents / ".00000.jsonl.gz.123").write_bytes(b"half")
    select(recipes, output)
    assert hashes(output) == whole

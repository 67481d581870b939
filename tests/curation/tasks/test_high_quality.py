"""The high-quality subset: a classifier and documents, the same after a kill."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.curation.executors.run_tasks import TaskProgress
from pipeline.curation.recipes.recipe import load_recipe
from pipeline.curation.tasks.high_quality import SelectHighQuality
from tests import ROOT
from tests.curation.conftest import Curate
from tests.curation.recipe_files import DISCLOSURE, hashes, recipe, write_lines, write_recipe

EXACT: list[dict[str, Any]] = [{"step": "exact_dedup"}]
PROGRAM = """
import sys
from pathlib import Path
from tests.curation.tasks.test_high_quality import select
select(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def select(recipes: Path, output: Path) -> None:
    """Makes the subset of what was curated to the output."""
    folder = output.parent / f"{output.name}-counts"
    folder.mkdir(exist_ok=True)
    chosen = load_recipe(recipes / "common_crawl_hq.yaml")
    SelectHighQuality(chosen, output, folder / "funnel.json", 50)(TaskProgress(folder, 0))


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
def test_killed_while_it_writes_and_done_again_gives_the_same_bytes(
    recipes: Path, tmp_path: Path, run_curate: Curate
) -> None:
    output, _ = run_curate(recipes, tasks=1)
    whole = hashes(output)
    classifiers = output / "classifiers" / "common_crawl_hq"
    assert {path.name for path in classifiers.iterdir()} >= {"model.safetensors", "config.json", "README.md"}
    for name in ("model.safetensors", "README.md"):
        (classifiers / name).unlink(missing_ok=True)
        command = [sys.executable, "-c", PROGRAM, str(recipes), str(output)]
        process = subprocess.Popen(command, cwd=ROOT)
        while process.poll() is None and not (classifiers / name).exists():
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
    # What a kill in the midst of writing leaves.
    for folder in (classifiers, output / "documents" / "common_crawl_hq"):
        folder.mkdir(parents=True, exist_ok=True)
    (classifiers / ".model.safetensors.123").write_bytes(b"half")
    (output / "documents" / "common_crawl_hq" / ".00000.jsonl.gz.123").write_bytes(b"half")
    select(recipes, output)
    assert hashes(output) == whole

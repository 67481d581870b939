"""docs/curation.md is true: its recipe runs as it stands, and its table is that of the code."""

import os
import re
import subprocess
import sys
from pathlib import Path

from pipeline.core.files import read_json
from pipeline.curation.recipes.steps.table import step_table
from tests import ROOT
from tests.curation.recipe_files import write_lines

TEXT = (ROOT / "docs" / "curation.md").read_text()
SENTENCE = "To start the machine of type {name}, press the green button and wait until the light is on."


def test_the_table_of_steps_is_that_of_the_code() -> None:
    assert TEXT.partition("<!-- steps -->\n")[2].partition("\n<!-- end of steps -->")[0] == step_table()


def test_the_recipe_runs_as_it_stands(tmp_path: Path) -> None:
    found = re.search(r"<!-- example -->\n```yaml\n(.*?)```", TEXT, re.DOTALL)
    command = re.search(r"^fivephase (stage curate .*)$", TEXT, re.MULTILINE)
    assert found is not None
    assert command is not None
    (tmp_path / "my_recipes").mkdir()
    (tmp_path / "my_recipes" / "technical.yaml").write_text(found.group(1))
    names = ["alpha", "beta", "alpha"]
    write_lines(
        tmp_path / "manuals" / "a.jsonl.gz", [f"{SENTENCE.format(name=name)} Then go on." * 2 for name in names]
    )
    arguments = [*command.group(1).split(), "tracking=off"]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    report = read_json(tmp_path / "runs" / "manuals" / "curate" / "report.json")["technical"]
    assert report["in"] == 3
    assert 1 <= report["kept"] <= 2

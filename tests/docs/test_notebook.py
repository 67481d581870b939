"""The cells of the notebook, on the run of `make smoke` that it names."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT

NOTEBOOK = ROOT / "docs" / "notebook" / "look_at_a_run.ipynb"
RELEASED = ROOT / "runs" / "smoke" / "release" / "manifest.json"


@pytest.mark.skipif(not RELEASED.exists(), reason="needs a finished `make smoke`")
def test_the_notebook_reads_a_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All in one namespace, as Jupyter runs them; `.ci/run` does so after its smoke run."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.chdir(NOTEBOOK.parent)
    names: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    assert names["seen"] > 1_000_000
    assert set(names["trace"]["phase"]) == {"phase1"}
    assert names["found"]["id"] == names["trace"]["document"][0]
    assert "'source':" in capsys.readouterr().out


def test_the_notebook_names_the_run_of_this_checkout() -> None:
    first = json.loads(NOTEBOOK.read_text())["cells"][1]["source"]
    (line,) = [line for line in first if line.startswith("run = ")]
    path = line.partition('"')[2].partition('"')[0]
    assert Path(os.path.normpath(NOTEBOOK.parent / path)) == ROOT / "runs" / "smoke"

"""Stages that save nothing in between begin anew when ended; one that works in tasks gives the same after a kill."""

import os
import signal
from pathlib import Path

import pytest

from pipeline.core.artifact import load
from pipeline.core.errors import EXIT_DONE
from pipeline.stages import STAGE_TYPES
from tests.posttraining.tiny import DATA, write_tokenizer
from tests.runs import finished, freeze, outcome, start_worker, wait_until
from tests.settings import stage_settings


def test_the_stages_that_save_nothing_are_known() -> None:
    without = {name for name, kind in STAGE_TYPES.items() if not kind.saves_in_between}
    assert without == {"tokenizer", "import_model", "release", "disclose"}


@pytest.mark.slow
def test_killed_while_it_writes_it_gives_the_same(tmp_path: Path) -> None:
    config = stage_settings("sft_data", **DATA)
    inputs = {"tokenizer": "tokenizer"}
    for run in ("whole", "ended"):
        finished(tmp_path / run, "tokenizer", lambda partial: write_tokenizer(partial / "tokenizer"))
    reference = freeze(tmp_path / "whole", "sft_data", "sft_data", config, inputs)
    code, said = outcome(reference)
    assert code == EXIT_DONE, said
    stage = freeze(tmp_path / "ended", "sft_data", "sft_data", config, inputs)
    worker = start_worker(stage)
    wait_until(lambda: any((stage / "state").rglob("*.jsonl.gz")), worker)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate()
    code, said = outcome(stage)
    assert code == EXIT_DONE, said
    assert load(stage).manifest.files == load(reference).manifest.files

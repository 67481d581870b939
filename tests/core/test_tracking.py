"""The offline record of Weights & Biases, read back from its file."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wandb.proto import wandb_internal_pb2

from pipeline.core.artifact import load
from pipeline.core.config import TrackingConfig
from pipeline.core.errors import EXIT_DONE
from pipeline.core.tracking import Tracker
from tests.runs import PHASE_INPUTS, freeze, outcome, phase_settings, write_phase_inputs

HEADER_BYTES, BLOCK_BYTES, RECORD_HEADER = 7, 32 * 1024, struct.Struct("<IHB")
RECORD: Any = getattr(wandb_internal_pb2, "Record")  # noqa: B009 - made at run time by protobuf
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(path: Path) -> Iterator[Any]:
    """The records of a .wandb file: LevelDB's log format behind a header of seven bytes."""
    content, at, parts = path.read_bytes(), HEADER_BYTES, b""
    while at + RECORD_HEADER.size <= len(content):
        if BLOCK_BYTES - at % BLOCK_BYTES < RECORD_HEADER.size:  # a block's rest is padding
            at += BLOCK_BYTES - at % BLOCK_BYTES
            continue
        _, length, kind = RECORD_HEADER.unpack_from(content, at)
        parts += content[at + RECORD_HEADER.size : at + RECORD_HEADER.size + length]
        at += RECORD_HEADER.size + length
        if kind in (FULL, LAST):
            record: Any = RECORD()
            record.ParseFromString(parts)
            yield record
            parts = b""


def test_a_stage_leaves_its_offline_record(tmp_path: Path) -> None:
    """Configuration, metrics against tokens, results and the manifest, under the run's name and the stage's."""
    run = tmp_path / "run"
    write_phase_inputs(run)
    settings = phase_settings(tokens=10 * 8 * 16, log_every_steps=2)
    stage = freeze(run, "phase1", "pretrain", settings, PHASE_INPUTS, tracking={"mode": "offline"})
    code, said = outcome(stage)
    assert code == EXIT_DONE, said

    (path,) = run.glob("wandb/offline-run-*/*.wandb")
    found = list(records(path))
    (start,) = [record.run for record in found if record.WhichOneof("record_type") == "run"]
    assert (start.run_id, start.run_group, start.job_type) == ("run-phase1", "run", "phase1")
    logged = {item.key: json.loads(item.value_json) for item in start.config.update}
    assert logged["context"] == 16
    assert logged["learning_rate"] == {"law": "linear", "start": 0.01}

    history = [
        {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        for record in found
        if record.WhichOneof("record_type") == "history"
    ]
    assert [row["tokens"] for row in history] == [step * 8 * 16 for step in (2, 4, 6, 8, 10)]
    assert history[0]["train/loss"] > history[-1]["train/loss"]

    summary: dict[str, float] = {}
    for record in found:
        if record.WhichOneof("record_type") == "summary":
            for item in record.summary.update:
                summary[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
    assert summary["loss/end/mean"] == pytest.approx(load(stage).manifest.metrics["loss/end/mean"])
    assert any("run-phase1-manifest" in str(record) for record in found)


def test_off_writes_nothing(tmp_path: Path) -> None:
    tracker = Tracker(TrackingConfig(mode="off"), "run", "phase1", tmp_path)
    tracker.log({"train/loss": 1.0}, tokens=1)
    tracker.finish({}, tmp_path / "manifest.json")
    assert not list(tmp_path.iterdir())

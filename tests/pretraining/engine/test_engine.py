"""What a rank starts with that no launcher has told anything."""

import os

import pytest

from pipeline.core.ports import PORTS
from pipeline.pretraining.engine.engine import prepare_process_group


def test_a_process_that_no_launcher_started_is_a_group_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """It meets nobody, at a port that no connection is given meanwhile; whoever chose another keeps that."""
    monkeypatch.setattr(os, "environ", {})
    prepare_process_group()
    port = int(os.environ.pop("MASTER_PORT"))
    assert port in PORTS
    assert os.environ == {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    os.environ["MASTER_PORT"] = "7"
    prepare_process_group()
    assert os.environ["MASTER_PORT"] == "7"

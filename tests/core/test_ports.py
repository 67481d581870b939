"""Ranks meet at a port that nobody has, and that no connection gets meanwhile."""

import re
import socket
from pathlib import Path

import pytest

from pipeline.core import ports
from pipeline.core.ports import PORTS, free_port
from tests import ROOT


def test_a_port_that_is_taken_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        free = free_port()
        monkeypatch.setattr(ports, "PORTS", (taken.getsockname()[1], free))
        assert {free_port() for _ in range(20)} == {free}


def test_no_connection_is_given_one_of_them() -> None:
    """Linux chooses the near end of a connection among these, and so does `bind` to port 0."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(PORTS) < lowest


def test_those_of_batch_jobs_are_among_them() -> None:
    script = (ROOT / "launch" / "stage.sbatch").read_text()
    found = re.search(r"MASTER_PORT=\$\(\((\d+) \+ SLURM_JOB_ID % (\d+)\)\)", script)
    assert found is not None
    first, count = map(int, found.groups())
    assert range(first, first + count) == PORTS

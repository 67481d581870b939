"""The session on one GPU, run dry: its parts, what travels to it, and what is left of a part that is stopped."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT

NAMES = ["phases", "sft", "rl", "longest", "zero", "steps", "speed", "losses"]


def session(*arguments: str, timeout: float = 250) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/gpu_session.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def results(folder: Path) -> dict[str, Any]:
    """What came of each part, by its name; the Markdown has all of them too."""
    parts = json.loads((folder / "gpu_session.json").read_text())["parts"]
    report = (folder / "gpu_session.md").read_text()
    assert [each["part"] for each in parts if f"## {each['part']}: {each['result']}" not in report] == []
    return {each["part"]: each for each in parts}


def test_the_parts_take_thirteen_minutes() -> None:
    done = session("list")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [name for name, _, _ in rows] == NAMES
    assert sum(int(limit.removesuffix(" s")) for _, limit, _ in rows) <= 780


def test_what_travels_has_the_versions_of_the_constraints() -> None:
    code = "import gpu_session as s; print(*s.pinned((*s.WHEELS, *s.BUILT_WHEELS)), sep='\\n')"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "benchmarks", capture_output=True, text=True, check=True
    ).stdout.split()
    assert "deepspeed" in [each.partition("==")[0] for each in found]
    assert set(found) <= set((ROOT / "constraints.txt").read_text().split())


def test_a_part_leaves_its_rows(tmp_path: Path) -> None:
    done = session("--dry", "--only", "losses", "--limit", "240", "--out", str(tmp_path))
    assert done.returncode == 0, (tmp_path / "gpu_session.log").read_text()[-2000:]
    rows = results(tmp_path)["losses"]["rows"]
    assert [row["what"] for row in rows[:6]] == 2 * ["flex_attention", "sdpa", "eager"]
    assert {row["good"] for row in rows} == {"yes"}
    assert "| sdpa | fp32 |" in (tmp_path / "gpu_session.md").read_text()


def test_a_part_that_takes_too_long_is_stopped_and_the_next_one_begins(tmp_path: Path) -> None:
    done = session("--dry", "--only", "steps", "rl", "--limit", "0.5", "--out", str(tmp_path))
    assert done.returncode == 1
    assert {name: each["result"] for name, each in results(tmp_path).items()} == {
        "rl": "stopped after 0.5 s",
        "steps": "stopped after 0.5 s",
    }


def test_a_session_that_is_ended_leaves_the_results_of_the_parts_before(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/gpu_session.py", "--dry", "--only", "rl", "steps", "--limit", "2"]
    with subprocess.Popen([*command, "--out", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("rl: stopped after 2 s")
        process.send_signal(signal.SIGINT)
    assert results(tmp_path)["rl"]["result"] == "stopped after 2 s"


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
def test_every_part_runs_on_the_cpu(tmp_path: Path) -> None:
    done = session("--dry", "--limit", "700", "--out", str(tmp_path), timeout=1700)
    assert done.returncode == 0, (done.stdout, (tmp_path / "gpu_session.log").read_text()[-3000:])
    found = results(tmp_path)
    assert list(found) == NAMES
    assert {name: each["result"] for name, each in found.items()} == dict.fromkeys(NAMES, "done")
    rows = [len(each["rows"]) for each in found.values()]
    assert rows == [2, 1, 1, 2, 6, 5, 1, 8]
    assert {row["handed to ZeRO"] for row in found["zero"]["rows"]} == {1, 2, 3}
    assert found["rl"]["rows"][0]["steps"] == 1

"""The served report: kept up to date, for this machine alone, and nothing but the report."""

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError
from pipeline.reporting.blocks import Report
from pipeline.reporting.following import Following, server


@pytest.fixture
def following(tmp_path: Path) -> Following:
    (tmp_path / "phase1").mkdir()

    def build() -> Report:
        return Report("Run x", [f"{len(list(tmp_path.glob('*/manifest.json')))} done"])

    return Following(tmp_path, build, output=tmp_path)


@pytest.fixture
def port(following: Following) -> Iterator[int]:
    with server(following, 0) as serving:
        thread = threading.Thread(target=serving.serve_forever)
        thread.start()
        yield serving.server_address[1]
        serving.shutdown()
        thread.join()


def get(port: int, path: str, host: str = "localhost") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_the_report_follows_the_run(following: Following, tmp_path: Path, port: int) -> None:
    status, page = get(port, "/")
    assert (status, "0 done" in page) == (200, True)
    before = get(port, "/version")[1]
    assert f'data-version="{before}"' in page
    assert not following.update_if_changed()
    (tmp_path / "phase1" / "manifest.json").write_text("{}")
    assert following.update_if_changed()
    assert get(port, "/version")[1] != before
    assert "1 done" in get(port, "/")[1]
    assert "- 1 done" in get(port, "/report.md")[1]
    # On the disk it is the page without a script.
    written = (tmp_path / "report.html").read_text()
    assert "1 done" in written
    assert "<script" not in written


def test_metrics_of_a_running_stage_count_as_a_change(following: Following, tmp_path: Path) -> None:
    metrics = tmp_path / "phase1" / "attempts" / "1" / "metrics.jsonl"
    metrics.parent.mkdir(parents=True)
    metrics.write_text("{}\n")
    assert following.update_if_changed()


@pytest.mark.parametrize("path", ["/run.json", "/../run.json", "/phase1/manifest.json", "//etc/passwd"])
def test_nothing_else_is_served(path: str, port: int) -> None:
    assert get(port, path)[0] == 404


def test_another_host_name_is_refused(port: int) -> None:
    """As a page from elsewhere would ask that gave its own name this machine's address."""
    assert get(port, "/", host="evil.example")[0] == 403
    assert get(port, "/", host=f"127.0.0.1:{port}")[0] == 200
    assert get(port, "/", host="[::1]:80")[0] == 200


def test_a_taken_port_is_one_line(following: Following, port: int) -> None:
    with pytest.raises(ConfigError, match=f"--port={port}: another program has it; give another"):
        server(following, port)
    with pytest.raises(ConfigError, match="--port=70000: "):
        server(following, 70_000)

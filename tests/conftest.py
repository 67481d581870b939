"""Settings that all tests share, and the end of what a failed test leaves running."""

import os
from collections.abc import Generator

import hypothesis
import pytest

from pipeline.environments.workers import stop_workers
from tests.processes import end_children

# Nothing is downloaded, and nothing is sent.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ.setdefault("WANDB_SILENT", "true")

# How long an example takes, and how long it takes to draw one, depends on what else the machine does.
hypothesis.settings.register_profile(
    "fivephase", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("fivephase")


@pytest.fixture(autouse=True)
def no_port_is_left() -> Generator[None]:
    """A group of ranks that a test made in this process listens at its port for good: no process that another test
    starts is to be told to meet there."""
    os.environ.pop("MASTER_PORT", None)
    yield
    os.environ.pop("MASTER_PORT", None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Ends the processes of a test that failed or reached its time limit: none runs on, or is waited for at the end."""
    report = yield
    if report.failed:
        stop_workers()
        end_children()
    return report

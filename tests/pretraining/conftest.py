"""What tests of trainers leave behind."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """A process group in this process must not be that of the workers that later tests start."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)

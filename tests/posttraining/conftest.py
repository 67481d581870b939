from pathlib import Path

import pytest

from tests.posttraining.tiny import write_model


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random chat model, which tests leave as it is."""
    directory = tmp_path_factory.mktemp("model")
    write_model(directory)
    return directory / "checkpoint"

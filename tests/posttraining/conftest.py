from pathlib import Path

import pytest

from tests.posttraining.tiny import write_model, write_tokenizer
from tests.runs import finished


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random chat model, which tests leave as it is."""
    directory = tmp_path_factory.mktemp("model")
    write_model(directory)
    return directory / "checkpoint"


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished stage `tokenizer`, which tests leave as it is."""
    return finished(tmp_path_factory.mktemp("run"), "tokenizer", lambda partial: write_tokenizer(partial / "tokenizer"))

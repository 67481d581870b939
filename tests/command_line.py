"""The command line called in this process."""

import pytest

from pipeline.cli import main
from pipeline.core.errors import EXIT_USER_ERROR


def fivephase(*arguments: str) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that says what is wrong."""
    assert fivephase(*arguments) == EXIT_USER_ERROR
    said = capsys.readouterr().err.strip()
    assert said.startswith("fivephase: ")
    assert "\n" not in said
    return said

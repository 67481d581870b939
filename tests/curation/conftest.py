"""A way to run the stage on a folder of recipes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.context import StageContext, StageResult
from pipeline.curation import curate
from tests.settings import stage_config

Curate = Callable[..., tuple[Path, StageResult]]


@pytest.fixture
def run_curate(tmp_path: Path) -> Curate:
    """Runs the stage on a folder of recipes; returns its output and result."""

    def run(
        recipes: Path, name: str = "run", tasks: int = 2, workers: int = 1, bad: float = 0.01
    ) -> tuple[Path, StageResult]:
        bad_shares: dict[str, Any] = {"maximum_bad_share": bad, "maximum_bad_files": bad}
        config = stage_config("curate", recipes=str(recipes), tasks=tasks, workers=workers, **bad_shares)
        context = StageContext.for_test("curate", config, {}, tmp_path / name)
        result = curate.run(context)
        return context.output, result

    return run

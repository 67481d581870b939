"""Tasks of lm-evaluation-harness before they are asked: whether they are there, and the files that they are in."""

from pathlib import Path
from typing import Any

from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError
from pipeline.core.extras import install_command, is_installed
from pipeline.core.files import files_below, identities
from pipeline.evaluation.config import HarnessConfig

PACKAGE, EXTRA = "lm_eval", "harness"


def describe_tasks(include_path: str) -> list[list[Any]]:
    """What identifies the files of a folder of tasks, with their data, for a fingerprint.

    Raises:
        ConfigError: if there is no such folder.
    """
    folder = _folder(include_path)
    files = [path for path in files_below(folder) if "__pycache__" not in path.parts]
    described = identities(files)
    return [[str(path.relative_to(folder)), *each[1:]] for path, each in zip(files, described, strict=True)]


def check_tasks(settings: HarnessConfig) -> str | None:
    """What to say where the package is not installed; None where all tasks are known.

    Raises:
        ConfigError: for a task that does not exist, with the nearest that does.
    """
    if settings.include_path is not None:
        _folder(settings.include_path)
    if not is_installed(PACKAGE):
        return f"harness: {PACKAGE} is not installed; run `{install_command(EXTRA)}`"
    known = task_manager(settings).all_tasks
    for task in settings.tasks:
        if task not in known:
            raise ConfigError(f"harness.tasks: no task {task} in {PACKAGE}, {_hint(task, known)}")
    return None


def task_manager(settings: HarnessConfig) -> Any:
    """lm-evaluation-harness's index of tasks: its own, and those of the folder."""
    from lm_eval.tasks import TaskManager  # pyright: ignore[reportMissingImports]

    return TaskManager(include_path=settings.include_path)


def _hint(task: str, known: list[str]) -> str:
    hint = nearest(task, known)
    return hint if hint.startswith("did") else "`lm_eval ls tasks` lists them"


def _folder(include_path: str) -> Path:
    folder = Path(include_path).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"harness.include_path={include_path}: no such folder, name one with task files")
    return folder

"""Work on a run with the settings that it then remembers: nothing finished is set aside unasked, and one at a time."""

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.commands.composed import ComposedRun
from pipeline.control.run_settings import REMEMBERED, RunSettings, key_of, read_settings, write_settings
from pipeline.control.stage_folders import finished_otherwise
from pipeline.core.errors import BusyError, ConfigError
from pipeline.core.lock import others_at_work, stage_lock

SETTLING_SECONDS = 30.0
"""Longest time that a command waits for another that writes the settings of the run."""


@contextlib.contextmanager
def remembering(run: ComposedRun, yes: bool) -> Iterator[None]:
    """Writes the settings of a run before work on it begins, and keeps other commands from changing them meanwhile.

    Args:
        run: the run.
        yes: whether finished work may be set aside.

    Raises:
        ConfigError: if finished work would be set aside for changed settings that nobody has agreed to yet; for a run
            that remembers nothing, if it was made with others and no scale is given.
        BusyError: if another command works on the run with its present settings and these are others.
    """
    settled = run.folder / REMEMBERED
    with contextlib.ExitStack() as working:
        with contextlib.ExitStack() as settling:
            _wait_for_lock(settled, settling)
            before = read_settings(run.folder, run.fresh)
            if before is None or before.stages != run.settings.stages:
                _check_agreed(run, before, yes)
                for owner in others_at_work(run.folder, settled):
                    raise BusyError(
                        f"{run.folder}: {owner} works on this run with other settings; wait for it, or stop it first, "
                        "or take another name with run="
                    )
            if before != run.settings:
                write_settings(run.folder, run.settings)
            working.enter_context(stage_lock(run.folder / f"command-{secrets.token_hex(4)}"))
        yield


def _wait_for_lock(path: Path, stack: contextlib.ExitStack) -> None:
    deadline = time.monotonic() + SETTLING_SECONDS
    while True:
        try:
            stack.enter_context(stage_lock(path))
            return
        except BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _check_agreed(run: ComposedRun, before: RunSettings | None, yes: bool) -> None:
    """Makes sure that the user wants what is finished with other settings to be set aside.

    What an earlier command was told to set aside, and did not come to, needs no second word.
    """
    agreed = before.stages if before is not None else {}
    lost = [
        stage.stage
        for stage in run.stages
        if finished_otherwise(stage, run.config.root)
        and agreed.get(stage.stage, {}).get("fingerprint") != stage.fingerprint
    ]
    if not lost or yes:
        return
    what = f"{run.folder}: {', '.join(lost[:3])}{f' and {len(lost) - 3} more' * (len(lost) > 3)}"
    if before is not None and before.scale is None and all(key_of(each) != "scale" for each in run.settings.overrides):
        raise ConfigError(f"{what}: made with other settings that the run does not remember; give its scale= once")
    raise ConfigError(
        f"{what}: finished, and would be set aside for other settings; add --yes to do so, or give another run="
    )

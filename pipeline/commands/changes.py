"""What changed settings mean for a run, as lines on standard error."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from pipeline.control.frozen_stages import FrozenStage
from pipeline.control.run_settings import ChangedSetting, RunSettings, changed_settings
from pipeline.control.stage_folders import finished_otherwise, superseded_folder
from pipeline.core.terminal import one_line, say, text_table

SHOWN_CHANGES = 20
SHOWN_STAGES = 2


def say_changes(folder: Path, stages: Sequence[FrozenStage], before: RunSettings, now: RunSettings) -> None:
    """Says which settings are not those that a run remembers, and what becomes of its stages; nothing if none.

    Args:
        folder: of the run.
        stages: as frozen now.
        before: what the run remembers.
        now: what it is to be run with.
    """
    changes = changed_settings(before, now)
    if not changes:
        return
    rows = [("setting", "was", "is", "stages"), *(_row(each) for each in changes[:SHOWN_CHANGES])]
    say(f"fivephase: {folder}: changed settings")
    for line in text_table(rows, rule=True):
        say(f"  {line}")
    if len(changes) > SHOWN_CHANGES:
        say(f"  and {len(changes) - SHOWN_CHANGES} more")
    superseded = [each for each in stages if finished_otherwise(each, folder.parent)]
    back = [each for each in superseded if superseded_folder(folder / each.stage, each.fingerprint).exists()]
    for what, those in (
        ("finished, to be set aside and made anew", [each for each in superseded if each not in back]),
        ("finished, to be set aside for what was made with these settings before", back),
    ):
        if those:
            line = f"  {what}: {', '.join(each.stage for each in those)}"
            say(textwrap.fill(line, 80, subsequent_indent="    "))


def _row(change: ChangedSetting) -> tuple[str, ...]:
    shown = ", ".join(change.stages[:SHOWN_STAGES]) or "all"
    more = f" +{len(change.stages) - SHOWN_STAGES}" if len(change.stages) > SHOWN_STAGES else ""
    return (one_line(change.key, 24), one_line(change.old, 10), one_line(change.new, 10), one_line(shown, 19) + more)

"""Commands that list what there is to name: `runs` and `stages`."""

import argparse
import datetime
import textwrap
from pathlib import Path

from pipeline.commands.composed import check_exists, composed_run, runs_in
from pipeline.control.compose import compose, typed
from pipeline.control.run_settings import key_of, read_settings
from pipeline.core.artifact import MANIFEST
from pipeline.core.errors import EXIT_DONE, UserError
from pipeline.core.terminal import one_line, text_table

OVERRIDES_WIDTH = 32
READS_WIDTH = 30


def runs(options: argparse.Namespace) -> int:
    """Prints the runs in `root=`: scale, finished stages, when the last one was finished, and overrides."""
    root = Path(typed(compose(options.overrides, options.config_dir)).root)
    rows = [("run", "scale", "done", "last", "settings"), *(_row(root / name) for name in runs_in(root))]
    if len(rows) == 1:
        print(f"no runs in {root}/; `fivephase run` makes one")
    else:
        print("\n".join(text_table(rows, right=(2,), rule=True)))
    return EXIT_DONE


def _row(folder: Path) -> tuple[str, ...]:
    manifests = list(folder.glob(f"*/{MANIFEST}"))
    done = str(len(manifests))
    last = max((path.stat().st_mtime for path in manifests), default=None)
    when = datetime.datetime.fromtimestamp(last).astimezone().strftime("%Y-%m-%d %H:%M") if last is not None else "—"
    try:
        settings = read_settings(folder)
    except UserError:
        return (folder.name, "damaged", done, when, "")
    if settings is None or settings.scale is None:
        return (folder.name, "?", done, when, "")
    of_all = sum(stage is not None for stage in settings.configuration["stages"].values())
    return (
        folder.name,
        settings.scale,
        f"{done}/{of_all}",
        when,
        one_line(" ".join(settings.overrides), OVERRIDES_WIDTH),
    )


def stages(options: argparse.Namespace) -> int:
    """Prints the stages in their order: of the run that is named, or of what `scale=` and the like would make."""
    named = {key_of(each) for each in options.overrides} - {"root"}
    found = composed_run(options)
    if named == {"run"}:
        check_exists(found.config)
    rows: list[tuple[str, ...]] = [("stage", "kind", "version", "reads")]
    for stage in found.stages:
        reads = ", ".join(sorted({each["stage"] for each in stage.inputs.values()}))
        first, *more = textwrap.wrap(reads, READS_WIDTH) or [""]
        rows.append((stage.stage, stage.kind, str(stage.version), first))
        rows += [("", "", "", line) for line in more]
    print("\n".join(text_table(rows, right=(2,), rule=True)))
    return EXIT_DONE

"""The commands `report` and `serve-report`: what a run shows of itself, in the terminal and as a page."""

import argparse
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.commands.composed import check_exists, composed_run, runs_in
from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import FrozenStage
from pipeline.control.report import details
from pipeline.control.run_settings import key_of
from pipeline.core.config import nearest
from pipeline.core.errors import EXIT_DONE, ConfigError, UserError
from pipeline.core.terminal import say

PLACE = ("run", "root")
"""Keys of overrides that say where a run is, whatever its settings are."""


@dataclass(frozen=True)
class _Found:
    """A run to report."""

    folder: Path
    stages: list[FrozenStage] | None
    """None where this version cannot make them of the run's settings."""
    problems: list[str]


def report(options: argparse.Namespace) -> int:
    """Prints the table of all stages and every metric of each, and writes the page and its Markdown.

    With `--compare`, writes a page that lays several runs side by side instead.

    Raises:
        ConfigError: for a run that is not there.
        AccessError: where the page cannot be written.
    """
    if options.compare:
        return _compare(options)
    found = _found(options)
    # What follows takes a second to import.
    from pipeline.reporting.writing import report_run, write_report

    output = Path(options.output) if options.output else found.folder
    page, text = write_report(report_run(found.folder, found.stages, found.problems), output)
    if found.stages is not None:
        print(details(found.stages, found.folder.parent))
    print(f"\nthe same with curves, funnels and examples: {page} and {text}")
    return EXIT_DONE


def serve_report(options: argparse.Namespace) -> int:
    """Serves the report of a run on this machine, and keeps it up to date, until Ctrl-C.

    Raises:
        ConfigError: for a run that is not there, or a port that is taken.
    """
    found = _found(options)
    from pipeline.reporting.following import Following, server
    from pipeline.reporting.writing import report_run

    output = Path(options.output) if options.output else found.folder
    following = Following(found.folder, lambda: report_run(found.folder, found.stages, found.problems), output=output)
    with server(following, options.port) as serving:
        threading.Thread(target=following.watch, daemon=True).start()
        say(f"fivephase: http://localhost:{serving.server_address[1]}/ follows {found.folder}; Ctrl-C ends it")
        try:
            serving.serve_forever()
        finally:
            following.stop()
    return EXIT_DONE


def _found(options: argparse.Namespace) -> _Found:
    """The run that the options say. Settings that this version does not take are a problem for the report to tell."""
    place = [each for each in options.overrides if key_of(each) in PLACE]
    if len(place) < len(options.overrides):
        run = composed_run(options)
        check_exists(run.config)
        return _Found(run.folder, run.stages, [])
    try:
        run = composed_run(options)
    except UserError as error:
        config = typed(compose(place, options.config_dir))
        check_exists(config)
        problem = f"the settings of this run are not taken by this version, which may be newer: {error}"
        say(f"fivephase: {problem}")
        return _Found(Path(config.root) / config.run, None, [problem])
    check_exists(run.config)
    return _Found(run.folder, run.stages, [])


def _compare(options: argparse.Namespace) -> int:
    named = [each for each in options.compare if "=" not in each]
    options.overrides += [each for each in options.compare if "=" in each]
    if others := [each for each in options.overrides if key_of(each) != "root"]:
        raise ConfigError(f"report --compare {others[0]}: takes names or folders of runs, and root= alone")
    if len(named) < 2:
        raise ConfigError(f"report --compare {' '.join(named)}: name two runs at least")
    root = Path(typed(compose(options.overrides, options.config_dir)).root)
    folders = [_folder(each, root) for each in named]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ConfigError(f"report --compare {' '.join(named)}: one run is named twice")
    from pipeline.reporting.comparing import compare
    from pipeline.reporting.writing import write_report

    output = Path(options.output) if options.output else root
    page, text = write_report(compare(folders), output, _name(folders))
    print(f"{page}\n{text}")
    return EXIT_DONE


def _folder(named: str, root: Path) -> Path:
    """The folder of a run that is named, below `root` or as a path.

    Raises:
        ConfigError: if there is no run.
    """
    for folder in (root / named, Path(named).expanduser()):
        if folder.is_dir() and folder.name in runs_in(folder.parent):
            return folder
    names = runs_in(root)
    hint = nearest(named, names) if names else f"there is none in {root}/"
    raise ConfigError(f"report --compare {named}: no such run in {root}/ and no such folder, {hint}")


def _name(folders: Sequence[Path]) -> str:
    return "compared-" + "-".join(folder.name for folder in folders)[:100]

"""Commands that make stages on this machine: `run`, `stage` and `remake`."""

import argparse
import functools
from pathlib import Path

from pipeline.commands.chat import invitation
from pipeline.commands.composed import ComposedRun, checked_run
from pipeline.commands.remembering import remembering
from pipeline.control.failures import exit_code, failed_ranks, failure_line
from pipeline.control.frozen_stages import FrozenStage, dependents, select_one
from pipeline.control.local_launcher import Ended, check_one_node, launch, stop_signals
from pipeline.control.progress_display import ProgressDisplay
from pipeline.control.report import stage_line, summary
from pipeline.control.run_time import RunTime
from pipeline.control.stage_folders import check_upstream, is_done, next_attempt, prepare, set_aside
from pipeline.control.stage_plans import check_packages
from pipeline.core.artifact import read_manifest
from pipeline.core.errors import EXIT_DONE, EXIT_REQUEUE, ArtifactError
from pipeline.core.terminal import say


def run(options: argparse.Namespace) -> int:
    """Makes the stages between `from=` and `to=`."""
    composed = checked_run(options)
    return _remembered(composed, composed.selected, options.yes)


def stage(options: argparse.Namespace) -> int:
    """Makes one stage, if what it reads is there."""
    composed = checked_run(options)
    return _remembered(composed, select_one(composed.stages, options.stage), options.yes)


def remake(options: argparse.Namespace) -> int:
    """Sets the folder of one stage aside and makes the stage; what was made from it is checked when next needed."""
    composed = checked_run(options)
    stages, root = composed.stages, composed.config.root
    selected = select_one(stages, options.stage)
    check_upstream(stages, selected, root)
    if not options.set_aside:
        check_one_node(selected[0])
    with remembering(composed, options.yes):
        for each in reversed(dependents(stages, options.stage) if options.dependents else selected):
            place = set_aside(each, root)
            if place is not None:
                print(f"{each.directory(root)} is now {place}", flush=True)
        return EXIT_DONE if options.set_aside else _make(composed, selected)


def _remembered(composed: ComposedRun, selected: list[FrozenStage], yes: bool) -> int:
    """Makes the selected stages once what they read is there, and with the settings that the run then remembers."""
    root = composed.config.root
    check_upstream(composed.stages, selected, root)
    check_packages([each for each in selected if not is_done(each, each.directory(root))])
    with remembering(composed, yes):
        return _make(composed, selected)


def _make(composed: ComposedRun, selected: list[FrozenStage]) -> int:
    """Makes the selected stages in order, skips what is finished, and stops at the first that does not finish.

    After Ctrl-C, SIGTERM or SIGHUP the stage that runs saves and ends, and none after it starts.
    """
    stages, root = composed.stages, composed.config.root
    made, run_time = 0, RunTime(stages, selected, root)
    with stop_signals() as stop:
        for number, each in enumerate(selected, start=1):
            directory = each.directory(root)
            if prepare(each, root):
                continue
            if stop.raised:
                say(f"fivephase: stopped before {each.stage}; run again to continue")
                return EXIT_REQUEUE
            if made == 0 and composed.before is None:
                # A mistyped name would begin another run in silence.
                say(f"fivephase: {composed.folder} is a new run, of scale {composed.config.scale}")
            made += 1
            attempt = next_attempt(directory)
            after = functools.partial(run_time.after, each.stage)
            display = ProgressDisplay(each.stage, f"{number}/{len(selected)}", after)
            ended = launch(each, directory, attempt, stop, display)
            code = exit_code(directory / "attempts" / str(attempt), ended.codes)
            if code != EXIT_DONE:
                say(f"fivephase: {_unfinished(directory, attempt, ended)}")
                return code
            manifest = read_manifest(directory)
            if manifest is None or manifest.fingerprint != each.fingerprint:
                raise ArtifactError(f"{directory}: moved or replaced while {each.stage} ran; run again")
            run_time.finished(manifest)
            print(stage_line(manifest), flush=True)
    if not made:
        print(f"nothing to do: all {len(selected)} stages are done with this configuration")
    print(f"\n{summary(stages, root)}")
    if line := invitation(composed.config):
        print(f"\n{line}")
    return EXIT_DONE


def _unfinished(directory: Path, attempt: int, ended: Ended) -> str:
    """Says in one line why a stage did not finish; the rest is in the logs of its ranks."""
    logs = directory / "attempts" / str(attempt)
    hung = ", ".join(f"rank {rank}" for rank in ended.killed)
    failed = failed_ranks(ended.codes)
    if not failed and ended.killed:
        return f"{directory.name}: ended at once, as this kind of stage cannot save; run again to make it"
    if not failed:
        return f"{directory.name}: stopped and saved; run again to continue"
    if set(failed) <= set(ended.killed):
        return (
            f"{directory.name}: told to end, {hung} did not within {ended.limit:.0f} s and was killed; see "
            f"{logs / f'rank-{ended.killed[0]}.log'}, and run again to continue from what was saved last"
        )
    line = failure_line(directory, logs, failed)
    return f"{line}; {hung} did not end after that and was killed" if hung else line

"""The command line: `fivephase run | stage | remake | submit | plan | status | report | trace [Hydra overrides]`."""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import pipeline
from pipeline.control.compose import as_yaml, compose, typed
from pipeline.control.failures import exit_code, failed_ranks, failure_line
from pipeline.control.frozen_stages import FrozenStage, dependents, freeze, select
from pipeline.control.local_launcher import Ended, check_one_node, launch, stop_signals
from pipeline.control.planning import check_data, check_ranks, plan_table, with_token_budget
from pipeline.control.report import details, stage_line, summary
from pipeline.control.slurm import submit
from pipeline.control.stage_folders import check_upstream, next_attempt, prepare, set_aside
from pipeline.control.tracing import trace_table
from pipeline.core.artifact import git_revision, read_manifest
from pipeline.core.config import RunConfig
from pipeline.core.errors import (
    EXIT_DONE,
    EXIT_FAILURE,
    EXIT_REQUEUE,
    EXIT_SIGNAL,
    EXIT_USER_ERROR,
    ArtifactError,
    as_user_error,
)
from pipeline.core.terminal import say
from pipeline.core.tracking import check_login

COMMANDS = {
    "run": "run all stages, or those between from=STAGE and to=STAGE; what is done is skipped",
    "stage": "run one stage: fivephase stage phase3 [overrides]",
    "remake": "set a stage's folder aside, damaged or not, and make it anew: fivephase remake phase3 [overrides]",
    "submit": "submit stages to Slurm, one job each: fivephase submit [overrides] [-- sbatch options for every job]",
    "plan": "print stages, tokens, steps and learning rates without running",
    "status": "the summary table, at any time",
    "report": "the summary table with every metric of every stage",
    "trace": "what a training step saw (step=PHASE/NUMBER), or where training saw a document (document=ID)",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of `fivephase`; ends the process.

    The exit code is 0 if all went well, 2 if the user must change something (one line says what), 75 if a stage saved
    its state and wants to be run again, 128 + n if signal n ended it (13 where the reader of a pipe is gone), and
    another number for a failure.

    Args:
        arguments: those of the command line, without the program's name; None takes sys.argv.
    """
    options = _parsed(list(sys.argv[1:] if arguments is None else arguments))
    try:
        code = _dispatch(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough, as `head`. What is left in the buffer must not be written at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_SIGNAL + signal.SIGPIPE
    except KeyboardInterrupt:
        code = EXIT_SIGNAL + signal.SIGINT
    except Exception as error:
        user_error = as_user_error(error, where=".")
        if options.debug or user_error is None:
            traceback.print_exc()
        if user_error is None:
            sys.exit(EXIT_FAILURE)
        say(f"fivephase: {user_error}")
        code = EXIT_USER_ERROR
    sys.exit(code)


class _Version(argparse.Action):
    """Prints version and revision. Unlike argparse's own, asks git for the revision only when it is wanted."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        revision = git_revision()
        print(f"fivephase {pipeline.__version__}" + (f" ({revision})" if revision else ""))
        parser.exit()


def _parsed(arguments: list[str]) -> argparse.Namespace:
    """The options; overrides may stand anywhere among them, and those of sbatch after `--`."""
    arguments, separator, sbatch = _split(arguments, "--")
    parser = _parser()
    options, others = parser.parse_known_args(arguments)
    unknown = [each for each in others if each.startswith("-")]
    if unknown:
        parser.error(f"{unknown[0]}: unknown option" + ("; sbatch's own come after --" * (options.command == "submit")))
    if separator and options.command != "submit":
        parser.error("--: only `fivephase submit` passes options on")
    options.overrides += others
    options.sbatch = sbatch
    return options


def _split(arguments: list[str], at: str) -> tuple[list[str], bool, list[str]]:
    """The arguments before the first `at`, whether there is one, and those after it."""
    if at not in arguments:
        return arguments, False, []
    place = arguments.index(at)
    return arguments[:place], True, arguments[place + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fivephase", description=__doc__)
    parser.add_argument("--version", action=_Version, nargs=0, help="print version and git revision, and stop")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if name in ("stage", "remake"):
            command.add_argument("stage", help="name of the stage")
        if name == "remake":
            command.add_argument("--set-aside", action="store_true", help="only that, e.g. to submit it to a cluster")
            command.add_argument("--dependents", action="store_true", help="set aside what was made from it as well")
        command.add_argument("overrides", nargs="*", help="Hydra overrides, e.g. scale=smoke run=first seed=1")
        command.add_argument(
            "--config-dir",
            metavar="DIR",
            help="folder of configurations of your own, beside the built-in ones (./conf where there is one)",
        )
        command.add_argument("--cfg", choices=["job"], help="print the composed configuration and stop")
        command.add_argument("--debug", action="store_true", help="show tracebacks")
        if name == "submit":
            command.add_argument("--dry-run", action="store_true", help="print the sbatch commands and write nothing")
            command.add_argument("--gpus", action="store_true", help="ask for one GPU per rank")
        if name == "plan":
            command.add_argument("--freeze", action="store_true", help="write every stage's frozen configuration")
            command.add_argument("--format", choices=["table", "tsv"], default="table")
    return parser


def _dispatch(options: argparse.Namespace) -> int:
    if options.command == "trace":
        return _trace(options.overrides, options.config_dir)
    composed = compose(options.overrides, options.config_dir)
    if options.cfg:
        print(as_yaml(composed), end="")
        return EXIT_DONE
    config = typed(composed)
    stages = freeze(config)
    if options.command in ("run", "stage", "remake", "submit", "plan"):
        check_ranks(stages)
        check_data(stages)
        stages = with_token_budget(stages)
        check_login(config.tracking)
    match options.command:
        case "run":
            return _run(config, stages, select(stages, config.first, config.last))
        case "stage":
            return _run(config, stages, select(stages, options.stage, options.stage))
        case "remake":
            return _remake(config, stages, options)
        case "submit":
            selected = select(stages, config.first, config.last)
            return submit(stages, selected, config.root, options.sbatch, options.gpus, options.dry_run)
        case "plan":
            return _plan(config, stages, select(stages, config.first, config.last), options)
        case "status":
            print(summary(stages, config.root))
        case "report":
            print(details(stages, config.root))
    return EXIT_DONE


def _trace(arguments: list[str], config_dir: str | None) -> int:
    """Prints the trace: `step` or `document` says of what, the other arguments are overrides that say in which run."""
    asked = dict(each.split("=", 1) for each in arguments if each.startswith(("step=", "document=")))
    others = [each for each in arguments if not each.startswith(("step=", "document="))]
    config = typed(compose(others, config_dir))
    for line in trace_table(Path(config.root) / config.run, asked.get("step"), asked.get("document")):
        print(line)
    return EXIT_DONE


def _run(config: RunConfig, stages: list[FrozenStage], selected: list[FrozenStage]) -> int:
    """Runs the selected stages in order, skips what is finished, and stops at the first that does not finish.

    After Ctrl-C, SIGTERM or SIGHUP the stage that runs saves and ends, and none after it starts.
    """
    check_upstream(stages, selected, config.root)
    made = 0
    with stop_signals() as stop:
        for stage in selected:
            directory = stage.directory(config.root)
            if prepare(stage, config.root):
                continue
            if stop.raised:
                say(f"fivephase: stopped before {stage.stage}; run again to continue")
                return EXIT_REQUEUE
            made += 1
            attempt = next_attempt(directory)
            ended = launch(stage, directory, attempt, stop)
            code = exit_code(directory / "attempts" / str(attempt), ended.codes)
            if code != EXIT_DONE:
                say(f"fivephase: {_unfinished(directory, attempt, ended)}")
                return code
            manifest = read_manifest(directory)
            if manifest is None or manifest.fingerprint != stage.fingerprint:
                raise ArtifactError(f"{directory}: moved or replaced while {stage.stage} ran; run again")
            print(stage_line(manifest), flush=True)
    if not made:
        print(f"nothing to do: all {len(selected)} stages are done with this configuration")
    print(f"\n{summary(stages, config.root)}")
    return EXIT_DONE


def _remake(config: RunConfig, stages: list[FrozenStage], options: argparse.Namespace) -> int:
    """Sets the folder of one stage aside and runs the stage; what was made from it is checked when next needed."""
    selected = select(stages, options.stage, options.stage)
    check_upstream(stages, selected, config.root)
    if not options.set_aside:
        check_one_node(selected[0])
    for stage in reversed(dependents(stages, options.stage) if options.dependents else selected):
        place = set_aside(stage, config.root)
        if place is not None:
            print(f"{stage.directory(config.root)} is now {place}", flush=True)
    return EXIT_DONE if options.set_aside else _run(config, stages, selected)


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


def _plan(
    config: RunConfig, stages: list[FrozenStage], selected: list[FrozenStage], options: argparse.Namespace
) -> int:
    """Prints the plan as a table, or as tab-separated values for other programs; freezes the stages if asked to."""
    if options.freeze:
        for stage in selected:
            prepare(stage, config.root)
    if options.format == "tsv":
        for stage in selected:
            upstream = ",".join(sorted({each["stage"] for each in stage.inputs.values()}))
            resources = stage.resources
            fields = [stage.stage, resources["nodes"], resources["processes_per_node"]]
            print(*fields, stage.directory(config.root).resolve(), upstream, resources["time"], sep="\t")
    else:
        print(plan_table(config, stages, selected))
    return EXIT_DONE

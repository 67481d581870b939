"""The command line: `fivephase run | stage | remake | plan | status | report | trace [Hydra overrides]`."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import pipeline
from pipeline.control.compose import as_yaml, compose, typed
from pipeline.control.local_launcher import launch
from pipeline.control.planning import plan_table, with_token_budget
from pipeline.control.report import details, stage_line, summary
from pipeline.control.run import FrozenStage, check_upstream, freeze, next_attempt, prepare, select, set_aside
from pipeline.control.tracing import trace_table
from pipeline.core.artifact import git_revision, read_manifest
from pipeline.core.config import RunConfig
from pipeline.core.errors import EXIT_DONE, EXIT_REQUEUE, EXIT_USER_ERROR, ArtifactError, UserError, as_user_error
from pipeline.core.files import read_json
from pipeline.core.tracking import check_login

COMMANDS = {
    "run": "run all stages, or those between from=STAGE and to=STAGE; what is done is skipped",
    "stage": "run one stage: fivephase stage phase3 [overrides]",
    "remake": "set a stage's folder aside, damaged or not, and make it anew: fivephase remake phase3 [overrides]",
    "plan": "print stages, tokens, steps and learning rates without running",
    "status": "the summary table, at any time",
    "report": "the summary table with every metric of every stage",
    "trace": "what a training step saw (step=PHASE/NUMBER), or where training saw a document (document=ID)",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of `fivephase`; ends the process.

    The exit code is 0 if all went well, 2 if the user must change something (one line says what), 75 if a stage saved
    its state and wants to be run again, and another number for a failure.

    Args:
        arguments: those of the command line, without the program's name; None takes sys.argv.
    """
    options = _parser().parse_args(arguments)
    try:
        code = _dispatch(options)
    except Exception as error:
        user_error = as_user_error(error, where=".")
        if options.debug or user_error is None:
            traceback.print_exc()
        if user_error is None:
            sys.exit(1)
        print(f"fivephase: {user_error}", file=sys.stderr)
        code = EXIT_USER_ERROR
    sys.exit(code)


class _Version(argparse.Action):
    """Prints version and revision. Unlike argparse's own, asks git for the revision only when it is wanted."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        revision = git_revision()
        print(f"fivephase {pipeline.__version__}" + (f" ({revision})" if revision else ""))
        parser.exit()


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
        command.add_argument("overrides", nargs="*", help="Hydra overrides, e.g. scale=smoke run=first seed=1")
        command.add_argument(
            "--config-dir",
            metavar="DIR",
            help="folder of configurations of your own, beside the built-in ones (./conf where there is one)",
        )
        command.add_argument("--cfg", choices=["job"], help="print the composed configuration and stop")
        command.add_argument("--debug", action="store_true", help="show tracebacks")
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
    if options.command in ("run", "stage", "remake", "plan"):
        stages = with_token_budget(stages)
        check_login(config.tracking)
    match options.command:
        case "run":
            return _run(config, stages, select(stages, config.first, config.last))
        case "stage":
            return _run(config, stages, select(stages, options.stage, options.stage))
        case "remake":
            return _remake(config, stages, options)
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
    """Runs the selected stages in order, skips what is finished, and stops at the first that does not finish."""
    check_upstream(stages, selected, config.root)
    made = 0
    for stage in selected:
        directory = stage.directory(config.root)
        if prepare(stage, config.root):
            continue
        made += 1
        attempt = next_attempt(directory)
        code = launch(stage, directory, attempt)
        if code != EXIT_DONE:
            return _failed(directory, attempt, code)
        manifest = read_manifest(directory)
        if manifest is None or manifest.fingerprint != stage.fingerprint:
            raise ArtifactError(f"{directory}: moved or replaced while {stage.stage} ran; run again")
        print(stage_line(manifest), flush=True)
    if not made:
        print(f"nothing to do: all {len(selected)} stages are done with this configuration")
    print(f"\n{summary(stages, config.root)}")
    return EXIT_DONE


def _remake(config: RunConfig, stages: list[FrozenStage], options: argparse.Namespace) -> int:
    """Sets the folder of one stage aside and runs the stage; what reads it is checked when it is next needed."""
    selected = select(stages, options.stage, options.stage)
    check_upstream(stages, selected, config.root)
    place = set_aside(selected[0], config.root)
    if place is not None:
        print(f"{selected[0].directory(config.root)} is now {place}", flush=True)
    return EXIT_DONE if options.set_aside else _run(config, stages, selected)


def _failed(directory: Path, attempt: int, code: int) -> int:
    """Prints in one line why a stage did not finish, and returns the exit code; the rest is in the stage's log."""
    logs = directory / "attempts" / str(attempt)
    if code == EXIT_REQUEUE:
        print(f"fivephase: {directory.name}: stopped and saved; run again to continue", file=sys.stderr)
        return code
    errors = sorted(logs.glob("error-*.json"))
    if code == EXIT_USER_ERROR and errors:
        raise UserError(f"{directory.name}: {read_json(errors[0])['message']}")
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    log = logs / "rank-0.log"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    last = lines[-1][:300] if lines else "no output"
    print(
        f"fivephase: {directory.name} failed ({how}): {last}; see {log}, or run again to retry",
        file=sys.stderr,
    )
    return code if code > 0 else 128 - code


def _plan(
    config: RunConfig, stages: list[FrozenStage], selected: list[FrozenStage], options: argparse.Namespace
) -> int:
    """Prints the plan as a table, or as tab-separated values for launch/chain.sh; freezes the stages if asked to."""
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

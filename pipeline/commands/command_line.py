"""What stands on the command line: `COMMAND [options] [Hydra overrides]`; `table.py` has the commands."""

import argparse
import sys
from typing import NoReturn

import pipeline
from pipeline.commands.composed import composed
from pipeline.commands.table import COMMANDS
from pipeline.control.compose import as_yaml
from pipeline.core.artifact import git_revision
from pipeline.core.config import nearest
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR
from pipeline.core.terminal import say
from pipeline.stages import load_symbol


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else that a user can cause."""

    def error(self, message: str) -> NoReturn:
        say(f"fivephase: {message}; `{self.prog} --help` shows what there is")
        sys.exit(EXIT_USER_ERROR)


class _Version(argparse.Action):
    """Prints version and revision. Unlike argparse's own, asks git for the revision only when it is wanted."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        revision = git_revision()
        print(f"fivephase {pipeline.__version__}" + (f" ({revision})" if revision else ""))
        parser.exit()


def parsed(arguments: list[str]) -> argparse.Namespace:
    """The options; overrides may stand anywhere among them, and those of sbatch after `--`."""
    arguments, separator, sbatch = _split(arguments, "--")
    parser = _parser()
    first = arguments[0] if arguments else "--help"
    if not first.startswith("-") and first not in COMMANDS:
        parser.error(
            f"{first}: " + ("a command comes first" if "=" in first else f"no such command, {nearest(first, COMMANDS)}")
        )
    options, others = parser.parse_known_args(arguments or ["--help"])
    on_run = COMMANDS[options.command].on_run
    unknown = [each for each in others if each.startswith("-") or not on_run]
    if unknown:
        parser.error(f"{unknown[0]}: unknown option{_hint(unknown[0], options.command)}")
    if separator and options.command != "submit":
        parser.error("--: only `fivephase submit` passes options on")
    if on_run:
        options.overrides += others
    options.sbatch = sbatch
    return options


def _hint(option: str, command: str) -> str:
    if option in ("--multirun", "-m"):
        return ", a command is for one configuration; start one for each, with its own run="
    return ", sbatch's own come after --" if command == "submit" else ""


def _split(arguments: list[str], at: str) -> tuple[list[str], bool, list[str]]:
    """The arguments before the first `at`, whether there is one, and those after it."""
    if at not in arguments:
        return arguments, False, []
    place = arguments.index(at)
    return arguments[:place], True, arguments[place + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="fivephase", description="Trains a language model from raw pages to chat.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print version and git revision, and stop")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, each in COMMANDS.items():
        command = commands.add_parser(name, help=each.summary, description=each.summary)
        each.arguments(command)
        command.add_argument("--debug", action="store_true", help="show tracebacks")
        if not each.on_run:
            continue
        command.add_argument("overrides", nargs="*", help="Hydra overrides, e.g. scale=smoke run=first seed=1")
        command.add_argument(
            "--config-dir",
            metavar="DIR",
            help="folder of configurations of your own, beside the built-in ones (./conf where there is one)",
        )
        command.add_argument(
            "--fresh", action="store_true", help="leave out the overrides that the run remembers of earlier commands"
        )
        command.add_argument("--cfg", choices=["job"], help="print the composed configuration and stop")
    return parser


def dispatch(options: argparse.Namespace) -> int:
    """Calls the command that the options name; returns its exit code."""
    command = COMMANDS[options.command]
    if command.on_run and options.cfg:
        print(as_yaml(composed(options)[0]), end="")
        return EXIT_DONE
    code: int = load_symbol(command.entry)(options)
    return code

"""The table of commands: what each does, which function does it, and which options it has besides the common ones."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.export.options import add_options


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """For a command that has the common options alone."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command of `fivephase`, as its help and its parser need it."""

    summary: str
    """What it does, for the help."""
    entry: str
    """`module:function`, imported when the command is called: it takes the parsed options and returns the exit code."""
    arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments
    """Adds what the command takes besides --debug and what those on a run have in common (`cli._parser`)."""
    on_run: bool = True
    """Whether it works on a configured run: it then takes overrides, which may stand anywhere among its options."""


def _changes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="set finished stages aside that settings have changed for")


def _stage(parser: argparse.ArgumentParser) -> None:
    _changes(parser)
    parser.add_argument("stage", help="name of the stage")


def _remake(parser: argparse.ArgumentParser) -> None:
    _stage(parser)
    parser.add_argument("--set-aside", action="store_true", help="only that, e.g. to submit it to Slurm")
    parser.add_argument("--dependents", action="store_true", help="set aside what was made from it as well")


def _submit(parser: argparse.ArgumentParser) -> None:
    _changes(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the sbatch commands and write nothing")
    parser.add_argument("--gpus", action="store_true", help="ask for one GPU per rank")


def _plan(parser: argparse.ArgumentParser) -> None:
    _changes(parser)
    parser.add_argument("--freeze", action="store_true", help="write every stage's frozen configuration")
    parser.add_argument("--format", choices=["table", "tsv"], default="table")


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", choices=["template"], help="what to look at")
    parser.add_argument("subject", metavar="PATH_OR_STAGE", help="folder with a tokenizer, or a finished stage")
    parser.add_argument("--chat-template", metavar="NAME_OR_FILE", help="try this one in the place of its own")


def _calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", choices=["judge", "verifiers"], help="what to calibrate")
    parser.add_argument(
        "--conversations", metavar="FILE", action="append", default=[],
        help="good conversations beside the built-in ones, for the judge (may be given again)",
    )  # fmt: skip
    parser.add_argument("--report", metavar="FILE", help="where to write the report (default: calibration_TOPIC.json)")


def _experiment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", metavar="NAME", help="file of conf/experiment, without .yaml")


def _chat(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--system", metavar="TEXT", help="what the model is told before the conversation")
    # Fields of pipeline.inference.conversation.Sampling, which has the defaults and checks the values.
    parser.add_argument("--temperature", type=float, metavar="N", help="0 always takes the likeliest token")
    parser.add_argument("--top-p", type=float, metavar="N", help="only the likeliest tokens with this probability")
    parser.add_argument("--top-k", type=int, metavar="N", help="only so many of the likeliest tokens")
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help="tokens of an answer, at most")
    parser.add_argument("--seed", type=int, metavar="N", help="makes the answers repeatable")
    parser.add_argument("--serve", action="store_true", help="an OpenAI-compatible endpoint instead of a conversation")
    parser.add_argument("--host", default="localhost", help="address of the endpoint (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port of the endpoint (default: %(default)s)")


def _output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="DIR", help="folder that takes the page (default: that of the run)")


def _report(parser: argparse.ArgumentParser) -> None:
    _output(parser)
    parser.add_argument(
        "--compare", metavar="RUN", nargs="+", help="lay these runs side by side instead: names, or folders of runs"
    )


def _serve_report(parser: argparse.ArgumentParser) -> None:
    _output(parser)
    parser.add_argument("--port", type=int, default=8010, help="port on this machine (default: %(default)s)")


def _init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="a new or empty folder")


COMMANDS = {
    "run": Command(
        summary="run all stages, or those between from=STAGE and to=STAGE; what is done is skipped",
        entry="pipeline.commands.chain:run",
        arguments=_changes,
    ),
    "stage": Command(
        summary="run one stage: fivephase stage phase3 [overrides]",
        entry="pipeline.commands.chain:stage",
        arguments=_stage,
    ),
    "remake": Command(
        summary="set a stage's folder aside, damaged or not, and make it anew: fivephase remake phase3 [overrides]",
        entry="pipeline.commands.chain:remake",
        arguments=_remake,
    ),
    "submit": Command(
        summary="submit stages to Slurm, one job each: fivephase submit [overrides] [-- sbatch options for every job]",
        entry="pipeline.commands.plan:submit",
        arguments=_submit,
    ),
    "plan": Command(
        summary="print stages, tokens, steps and learning rates without running",
        entry="pipeline.commands.plan:plan",
        arguments=_plan,
    ),
    "runs": Command(
        summary="the runs in the folder of runs, each with its scale and how many stages are done",
        entry="pipeline.commands.lists:runs",
    ),
    "stages": Command(
        summary="the stages of a run, each with its kind, the kind's version and what it reads",
        entry="pipeline.commands.lists:stages",
    ),
    "status": Command(summary="the summary table, at any time", entry="pipeline.commands.show:status"),
    "report": Command(
        summary="the summary table with every metric of every stage, and all of it as a page, report.html",
        entry="pipeline.commands.reports:report",
        arguments=_report,
    ),
    "serve-report": Command(
        summary="the page of `report` on a local address, kept up to date while the run goes on",
        entry="pipeline.commands.reports:serve_report",
        arguments=_serve_report,
    ),
    "trace": Command(
        summary="what a training step saw (step=PHASE/NUMBER), or where training saw a document (document=ID)",
        entry="pipeline.commands.show:trace",
    ),
    "doctor": Command(
        summary="what is trained on of a conversation by a chat template: fivephase doctor template PATH_OR_STAGE",
        entry="pipeline.commands.doctor:doctor",
        arguments=_doctor,
    ),
    "calibrate": Command(
        summary="what the judge or the verifiers find of planted defects: fivephase calibrate judge judge=endpoint ...",
        entry="pipeline.commands.calibrate:calibrate",
        arguments=_calibrate,
    ),
    "chat": Command(
        summary="talk to a model: fivephase chat run=smoke, or the folder of a Hugging Face model, a stage or a run",
        entry="pipeline.commands.chat:chat",
        arguments=_chat,
    ),
    "evaluate": Command(
        summary="measure a model by a suite: fivephase evaluate model=PATH|RUN/STAGE|ORG/NAME suite=NAME [out=DIR]",
        entry="pipeline.commands.evaluate:evaluate",
    ),
    "contamination": Command(
        summary="how many prompts of a run's evaluations its training data hold, and the score on the others",
        entry="pipeline.commands.contamination:contamination",
    ),
    "experiment": Command(
        summary="run every variant and seed of conf/experiment/NAME.yaml and compare them: fivephase experiment merge",
        entry="pipeline.commands.experiment:experiment",
        arguments=_experiment,
    ),
    "init": Command(
        summary="write a folder to start from: a scale, a recipe, conversations and an environment of your own",
        entry="pipeline.commands.init:init",
        arguments=_init,
        on_run=False,
    ),
    "export": Command(
        summary="a model in another format: fivephase export gguf [PATH | run=NAME stage=STAGE]",
        entry="pipeline.commands.export:export",
        arguments=add_options,
    ),
}

"""The command that tests the testers: `fivephase calibrate judge` and `fivephase calibrate verifiers`."""

import argparse
from pathlib import Path
from typing import Any

from pipeline.commands.composed import composed_run
from pipeline.control.frozen_stages import FrozenStage
from pipeline.core.config import build
from pipeline.core.errors import EXIT_DONE, ConfigError
from pipeline.core.files import write_json
from pipeline.core.terminal import text_table
from pipeline.stages import load_symbol, stage_type

STAGE = "sft_data"
"""Stage whose settings say which judge, and which assistant the environments ask for."""


def calibrate(options: argparse.Namespace) -> int:
    """Plants defects, asks the judge or the verifiers about them, prints a table and writes the report."""
    if options.conversations and options.topic != "judge":
        raise ConfigError("--conversations is for the judge, leave it out")
    report = Path(options.report or f"calibration_{options.topic}.json")
    if report.is_dir():
        raise ConfigError(f"--report={report}: a folder, name a file")
    # All stages are checked: a setting of another one that nobody looked at would be taken for one that counts.
    stages = composed_run(options).stages
    config = _settings(stages)
    found, rows = _judge(config, options) if options.topic == "judge" else _verifiers(config, stages)
    report.parent.mkdir(parents=True, exist_ok=True)
    write_json(report, found)
    print("\n".join(text_table(rows, right=tuple(range(1, len(rows[0]))), rule=True)))
    print(f"report: {report}")
    return EXIT_DONE


def _settings(stages: list[FrozenStage]) -> Any:
    stage = next((each for each in stages if each.stage == STAGE), None)
    if stage is None:
        raise ConfigError(f"this run has no stage {STAGE}, name a run, a scale or a chain that has it")
    return build(load_symbol(stage_type(stage.kind, STAGE).config), stage.config, f"stages.{STAGE}.config")


def _judge(config: Any, options: argparse.Namespace) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    # These load a client and language identification, which take a second.
    from pipeline.posttraining.calibration.judge import calibrate_judge, table
    from pipeline.posttraining.common.data_files import DataFile
    from pipeline.posttraining.data.own_files import own_conversations

    if config.judge is None:
        raise ConfigError(f"stages.{STAGE}.config.judge is null, add judge=endpoint and the name of the judge's model")
    files = [build(DataFile, {"path": each}, "--conversations") for each in options.conversations]
    found = calibrate_judge(config.judge, list(own_conversations(files, [])))
    good = found["good"]
    print(f"{found['model']}: rejects {good['rejected']} of {good['judged']} good conversations")
    print(f"verdicts that could not be read: {found['unparsed']}, requests without one: {found['unanswered']}")
    below = "; ".join(found["below_floor"])
    print(f"below the floor, so it may not remove anything: {below}" if below else "it may remove what it rejects")
    return found, table(found)


def _verifiers(config: Any, stages: list[FrozenStage]) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    from pipeline.environments.own import is_own
    from pipeline.environments.registry import ENVIRONMENTS
    from pipeline.posttraining.calibration.verifiers import calibrate_verifiers, table

    asked = [name for stage in stages for name in stage.config.get("domain_weights") or ()]
    names = dict.fromkeys([*ENVIRONMENTS, *filter(is_own, asked)])
    found = calibrate_verifiers(list(names), config.problems.assistant)
    below = ", ".join(found["below_floor"])
    print(f"AUC below {found['minimum_auc']}: {below or 'none'}")
    return found, table(found)

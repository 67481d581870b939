"""The command `fivephase evaluate`: what a suite measures of any model."""

import argparse
import dataclasses
import os
from pathlib import Path

from pipeline.control.suites import compose_suite, suites
from pipeline.core.config import RunConfig, build
from pipeline.core.errors import EXIT_DONE, ConfigError
from pipeline.core.terminal import say
from pipeline.evaluation.config import PARTS, EvaluateConfig
from pipeline.evaluation.model_source import model_source, run_tokens
from pipeline.evaluation.standalone import Evaluation
from pipeline.evaluation.standalone import evaluate as measure

OWN = ("model", "suite", "root", "out", "seed", "tokens")
"""Arguments of the command; all others are overrides of the suite's settings."""


def evaluate(options: argparse.Namespace) -> int:
    """Measures a model, prints the table and says where the numbers are.

    Args:
        options: the parsed ones. Of `options.overrides`, `model=` and `suite=` must be there.

    Returns:
        The exit code.

    Raises:
        UserError: for a suite, setting or model that cannot be used.
    """
    given = dict(each.partition("=")[::2] for each in options.overrides if each.partition("=")[0] in OWN)
    overrides = [each for each in options.overrides if each.partition("=")[0] not in OWN]
    for key in ("model", "suite"):
        if not given.get(key):
            known = f"; suites: {', '.join(suites(options.config_dir))}" if key == "suite" else ""
            raise ConfigError(f"{key}=: missing, write fivephase evaluate model=PATH suite=NAME{known}")
    seed = given.get("seed", "0")
    if not seed.isdecimal():
        raise ConfigError(f"seed={seed}: not a whole number from 0 on, set one")
    suite = given["suite"]
    # What a suite does not name is not measured.
    settings = {**dict.fromkeys(PARTS), **compose_suite(suite, overrides, options.config_dir)}
    config = build(EvaluateConfig, settings, f"suite={suite}")
    _check(config, suite)
    root = Path(given.get("root", RunConfig.root)).expanduser()
    source = model_source(given["model"], root)
    if "tokens" in given:
        source = dataclasses.replace(source, tokens=run_tokens(given["tokens"], root))
    if source.tokens is None and config.text is not None and config.text.held_out:
        say("fivephase: the model is of no run, so no held-out documents are measured; tokens=<run> names one")
    out = Path(given["out"]).expanduser() if given.get("out") else None
    table = measure(Evaluation(source=source, suite=suite, config=config, seed=int(seed)), out, root)
    if int(os.environ.get("RANK", "0")) == 0:
        print(table)
    return EXIT_DONE


def _check(config: EvaluateConfig, suite: str) -> None:
    """What can be wrong with a suite before the model is looked at."""
    from pipeline.core.extras import require
    from pipeline.evaluation.outside_text import check_texts
    from pipeline.evaluation.task_files import EXTRA, PACKAGE, check_tasks

    try:
        if config.text is not None:
            check_texts(config.text.outside)
        if config.harness is not None:
            require(EXTRA, PACKAGE)
            check_tasks(config.harness)
    except ConfigError as error:
        raise ConfigError(f"suite={suite}.{error}") from None

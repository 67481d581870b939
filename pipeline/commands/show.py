"""Commands that show what there is, and change nothing: `status` and `trace`."""

import argparse
from pathlib import Path

from pipeline.commands.composed import check_exists, composed, composed_run
from pipeline.control.compose import typed
from pipeline.control.report import summary
from pipeline.control.tracing import trace_table
from pipeline.core.errors import EXIT_DONE


def status(options: argparse.Namespace) -> int:
    """Prints the table of all stages."""
    run = composed_run(options)
    check_exists(run.config)
    print(summary(run.stages, run.config.root))
    return EXIT_DONE


def trace(options: argparse.Namespace) -> int:
    """Prints the trace: `step` or `document` says of what, the other arguments are overrides that say in which run."""
    asked = dict(each.split("=", 1) for each in options.overrides if each.startswith(("step=", "document=")))
    options.overrides = [each for each in options.overrides if not each.startswith(("step=", "document="))]
    config = typed(composed(options)[0])
    check_exists(config)
    for line in trace_table(Path(config.root) / config.run, asked.get("step"), asked.get("document")):
        print(line)
    return EXIT_DONE

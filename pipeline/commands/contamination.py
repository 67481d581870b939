"""The command `contamination`: how many prompts of a run's evaluations its training data hold."""

import argparse
from pathlib import Path

from pipeline.commands.composed import check_exists
from pipeline.commands.reports import PLACE
from pipeline.control.compose import compose, typed
from pipeline.control.run_settings import key_of
from pipeline.core.errors import EXIT_DONE, ConfigError
from pipeline.evaluation.contamination import CONTAMINATION, contamination_lines, read_current


def contamination(options: argparse.Namespace) -> int:
    """Prints a table for each evaluation, which it reads the training data for unless that was done.

    Raises:
        UserError: for a run that is not there, without answers or training data, or with damaged artifacts.
    """
    if others := [each for each in options.overrides if key_of(each) not in PLACE]:
        raise ConfigError(f"contamination {others[0]}: takes run= and root= alone")
    config = typed(compose(options.overrides, options.config_dir))
    check_exists(config)
    run = Path(config.root) / config.run
    if (written := read_current(run)) is None:
        # What follows takes seconds to import.
        from pipeline.evaluation.contamination_search import measure_contamination
        from pipeline.evaluation.standalone import SaidProgress

        written = measure_contamination(run, SaidProgress())
    print("\n".join(contamination_lines(written)))
    print(run / CONTAMINATION)
    return EXIT_DONE

"""The command `export`: the model of a stage, or of a folder, in another format."""

import argparse
from pathlib import Path

from pipeline.control.compose import compose, typed
from pipeline.core.errors import EXIT_DONE, ConfigError
from pipeline.export.export import export_model
from pipeline.export.options import options_of
from pipeline.export.source import of_folder, of_stage

RELEASED = "release"
"""The stage whose model is exported unless another is named."""


def export(options: argparse.Namespace) -> int:
    """Exports a model and prints the folder: `stage` says which of the run, a path in place of both which of none."""
    others = [each for each in options.overrides if not each.startswith("stage=")]
    stages = [each.removeprefix("stage=") for each in options.overrides if each.startswith("stage=")]
    folders = [each for each in others if "=" not in each or Path(each).is_dir()]
    if folders and (len(others) > 1 or stages):
        raise ConfigError(f"export {folders[0]}: give one folder, or run=NAME stage=STAGE")
    if folders:
        source = of_folder(Path(folders[0]))
    else:
        config = typed(compose(others, options.config_dir))
        source = of_stage(Path(config.root) / config.run, stages[-1] if stages else RELEASED)
    print(export_model(source, options_of(options)))
    return EXIT_DONE

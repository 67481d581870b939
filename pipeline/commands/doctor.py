"""The command that looks at what is easily wrong and seldom seen: `fivephase doctor template`."""

import argparse
import os
import sys
from pathlib import Path

from pipeline.control.compose import compose, typed
from pipeline.core.errors import EXIT_DONE, ArtifactError


def doctor(options: argparse.Namespace) -> int:
    """Prints a conversation by the chat template of a folder, or of a finished stage of the run."""
    folder = Path(options.subject)
    if not folder.is_dir():
        config = typed(compose(options.overrides, options.config_dir))
        folder = Path(config.root) / config.run / options.subject
    places = [each for each in (folder / "checkpoint", folder / "tokenizer", folder) if each.is_dir()]
    if not places or not (places[0] / "tokenizer_config.json").is_file():
        raise ArtifactError(f"{folder}: no folder with a tokenizer, name one, or a finished stage with run=<its run>")
    # It loads transformers, which takes seconds.
    from pipeline.model_import.template_report import report

    colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in report(places[0], options.chat_template, colored):
        print(line)
    return EXIT_DONE

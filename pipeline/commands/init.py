"""The command `fivephase init`: a folder of one's own that runs as it stands."""

import argparse
import shlex
import shutil
from pathlib import Path

from pipeline.core.errors import EXIT_DONE, ConfigError
from pipeline.core.installation import PACKAGE, command_name

STARTER = PACKAGE / "starter"
"""The files of a new folder: scale, recipe, texts, conversations, environment and README."""


def init(options: argparse.Namespace) -> int:
    """Writes a scale, a recipe with texts, conversations and an environment into a new or empty folder.

    Args:
        options: the parsed ones, with `folder`.

    Returns:
        The exit code.

    Raises:
        ConfigError: if the folder has something in it.
    """
    folder = Path(options.folder).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{options.folder}: is not an empty folder, and nothing is overwritten; name a new one")
    shutil.copytree(STARTER, folder, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print(path)
    print(f"\nnow type: cd {shlex.quote(str(folder))} && {command_name(folder)} run scale=mine")
    return EXIT_DONE

"""The command `fivephase chat`: a conversation in the terminal, or an endpoint for programs."""

import argparse
import dataclasses
import shlex
from pathlib import Path

from pipeline.control.compose import compose, typed
from pipeline.core.config import RunConfig
from pipeline.core.errors import EXIT_DONE, ConfigError
from pipeline.core.installation import command_name
from pipeline.core.terminal import say
from pipeline.inference.chat_model import chat_model, model_folder, newest_chat_model


def chat(options: argparse.Namespace) -> int:
    """Talks with the model that the arguments name until the input ends, or serves it until a signal.

    Args:
        options: the parsed ones. Of `options.overrides`, one without `=` is a path; the others say which run.

    Returns:
        The exit code.

    Raises:
        UserError: for a model that is not there or cannot be loaded, and for a setting that cannot be used.
    """
    paths = [each for each in options.overrides if "=" not in each and not each.startswith("~")]
    others = [each for each in options.overrides if each not in paths]
    if len(paths) > 1:
        raise ConfigError(f"chat {paths[0]} {paths[1]}: one model at a time, name one")
    if paths:
        folder = model_folder(Path(paths[0]).expanduser())
    else:
        config = typed(compose(others, options.config_dir))
        folder = chat_model(Path(config.root) / config.run)
    # What follows takes seconds to import.
    if options.serve:
        from pipeline.inference.serving import serve

        serve(folder, options.host, options.port)
        return EXIT_DONE
    _talk(folder, options)
    return EXIT_DONE


def _talk(folder: Path, options: argparse.Namespace) -> None:
    from transformers.utils.logging import disable_progress_bar

    from pipeline.core.config import build
    from pipeline.inference.conversation import Conversation, Sampling
    from pipeline.inference.loading import load_model
    from pipeline.inference.terminal_chat import talk

    given = {each.name: getattr(options, each.name) for each in dataclasses.fields(Sampling)}
    sampling = build(Sampling, {key: value for key, value in given.items() if value is not None}, where="")
    say(f"fivephase: loading {folder}")
    disable_progress_bar()
    talk(Conversation(load_model(folder), sampling, options.system))


def invitation(config: RunConfig) -> str | None:
    """The line that says how to talk to the newest chat model of a run; None if it has none yet."""
    run = Path(config.root) / config.run
    if newest_chat_model(run) is None:
        return None
    root = [] if config.root == RunConfig.root else [f"root={config.root}"]
    return f"talk to it: {command_name()} {shlex.join(['chat', f'run={config.run}', *root])}"

"""A chat in the terminal, or of lines through a pipe: a line in, an answer out, commands that begin with a slash."""

import contextlib
import dataclasses
import io
import sys
from typing import Any

import yaml

from pipeline.core.config import build
from pipeline.core.errors import UserError
from pipeline.core.terminal import say, visible
from pipeline.inference.conversation import Conversation, Sampling

HELP = """\
  /new                 forget what was said
  /system TEXT         what the model is told before the conversation, which begins anew; without TEXT nothing
  /set KEY=VALUE       a setting of sampling, such as temperature=0.7; null is as the model has it
  /settings            all settings
  /help                this list
  Ctrl-C stops an answer, Ctrl-D leaves"""


def talk(conversation: Conversation) -> None:
    """Reads lines and answers them until the input ends; a mistake in a command is said, and the chat goes on.

    Prompts and hints go to a terminal only. What the model says is shown without power over the terminal.
    """
    interactive = sys.stdin.isatty()
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a tokenizer takes no surrogates
    if interactive:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401  # input() then edits lines and remembers them
        say("/help lists commands, Ctrl-D leaves")
    while (line := _line(interactive)) is not None:
        try:
            if line.startswith("/"):
                _obey(line, conversation)
            elif line.strip():
                _answer(line, conversation)
        except UserError as error:
            say(str(error))
        except KeyboardInterrupt:
            if not interactive:
                raise
            print("\n(stopped; this turn is forgotten)")


def _line(interactive: bool) -> str | None:
    """The next line; None at the end of the input. Ctrl-C drops the line that is being written in a terminal."""
    while True:
        try:
            return input("> " if interactive else "")
        except EOFError:
            if interactive:
                print()
            return None
        except KeyboardInterrupt:
            if not interactive:
                raise
            print("\n(Ctrl-D leaves)")


def _answer(line: str, conversation: Conversation) -> None:
    turns = len(conversation.turns)
    ending = conversation.answer(line, lambda piece: print(visible(piece), end="", flush=True))
    print(flush=True)
    if ending != "ended":
        say("(stopped)" if ending == "stopped" else "(cut off at max_new_tokens)")
    if len(conversation.turns) < turns + 2:
        say("(the oldest turns were forgotten: the model's context is full)")


def _obey(line: str, conversation: Conversation) -> None:
    command, _, rest = line.partition(" ")
    rest = rest.strip()
    match command:
        case "/new":
            conversation.turns = []
        case "/system":
            conversation.turns = []
            conversation.system = rest or None
        case "/set":
            key, _, value = rest.partition("=")
            settings = {**dataclasses.asdict(conversation.sampling), key.strip(): _value(value)}
            conversation.sampling = build(Sampling, settings, where="")
        case "/settings":
            say("\n".join(f"  {key}={_shown(value)}" for key, value in _settings(conversation).items()))
        case "/help":
            say(HELP)
        case _:
            say(f"{visible(command)}: no such command, /help lists them; begin a message with a space to say it")


def _settings(conversation: Conversation) -> dict[str, Any]:
    return {"system": conversation.system, **dataclasses.asdict(conversation.sampling)}


def _shown(value: Any) -> str:
    return "null" if value is None else visible(str(value))


def _value(text: str) -> Any:
    """A value as YAML has it, as on the command line."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text

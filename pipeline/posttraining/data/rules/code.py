"""Code in replies: what says that it is Python has to parse."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings

from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules.violation import Violation, replies_of

BLOCK = re.compile(r"^([ \t]*)```(?:python|py|python3)[ \t]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)


def check_code(conversation: Conversation) -> Violation | None:
    """Rejects a reply with a block of Python that does not parse; interactive sessions and magics are no programs.

    What the code computes is for the verifiers: a conversation whose question came with tests is checked by them
    (`check_answers`).
    """
    for reply in replies_of(conversation):
        for block in BLOCK.finditer(reply):
            if (fault := fault_of(block[2])) is not None:
                return Violation("code", "Python that does not parse", fault, "parses")
    return None


def fault_of(source: str) -> str | None:
    """Why a text is no Python, or None if it parses, or does not claim to be a whole program."""
    source = textwrap.dedent(source)
    if source.lstrip().startswith((">>>", "%", "!", "$ ")):
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(source)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError) as error:
        return type(error).__name__
    return None


def without_code(text: str) -> str:
    """The prose of a reply: code blocks and code within lines are left out."""
    kept = FENCE.split(text)[::2]
    return re.sub(r"`[^`\n]*`", " ", "\n".join(kept))

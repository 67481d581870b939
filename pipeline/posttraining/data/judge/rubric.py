"""The rubric: what the judge is told, read from a YAML file and checked."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.core.config import build
from pipeline.core.errors import ConfigError, RecipeError
from pipeline.core.installation import locate, places
from pipeline.posttraining.data.judge.config import DIMENSIONS, FLAGS

TYPES = ("plain", "multi_turn", "rag", "tools", "multilingual", "code", "math")
"""Types of conversations; the rubric has a note for each, and `question.types_of` says which a conversation is of."""


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """The parts of the judge's prompt."""

    task: str
    """What is judged and what is context."""
    dimensions: dict[str, str]
    """The question behind each score."""
    scale: str
    """What the numbers mean."""
    flags: dict[str, str]
    """What each flag means."""
    types: dict[str, str]
    """What is added for conversations of each type."""
    reply: str
    """How to reply; the schema follows it."""
    repair: str
    """What a reply that cannot be read is answered, once; `{error}` is replaced."""

    def __post_init__(self) -> None:
        for name, wanted in (("dimensions", DIMENSIONS), ("flags", FLAGS), ("types", TYPES)):
            found = getattr(self, name)
            if sorted(found) != sorted(wanted):
                raise ValueError(
                    f"{name} has {', '.join(sorted(found)) or 'nothing'}, give each of {', '.join(wanted)}"
                )
        if "{error}" not in self.repair:
            raise ValueError("repair lacks {error}, put it where the fault is to be named")

    def content(self) -> dict[str, Any]:
        """Everything in it, for fingerprints and for the binding of a calibration."""
        return asdict(self)


def load_rubric(name: str) -> Rubric:
    """Reads a rubric from a YAML file and checks that it has every part.

    Raises:
        RecipeError: for a file that is not there or cannot be used.
    """
    path = locate(Path(name))
    try:
        mapping = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        raise RecipeError(f"rubric={name}: no file (looked in {places(Path(name))}), set judge.rubric to one") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(mapping, dict) or not all(isinstance(key, str) for key in mapping):
        raise RecipeError(f"{path}: not a mapping, start it with `task:`")
    try:
        return build(Rubric, mapping, str(path))
    except ConfigError as error:
        raise RecipeError(str(error)) from None

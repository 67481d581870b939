"""What a stage reads, checked before anything runs: each role that it needs is given, known, and played by a stage that
makes such an artifact."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError
from pipeline.stages import players, stage_type


def check_inputs(name: str, kind: str, settings: Any, inputs: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Makes sure that a stage has the inputs that its kind and its settings need, and no others.

    Args:
        name: of the stage.
        kind: its kind.
        settings: the dataclass of its kind; a method `needed_inputs` says which roles they need and why.
        inputs: role to stage.
        before: the stages before it, with their kinds, which include those of `inputs`.

    Raises:
        ConfigError: for an input that is missing, unknown, or of a stage that makes something else.
    """
    roles = stage_type(kind, name).roles
    for role, upstream in inputs.items():
        key = f"stages.{name}.inputs.{role}={upstream}"
        if not any(fnmatchcase(role, pattern) for pattern in roles):
            reads = f"{kind} reads no {role}, {nearest(role, roles)}" if roles else f"{kind} reads no other stage"
            raise ConfigError(f"{key}: {reads}; stages.{name}.inputs.{role}=null takes it away")
        if before[upstream] not in players(role):
            instead = _suggested(role, before) or _kinds(role)
            raise ConfigError(f"{key}: a stage of kind {before[upstream]} makes no such thing, set {instead}")
    needed: dict[str, str] = dict.fromkeys(stage_type(kind, name).inputs, f"{kind} reads it")
    if hasattr(settings, "needed_inputs"):
        needed |= settings.needed_inputs()
    for roles_, why in needed.items():
        alternatives = roles_.split("|")
        if not any(fnmatchcase(role, pattern) for role in inputs for pattern in alternatives):
            role = alternatives[0].rstrip("*")
            stage = _suggested(role, before)
            remedy = f"set it to {stage}" if stage else f"set it to {_kinds(role)} before {name}"
            raise ConfigError(f"stages.{name}.inputs.{role}: missing, and {why}; {remedy}")


def _suggested(role: str, before: Mapping[str, str]) -> str | None:
    """The last stage before that makes what a role takes; None if there is none."""
    return next((stage for stage, kind in reversed(list(before.items())) if kind in players(role)), None)


def _kinds(role: str) -> str:
    return f"a stage of kind {' or '.join(players(role))}"

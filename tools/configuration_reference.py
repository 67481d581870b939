"""The reference of the configuration, as Markdown: every setting of the run and of each kind of stage.

`python -m tools.configuration_reference` prints it; `make docs` puts it into the site. Names, kinds of values, defaults
and descriptions come from the dataclasses, the values of a scale from `conf/`: no setting is described twice.
"""

import ast
import dataclasses
import inspect
import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.control.compose import compose, typed
from pipeline.core.config import RunConfig
from pipeline.stages import STAGE_TYPES, load_symbol

SCALES = ("smoke", "granite_4_1_8b")
"""The scales whose values are shown: the smallest, and a published one."""
LONGEST_VALUE = 60
"""Characters of a value that is shown; a longer one is left to `conf/`."""
INTRODUCTION = """# Configuration

Every setting, from the dataclasses that check it, with its values in the smallest scale and in a published one. A
setting of a stage is `stages.<stage>.config.<setting>` on the command line and in a file of your own, for example
`stages.phase1.config.tokens=1_000_000`. Where stages of a kind differ, all their values are shown, in the order of the
chain. A setting without a default must be given, which `conf/stage/` does; its comments say where numbers come from.
`fivephase run --cfg job` prints the composed configuration of a run.

"""


@dataclass(frozen=True)
class Setting:
    """A setting as the reference shows it."""

    key: str
    """Its place below the dataclass: `learning_rate.scale`; `*` stands for an entry of a list or of a dictionary."""
    values: str
    """What it may be, in words of JSON."""
    default: str | None
    """The dataclass's default as JSON; None if it must be given."""
    description: str
    """The docstring under the field, in one line."""
    counts: bool
    """Whether it is part of the fingerprint, so that changing it makes the stage anew."""


def settings_of(cls: type, prefix: str = "") -> Iterator[Setting]:
    """The settings of a dataclass in their order, each followed by those of the dataclasses in it."""
    hints = typing.get_type_hints(cls, include_extras=True)
    descriptions = field_docstrings(cls)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        yield Setting(
            key=prefix + field.name,
            values=_in_words(hint),
            default=_default(field),
            description=descriptions.get(field.name, ""),
            counts=bool(field.metadata.get("fingerprint", True)),
        )
        for place, nested in _nested(hint):
            yield from settings_of(nested, f"{prefix}{field.name}{place}.")


def field_docstrings(cls: type) -> dict[str, str]:
    """The string under each field of a dataclass, and of those it stands on, in one line."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base):
            continue
        (node,) = ast.parse(inspect.cleandoc("\n" + inspect.getsource(base))).body
        assert isinstance(node, ast.ClassDef)
        for each, below in zip(node.body, node.body[1:], strict=False):
            match each, below:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                    found[name] = " ".join(text.split())
    return found


def reference() -> str:
    """The whole page."""
    runs = {scale: typed(compose([f"scale={scale}"])) for scale in SCALES}
    parts = [INTRODUCTION, "## The run\n\n", _sentence(RunConfig), "\n", _table(list(settings_of(RunConfig)), {})]
    for kind, stage_type in STAGE_TYPES.items():
        cls = load_symbol(stage_type.config)
        configs = {
            scale: {name: stage.config for name, stage in run.stages.items() if stage and stage.kind == kind}
            for scale, run in runs.items()
        }
        names = list(dict.fromkeys(name for stages in configs.values() for name in stages))
        parts += [f"\n## {kind}\n\n", _sentence(cls), f" Stages: {', '.join(f'`{name}`' for name in names)}.\n"]
        parts.append(_table(list(settings_of(cls)), {scale: list(each.values()) for scale, each in configs.items()}))
    return "".join(parts)


def _table(settings: list[Setting], configs: Mapping[str, list[Mapping[str, Any]]]) -> str:
    shown = [scale for scale in SCALES if scale in configs]
    lines = [
        f"| {' | '.join(['setting', 'values', 'default', *shown, 'what it is'])} |",
        "|---" * (4 + len(shown)) + "|",
    ]
    for each in settings:
        values = [_values_in(configs[scale], each.key.split(".")) for scale in shown]
        kept = "" if each.counts else " *Does not change the result.*"
        default = "" if each.default is None else _code(each.default)
        cells = [_code(each.key), each.values, default, *values, each.description + kept]
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n" + "\n".join(lines) + "\n"


def _values_in(configs: list[Mapping[str, Any]], path: list[str]) -> str:
    """The different values that stages give a setting; "" where none does, or where the value has rows of its own."""
    found: list[str] = []
    for config in configs:
        value: Any = config
        for key in path:
            value = value.get(key, ...) if isinstance(value, Mapping) else ...
        if value is not ... and not isinstance(value, Mapping):
            found.append(_code(json.dumps(value)))
    return ", ".join(dict.fromkeys(found))


def _code(text: str) -> str:
    return f"`{text}`" if len(text) <= LONGEST_VALUE else "…"


def _default(field: "dataclasses.Field[Any]") -> str | None:
    if field.default is not dataclasses.MISSING:
        value: Any = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        return None
    return "{…}" if dataclasses.is_dataclass(value) else json.dumps(value, default=str)


def _nested(hint: Any, place: str = "") -> Iterator[tuple[str, type]]:
    """The dataclasses in an annotation, with `.*` for each list or dictionary around them."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        yield place, hint
    origin = typing.get_origin(hint)
    deeper = place + ".*" if origin in (list, tuple, dict) else place
    for member in typing.get_args(hint):
        yield from _nested(member, deeper)


WORDS = {int: "whole number", float: "number", bool: "true, false", str: "text", type(None): "null", Any: "anything"}


def _in_words(hint: Any) -> str:
    """A value's annotation in words: `list[str] | None` gives `list of text, null`."""
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _in_words(members[0]) + "".join(_limits(each) for each in members[1:])
    if origin in (typing.Union, types.UnionType):
        return ", ".join(_in_words(each) for each in members)
    if origin is typing.Literal:
        return ", ".join(f"`{json.dumps(each)}`" for each in members)
    if origin in (list, tuple):
        return f"list of {_in_words(members[0])}"
    if origin is dict:
        return f"{_in_words(members[0])} to {_in_words(members[1])}"
    return WORDS.get(hint, "settings" if dataclasses.is_dataclass(hint) else getattr(hint, "__name__", str(hint)))


SIGNS = {"gt": " above ", "ge": " from ", "lt": " below ", "le": " to "}


def _limits(annotation: Any) -> str:
    """The limits of a number that an annotation of pydantic's sets: ` from 0 to 1`."""
    parts = [annotation, *getattr(annotation, "metadata", [])]
    return "".join(
        f"{sign}{getattr(part, name):g}"
        for part in parts
        for name, sign in SIGNS.items()
        if getattr(part, name, None) is not None
    )


def _sentence(cls: type) -> str:
    return (inspect.getdoc(cls) or "").partition("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    print(reference(), end="")

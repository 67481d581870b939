"""The configuration of a run as checked dataclasses, the errors for what does not fit, and fingerprints.

The dataclass of a stage's own settings is in the stage's package; `build` makes each of them from a mapping.
"""

import dataclasses
import difflib
import hashlib
import json
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar

import pydantic

from pipeline.core.errors import ConfigError

ConfigT = TypeVar("ConfigT")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
Share = Annotated[float, pydantic.Field(ge=0, le=1)]
"""A number from 0 to 1."""
Decay = Annotated[float, pydantic.Field(ge=0, lt=1)]
"""A moving average's, such as AdamW's betas: with 1 it would never move."""
IF_SET = {"fingerprint": "if set"}
"""Metadata of a field that came later, whose default is what was done before: results made then stay valid."""
REMEDIES = {
    "greater_than": "set it above {}",
    "greater_than_equal": "set {} or more",
    "less_than": "set it below {}",
    "less_than_equal": "set at most {}",
}
"""The remedy for a value beyond a limit, by the name of pydantic's error; {} is the limit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResourcesConfig:
    """How many processes run a stage, on how many machines, and for how long at most."""

    nodes: pydantic.PositiveInt = 1
    """Machines. More than one needs launch/chain.sh, or a launcher that starts ranks on each."""
    processes_per_node: pydantic.PositiveInt = 1
    """Ranks on each machine: one per GPU."""
    gpu_memory_gb: pydantic.PositiveFloat | None = None
    """Memory of each rank's GPU, in 10^9 bytes, which the plan holds the estimate of a trainer against; null: against
    nothing."""
    threads: pydantic.PositiveInt | None = None
    """Threads per rank for tensor operations; null divides the machine's cores among the ranks."""
    time: str = "24:00:00"
    """Wall-clock limit of the stage's batch job, HH:MM:SS or D-HH:MM:SS."""

    @property
    def ranks(self) -> int:
        """How many processes run the stage, over all machines."""
        return self.nodes * self.processes_per_node


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stage of a run: what kind of work it does, on the output of which stages, with which settings."""

    kind: str
    """Which implementation runs: a key of `pipeline.stages.STAGE_TYPES`."""
    inputs: dict[str, str] = dataclasses.field(default_factory=dict)
    """Role to the stage whose artifact plays it, e.g. `model: phase1`."""
    taken_from: Annotated[str | None, pydantic.Field(alias="from")] = None
    """Another run's folder, or that of a stage in it, whose artifact stands for this stage's (`from` in YAML); then
    inputs, config and resources are those of the other run. null makes the stage here."""
    config: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Settings of this kind, checked against its own dataclass."""
    resources: ResourcesConfig = dataclasses.field(default_factory=ResourcesConfig)
    """Processes to run it with. They are no part of the fingerprint."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where metrics go, besides the manifest that they are always in."""

    mode: Literal["offline", "online", "off"] = "offline"
    """`offline` writes Weights & Biases files into the run folder, `online` sends them, `off` does neither."""
    project: str = "fivephase"
    """Weights & Biases project."""
    entity: str | None = None
    """Weights & Biases team or user; null is the account's default."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings of a run: its name and seed, its stages in order, and what they share."""

    run: str
    """Name of the run: `<root>/<run>` holds all it makes, forever."""
    seed: int = 0
    """Seed that every named random stream is derived from."""
    root: str = "runs"
    """Folder of all runs."""
    scale: str
    """Which `conf/scale` file was chosen, for the record."""
    first: str | None = None
    """First stage to run (`from=` on the command line); null is the beginning."""
    last: str | None = None
    """Last stage to run (`to=` on the command line); null is the end."""
    recipe: str | None = None
    """Recipe that the stage `curate` takes alone, a domain or the path of a YAML file; null is all."""
    verify_hashes: bool = True
    """Hash every input file before a stage reads it; false leaves out documents and tokens (for terabytes)."""
    model: dict[str, Any]
    """The model's shape, shared by the stages that need it."""
    deepspeed: dict[str, Any] = dataclasses.field(default_factory=dict)
    """DeepSpeed's own configuration, shared by the stages that train."""
    resources: dict[str, ResourcesConfig] = dataclasses.field(default_factory=dict)
    """Named shapes of jobs, shared by stages."""
    executor: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Which machines do the tasks of curation."""
    tracking: TrackingConfig
    """Weights & Biases."""
    stages: dict[str, StageConfig | None]
    """The chain. A stage set to null is left out."""
    chain: tuple[str, ...] | None = None
    """Stages of this run, in the order it runs; null is all of `stages`, in theirs."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.run):
            raise ValueError(f"run={self.run}: set a name of letters, digits, '.', '-' and '_'")
        if self.chain == ():
            raise ValueError("chain=[]: name a stage, or set null for all")


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint for a name that does not exist: "did you mean" the closest valid one, or a list if none is close."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"valid: {', '.join(names)}"


def build(cls: type[ConfigT], mapping: Mapping[str, Any], where: str) -> ConfigT:
    """Makes a dataclass, with those in its fields, from a mapping of its keys.

    Args:
        cls: the dataclass; pydantic checks types and limits, and its `__post_init__` what else must hold.
        mapping: keys and plain values, as YAML and JSON have them.
        where: place of the mapping in the whole configuration, for error messages.

    Raises:
        ConfigError: for an unknown key (with the nearest valid one), a missing key, a value of another type or beyond
            its limits, or a ValueError of `__post_init__`. One line that names key, value and remedy.
    """
    adapter = pydantic.TypeAdapter(_strict(cls))
    try:
        return adapter.validate_python(dict(mapping))
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(_explain(cls, where, first)) from None


def _explain(cls: type[Any], where: str, error: Any) -> str:
    location = [str(part) for part in error["loc"]]
    key = ".".join([where, *location]) if where else ".".join(location)
    match error["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            owner = _dataclass_at(cls, location[:-1])
            valid = [f.name for f in dataclasses.fields(owner)] if owner else []
            return f"{key}: unknown key, {nearest(location[-1], valid)}"
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return f"{key}: missing, set a value"
        case "value_error":
            return f"{key}: {error['ctx']['error']}" if key else str(error["ctx"]["error"])
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal" as limit:
            bound = next(iter(error["ctx"].values()))
            return f"{key}={error['input']!r}: {REMEDIES[limit].format(bound)}"
        case "too_short" | "string_too_short":
            return f"{key} is empty, set it"
        case "string_type" if not isinstance(error["input"], list | dict | None):
            return f"{key}={error['input']}: not text but {type(error['input']).__name__}, put it in quotes"
    return f"{key}={error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _dataclasses_in(hint: Any) -> list[type]:
    """The dataclasses that an annotation mentions, outermost first: `dict[str, Stage | None]` gives `Stage`."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return [hint]
    return [found for member in typing.get_args(hint) for found in _dataclasses_in(member)]


def _dataclass_at(cls: type, location: list[str]) -> type | None:
    """The dataclass that holds the last key of a path of keys, as far as annotations tell."""
    owner = cls
    for key in location:
        hint = typing.get_type_hints(owner).get(key)
        found = _dataclasses_in(hint) if hint is not None else [owner]
        if not found:
            return None
        owner = found[0]
    return owner


def _strict(cls: type[ConfigT]) -> type[ConfigT]:
    """The class itself, marked for pydantic, with the dataclasses in its fields, to reject unknown keys."""
    if "__pydantic_config__" not in vars(cls):
        marked: Any = cls
        # No setting is infinite or no number, and JSON, which fingerprints are made of, has neither.
        marked.__pydantic_config__ = pydantic.ConfigDict(extra="forbid", allow_inf_nan=False)
        for hint in typing.get_type_hints(cls).values():
            for nested in _dataclasses_in(hint):
                _strict(nested)
    return cls


def relevant(value: Any) -> Any:
    """A dataclass as plain values for a fingerprint: what can change a result.

    Fields with the metadata `{"fingerprint": False}` are left out, and those of IF_SET while they have their default.
    """
    if dataclasses.is_dataclass(value):
        return {
            each.name: relevant(getattr(value, each.name)) for each in dataclasses.fields(value) if _counts(value, each)
        }
    if isinstance(value, dict):
        return {key: relevant(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [relevant(each) for each in value]
    return value


def _counts(owner: Any, field: "dataclasses.Field[Any]") -> bool:
    marked = field.metadata.get("fingerprint", True)
    if marked != IF_SET["fingerprint"]:
        return marked
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    return getattr(owner, field.name) != default


def canonical_json(value: Any) -> str:
    """JSON with one form per value: sorted keys, no spaces, no NaN.

    Raises:
        ConfigError: for a value that JSON cannot hold, since its fingerprint would not be stable.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a configuration value has no canonical JSON form: {error}") from None


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON of a value, in hexadecimal."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()

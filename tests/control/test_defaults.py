"""A default stands in a stage's dataclass or in conf/stage, never in both: two copies come to differ.

LEFT_OUT lists the exceptions: keys that some stages of a kind need and others do without, so that the dataclass says
"none" and the file of a stage a value. Only conf/stage is looked at, with what its files choose from. The files of
conf/scale override both, which is what they are for: their values are no second copies.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.control.compose import compose, typed
from pipeline.core.config import build
from pipeline.stages import STAGE_TYPES, load_symbol

WITHOUT_SIZES = "scale=granite_4_1_8b"
"""The scale that sets no key of any stage: what it composes is conf/stage with what its files choose from."""
CHOICES: tuple[tuple[str, ...], ...] = (
    (),
    ("language_model=endpoint", "stages.synthesize.config.language_model.model=any"),
    ("judge=endpoint", "stages.sft_data.config.judge.endpoint.model=any"),
    ("executor=slurm", "executor.partition=any"),
    ("executor=ray",),
    ("+stage=disclose",),
    ("+stage=import_model", "+stages.import_model.config.path=any"),
    (
        "+stage=import_tokens",
        "stages.import_tokens.config.tokenizer=any",
        "stages.import_tokens.config.domains={any: any}",
    ),
)
OF_EXECUTORS = {
    "executor.partition", "executor.time", "executor.qos", "executor.cpus_per_task", "executor.memory_gb_per_cpu",
    "executor.tasks_per_job", "executor.sbatch",
}  # fmt: skip
LEFT_OUT = {
    "curate": OF_EXECUTORS,
    "sft_data": OF_EXECUTORS,
    "pretrain": {
        "fill_in_the_middle", "merge", "gradient_checkpointing", "sequence_parallel", "mlp_tiles",
        "learning_rate.start", "learning_rate.end_ratio", "learning_rate.warmup_tokens",
        "learning_rate.scale", "learning_rate.exponent", "learning_rate.maximum",
    },
    "evaluate": {"long_context", "accuracy", "gates"},
    "rl": {"reward"},
}  # fmt: skip
"""By kind, keys that some of its files leave out. The default is no number of a recipe: it says that there is none."""


@dataclasses.dataclass
class Key:
    """What is known of a key of all stages of a kind."""

    default: Any = None
    """In the dataclass; MISSING for a field that is required."""
    given: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Its values in conf, by stage."""
    left_out: set[str] = dataclasses.field(default_factory=set)
    """Stages whose files do not name it, or one of the files to choose from does not."""


def default_of(field: "dataclasses.Field[Any]") -> Any:
    """MISSING for a field that is required."""
    made = field.default_factory is not dataclasses.MISSING
    return field.default_factory() if made else field.default  # type: ignore[misc]


def fields_of(settings: Any, given: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Path, default in the dataclass and value in conf of each field, of nested dataclasses too; MISSING for none."""
    for field in dataclasses.fields(settings):
        value = given.get(field.name, dataclasses.MISSING)
        yield f"{path}{field.name}", default_of(field), value
        nested = getattr(settings, field.name)
        if dataclasses.is_dataclass(nested) and value is not dataclasses.MISSING:
            yield from fields_of(nested, value, f"{path}{field.name}.")


@pytest.fixture(scope="module")
def keys() -> dict[str, dict[str, Key]]:
    """All keys of all stages, by kind."""
    found: dict[str, dict[str, Key]] = {kind: defaultdict(Key) for kind in STAGE_TYPES}
    for choices in CHOICES:
        for name, stage in typed(compose([WITHOUT_SIZES, *choices])).stages.items():
            assert stage is not None
            built = build(load_symbol(STAGE_TYPES[stage.kind].config), stage.config, name)
            for path, default, value in fields_of(built, stage.config):
                key = found[stage.kind][path]
                key.default = default
                if value is dataclasses.MISSING:
                    key.left_out.add(name)
                else:
                    key.given[name] = value
    return found


def test_every_kind_has_a_stage(keys: dict[str, dict[str, Key]]) -> None:
    assert [kind for kind in STAGE_TYPES if not keys[kind]] == []


def test_no_default_stands_twice(keys: dict[str, dict[str, Key]]) -> None:
    allowed = {kind: LEFT_OUT.get(kind, set()) for kind in keys}
    twice = [
        f"{path} is {key.default!r} in {STAGE_TYPES[kind].config}, and in conf of {', '.join(key.given)}"
        for kind, of_kind in keys.items()
        for path, key in of_kind.items()
        if key.default is not dataclasses.MISSING and key.given and path not in allowed[kind]
    ]
    assert not twice, "take the default out of the dataclass, or the key out of conf:\n" + "\n".join(twice)


def test_what_a_stage_may_leave_out_is_no_number_of_a_recipe(keys: dict[str, dict[str, Key]]) -> None:
    for kind, paths in LEFT_OUT.items():
        for path in paths:
            key = keys[kind][path]
            assert key.given, f"{kind}: no file of conf names {path}, take it out of LEFT_OUT"
            assert key.left_out, f"{kind}: every file of conf names {path}, take its default out of the dataclass"
            assert not key.default or key.default == 1, f"{kind}: the default of {path} is a value, set it in conf"

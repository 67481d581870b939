"""Configuration: what is refused, and how it is said."""

import dataclasses
import math
from typing import Annotated

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.config import Share, build, canonical_json, fingerprint
from pipeline.core.errors import ConfigError
from pipeline.pretraining.config import PhaseConfig
from tests.settings import stage_settings

PHASE = stage_settings("phase1", mixture={"code": 1.0}, learning_rate={"law": "linear", "start": 1e-3})


def test_a_mapping_becomes_nested_dataclasses() -> None:
    phase = build(PhaseConfig, PHASE, "stages.phase1.config")
    assert phase.shape.hidden_size == 128
    assert phase.learning_rate.start == 1e-3
    assert dataclasses.is_dataclass(phase.optimizer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixtures": {}}, r"^s\.mixtures: unknown key, did you mean mixture\?$"),
        (
            {"learning_rate": {"law": "linear", "end_ration": 0.1}},
            r"^s\.learning_rate\.end_ration: unknown key, did you mean end_ratio\?$",
        ),
        (
            {"learning_rate": {"law": "linaer"}},
            r"^s\.learning_rate\.law='linaer': input should be 'power', 'exponential'",
        ),
        ({"tokens": "many"}, r"^s\.tokens='many': input should be a valid integer"),
        ({"tokens": 0}, r"^s\.tokens=0: set it above 0$"),
        (
            {"learning_rate": {"law": "linear", "start": math.inf}},
            r"^s\.learning_rate\.start=inf: input should be a finite number$",
        ),
        (
            {"model": {**PHASE["model"], "hidden_size": 33}},
            r"^s\.model: hidden_size 33 is no multiple of attention_heads 4$",
        ),
        ({"mixture": {"code": -1}}, r"^s\.mixture\.code=-1: set 0\.0 or more$"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        build(PhaseConfig, {**PHASE, **change}, "s")
    assert "\n" not in str(caught.value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limited:
    """One field of each kind of limit."""

    count: pydantic.PositiveInt = 1
    left: Annotated[int, pydantic.Field(ge=2)] | None = None
    share: Share = 0.5
    names: Annotated[tuple[str, ...], pydantic.Field(min_length=1)] = ("a",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "s.count=0: set it above 0"),
        ({"left": 1}, "s.left=1: set 2 or more"),
        ({"share": 1.5}, "s.share=1.5: set at most 1.0"),
        ({"share": -0.1}, "s.share=-0.1: set 0.0 or more"),
        ({"names": ()}, "s.names is empty, set it"),
    ],
)
def test_a_value_beyond_its_limit_is_answered_with_the_limit(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Limited, change, "s")
    assert str(caught.value) == message


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^s\.mixture: missing, set a value$"):
        build(PhaseConfig, {key: value for key, value in PHASE.items() if key != "mixture"}, "s")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(mapping=st.dictionaries(st.text(), JSON))
def test_fingerprint_ignores_the_order_of_keys(mapping: dict[str, object]) -> None:
    turned = dict(reversed(list(mapping.items())))
    assert fingerprint(turned) == fingerprint(mapping)
    assert canonical_json(turned) == canonical_json(mapping)


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1, 2}, lambda: None])
def test_fingerprint_refuses_what_has_no_stable_form(value: object) -> None:
    with pytest.raises(ConfigError, match="no canonical JSON form"):
        fingerprint({"x": value})

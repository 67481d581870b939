"""What counts as a difference between a release and what another program makes of it."""

from typing import Any

import pytest

from tests.ecosystem.run import HERE, PROGRAMS, faults

TRANSFORMERS, LLAMA_CPP = PROGRAMS[0], next(each for each in PROGRAMS if "llama" in each.name)
REFERENCE: dict[str, Any] = {
    "loss": 2.0,
    "texts": [{"chat": True}, {"chat": False}],
    "completions": [{"prompt": [1], "completion": [2], "text": "b"}, {"prompt": [3], "completion": [4], "text": "d"}],
}
SAME: dict[str, Any] = {"loss": 2.0, "completions": [[2], [4]], "prompts": [[1]], "answers": ["b"]}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"loss": 2.00001}, "loss differs"),
        ({"completions": [[2], [5]]}, "greedy tokens differ"),
        ({"prompts": [[2]]}, "the chat template gives other tokens"),
        ({"answers": ["c"]}, "answers to messages differ"),
        ({"exact_match": 0.5}, "50% of the answers agree"),
    ],
)
def test_each_difference_is_named(change: dict[str, Any], fault: str) -> None:
    assert faults(TRANSFORMERS, SAME, REFERENCE) == []
    assert faults(TRANSFORMERS, {**SAME, **change}, REFERENCE) == [fault]


def test_other_programs_round_otherwise() -> None:
    assert faults(LLAMA_CPP, {**SAME, "loss": 2.0005}, REFERENCE) == []
    assert faults(LLAMA_CPP, {**SAME, "loss": 2.01}, REFERENCE) == ["loss differs"]


def test_every_program_has_its_check() -> None:
    assert all((HERE / each.check).is_file() for each in PROGRAMS)

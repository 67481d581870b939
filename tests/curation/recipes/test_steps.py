"""Steps are found by their names, and each has code that carries it out."""

import dataclasses
from typing import ClassVar, Literal

import pytest

from pipeline.curation.filters import filter_of, load_implementation
from pipeline.curation.recipes.steps import STEPS, Step
from pipeline.curation.recipes.steps.base import SCOPES, PerLanguage
from pipeline.curation.recipes.steps.duplicates import MinHash
from pipeline.curation.recipes.steps.pages import Extractor


def test_every_step_carries_the_name_it_is_found_by() -> None:
    for name, step in STEPS.items():
        field = next(each for each in dataclasses.fields(step) if each.name == "step")
        assert field.type == Literal[name]
    assert not {PerLanguage, Extractor} & set(STEPS.values())


def test_every_step_has_a_scope() -> None:
    assert {step.scope for step in STEPS.values()} == set(SCOPES)


@pytest.mark.parametrize("name", [name for name, step in STEPS.items() if step.scope != "domain"])
def test_every_step_on_pages_and_documents_has_an_implementation(name: str) -> None:
    assert callable(load_implementation(STEPS[name]))


def test_steps_on_domains_are_carried_out_by_tasks() -> None:
    assert not any(step.implementation for step in STEPS.values() if step.scope == "domain")
    with pytest.raises(LookupError, match=r"MinHash\.implementation='': no such function"):
        filter_of(MinHash(step="minhash"))


@pytest.mark.parametrize("reference", ["nowhere:c4_filter", "c4:nothing", "c4", "c4:", ":c4_filter"])
def test_an_unknown_implementation_is_named(reference: str) -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Broken(Step):
        implementation: ClassVar[str] = reference

    with pytest.raises(LookupError, match=f"Broken.implementation='{reference}': no such function, set it to `module"):
        filter_of(Broken(step="broken"))


def test_a_name_belongs_to_one_step() -> None:
    with pytest.raises(TypeError, match="Other: step c4 exists already, as C4"):

        class Other(Step):
            step: Literal["c4"]

    assert STEPS["c4"].__name__ == "C4"

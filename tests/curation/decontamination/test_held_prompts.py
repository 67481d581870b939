"""Prompts that training texts hold: whole ones wherever they stand, and long ones of which half is there."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.curation.decontamination.held_prompts import Held, HeldPrompts

ITEM = [f"word{number}" for number in range(40)]


def found(text: str, *prompts: str) -> dict[str, tuple[float, bool]]:
    """Coverage of the prompts that a text holds, and whether they are there whole."""
    return {prompts[each.prompt]: (each.coverage, each.exact) for each in HeldPrompts(prompts).find(text)}


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("Work out 0 + 4.", True),
        ("user: WORK OUT 0+4!\n\nassistant: 4", True),
        ("Please work\nout 0 + 4, and then 0 + 5.", True),
        ("Work out 0 - 4.", False),
        ("Work out 0 × 4.", False),
        ("Work out 0 + 44.", False),
        ("Work out 10 + 4.", False),
        ("Work it out: 0 + 4.", False),
        ("", False),
    ],
)
def test_a_short_prompt_is_held_whole_with_its_signs(text: str, held: bool) -> None:
    assert found(text, "Work out 0 + 4.") == ({"Work out 0 + 4.": (1.0, True)} if held else {})


def test_signs_have_many_forms() -> None:
    assert found("It is 3 × 4 ÷ 2 − 1.", "3 * 4 / 2 - 1")
    assert found("a well-known town", "well known town")
    assert not found("from 3 > 2", "from 3 < 2")


def test_golden_values() -> None:
    (held,) = HeldPrompts(["no", "Name a river."]).find("Do you know? Name a river. The Rhine.")
    assert held == Held(prompt=1, coverage=1.0, exact=True, excerpt="Name a river. The Rhine.")


@pytest.mark.parametrize(
    ("kept", "coverage"),
    [((0, 40), 1.0), ((5, 35), 0.75), ((0, 20), 0.5), ((0, 19), None), ((27, 40), None)],
)
def test_half_of_a_long_prompt_is_enough(kept: tuple[int, int], coverage: float | None) -> None:
    prompt = " ".join(ITEM)
    held = found(f"well {' '.join(ITEM[slice(*kept)])} then", prompt)
    assert held == ({prompt: (coverage, coverage == 1.0)} if coverage else {})


def test_runs_of_thirteen_words_add_up_and_shorter_ones_do_not_count() -> None:
    prompt = " ".join(ITEM)
    assert found(" x ".join([" ".join(ITEM[:13]), " ".join(ITEM[20:33])]), prompt) == {prompt: (0.65, False)}
    assert not found(" x ".join(" ".join(ITEM[start : start + 12]) for start in range(0, 40, 12)), prompt)


def test_a_long_prompt_in_pieces_or_with_other_signs_is_not_whole() -> None:
    prompt = " ".join(ITEM)
    assert found(" x ".join([" ".join(ITEM[:20]), " ".join(ITEM[20:])]), prompt) == {prompt: (1.0, False)}
    sums = " + ".join(str(number) for number in range(20))
    assert found(sums.replace("3 + 4", "3 - 4"), sums) == {sums: (1.0, False)}


def test_each_prompt_is_found_once_and_one_without_words_never() -> None:
    assert [each.prompt for each in HeldPrompts(["?", "a b", "b"]).find("a b a b ? b")] == [2, 1]
    assert list(HeldPrompts([]).find("a b")) == []


def test_a_prompt_that_repeats_itself() -> None:
    prompt = "again " * 30
    assert found("again " * 29, prompt) == {prompt: (1.0, False)}
    assert found("again " * 31, prompt) == {prompt: (1.0, True)}


TEXTS = st.text(max_size=60)
PROMPTS = st.lists(st.from_regex(r"[a-z]{1,8}|[0-9]{1,3}|\+", fullmatch=True), min_size=1, max_size=40)


@settings(max_examples=40)
@given(PROMPTS, TEXTS, TEXTS)
def test_a_prompt_inside_a_text_is_always_found(words: list[str], before: str, after: str) -> None:
    prompt = " ".join(words)
    held = found(f"{before}\n{prompt}\n{after}", prompt)
    assert held == ({prompt: (1.0, True)} if any(each != "+" for each in words) else {})


def test_a_random_prompt_of_twenty_words_is_not_found() -> None:
    draw = random.Random(0)
    vocabulary = [f"w{number}" for number in range(500)]
    prompts = [" ".join(draw.choices(vocabulary, k=20)) for _ in range(50)]
    index = HeldPrompts(prompts)
    assert not [held for _ in range(10) for held in index.find(" ".join(draw.choices(vocabulary, k=400)))]
    planted = " ".join([*draw.choices(vocabulary, k=500), prompts[7], *draw.choices(vocabulary, k=500)])
    assert [held.prompt for held in index.find(planted)] == [7]

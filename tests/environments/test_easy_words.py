"""Words that problems of difficulty 1 are about."""

import random
import sqlite3

import pytest

from pipeline.environments import distinct_problems, verify
from pipeline.environments.easy_words import (
    INVENTED_SHARE,
    NAMES,
    NEW_NAMES,
    NEW_NOUNS,
    NEW_QUALITIES,
    NOUNS,
    QUALITIES,
    known_or_invented,
    plurals,
)
from pipeline.environments.registry import Asked
from tests.settings import EASY

DRAWS = 4_000


def drawn(known: tuple[str, ...], new: bool = False, plural: bool = False) -> list[str]:
    draw = random.Random(0)
    return [known_or_invented(draw, known, new, plural) for _ in range(DRAWS)]


def test_no_word_of_new_instances_is_one_of_training() -> None:
    for trained, new in ((NOUNS, NEW_NOUNS), (QUALITIES, NEW_QUALITIES), (NAMES, NEW_NAMES)):
        assert set(trained).isdisjoint(new)
    trained, new = (set(drawn(("cat",), new=each)) - {"cat"} for each in (False, True))
    assert trained.isdisjoint(new)
    assert len(trained) > 3 * len(new) > 250
    # Their letters are all trained on, in every place.
    for place in range(3):
        assert {each[place] for each in new} == {each[place] for each in trained}


def test_half_of_the_words_are_invented_in_the_form_of_those_they_stand_for() -> None:
    assert sum(each == "cat" for each in drawn(("cat",))) / DRAWS == pytest.approx(INVENTED_SHARE, abs=0.03)
    assert all(each.istitle() for each in drawn(("Tom",)))
    assert all(each.endswith("s") for each in drawn(("cats",), plural=True))
    assert plurals(("box", "cat", "fish", "brush")) == ("boxes", "cats", "brushes")


def test_an_invented_word_is_a_name_in_sql() -> None:
    connection = sqlite3.connect(":memory:")
    for word in {*drawn(("cats",), plural=True), *drawn(("ants",), new=True, plural=True)}:
        connection.execute(f"CREATE TABLE {word} (name, {word})")


@pytest.mark.parametrize(
    "name", ["in_context_learning", "text_to_sql", "general_chat", "instruction_following", "structured_output"]
)
@pytest.mark.parametrize("split", ["train", "instances"])
def test_no_invented_word_makes_a_right_reply_wrong(name: str, split: Asked) -> None:
    """Such as "not", which denies what a reply says."""
    wrong = [
        each.prompt
        for each in distinct_problems(name, 1_500, 0, split, EASY)
        if verify(each, each.solution).score != 1.0
    ]
    assert not wrong

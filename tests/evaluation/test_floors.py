"""What can be earned without reading the prompt."""

import random
from statistics import fmean

import pytest

from pipeline.environments import distinct_problems, verify
from pipeline.evaluation.floors import floor_of
from tests.settings import EASY

COUNT = 40


@pytest.mark.parametrize(
    ("environment", "constant"),
    [("math", "16"), ("calibration", "I do not know."), ("science", None), ("identity", "Hello! How can I help?")],
)
def test_the_floor_is_what_its_reply_earns_and_no_answer_of_the_domain_earns_more(
    environment: str, constant: str | None
) -> None:
    asked = distinct_problems(environment, COUNT, 0, "held_out", EASY)
    floor = floor_of(asked, EASY, 0)
    assert floor.constant == pytest.approx(fmean(verify(each, floor.reply).score for each in asked))
    trained = distinct_problems(environment, 30, 1, "train", EASY)
    for reply in {text for each in trained for text in (each.answer, each.solution)}:
        assert fmean(verify(each, reply).score for each in asked) <= floor.constant
    if constant is not None:
        assert floor.constant == pytest.approx(fmean(verify(each, constant).score for each in asked))
    assert floor_of(asked, EASY, 0) == floor


def test_chance_is_below_the_best_constant_and_near_what_shuffled_answers_earn() -> None:
    asked = distinct_problems("science", COUNT, 0, "held_out", EASY)
    floor = floor_of(asked, EASY, 0)
    draw = random.Random(5)
    shuffled = fmean(verify(each, draw.choice(asked).solution).score for each in asked for _ in range(50))
    assert floor.chance == pytest.approx(shuffled, abs=0.12)
    assert floor.chance <= floor.constant
    assert floor_of(asked[:1], EASY, 0).chance == 0.0, "there is no other prompt"


def test_other_prompts_have_another_key() -> None:
    asked = distinct_problems("math", COUNT, 0, "held_out", EASY)
    assert floor_of(asked, EASY, 0).prompts != floor_of(asked[1:], EASY, 0).prompts

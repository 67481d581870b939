"""Calibration of verifiers: the numbers are right, the floor is held, and what decides is what was calibrated."""

import random
from pathlib import Path

import pytest

from pipeline.environments import ENVIRONMENT_NAMES, problems, verify
from pipeline.posttraining.calibration.answers import right_answers, wrong_answers
from pipeline.posttraining.calibration.verifiers import MINIMUM_AUC, auc, calibrate_verifiers, source_hash
from tests.settings import EASY

LENIENT = """
from pipeline.environments.problem import RIGHT, Environment, Problem

def generate(draw, config):
    number = draw.randint(1, 500)
    return Problem("lenient", f"Say {number}.", str(number), str(number), {})

LENIENT = Environment("lenient", generate, lambda problem, completion: RIGHT)
STRICT = Environment("strict", generate, lambda problem, completion: RIGHT if completion.strip() == problem.answer
                     else RIGHT.__class__(0.0, "wrong"))
"""


def test_auc_is_the_share_of_pairs_in_order() -> None:
    draw = random.Random(0)
    right = [draw.choice((0.0, 0.25, 0.5, 1.0)) for _ in range(40)]
    wrong = [draw.choice((0.0, 0.25, 0.5)) for _ in range(30)]
    pairs = [(each > other) + (each == other) / 2 for each in right for other in wrong]
    assert auc(right, wrong) == pytest.approx(sum(pairs) / len(pairs))
    assert (auc([1.0], [0.0]), auc([0.0], [1.0]), auc([0.5], [0.5])) == (1.0, 0.0, 0.5)


@pytest.mark.parametrize("name", ENVIRONMENT_NAMES)
def test_right_answers_are_right_and_wrong_ones_are_those_of_other_problems(name: str) -> None:
    drawn = problems(name, 6, 0, "train", EASY)
    for number, problem in enumerate(drawn):
        right = list(right_answers(problem))
        assert right[0].text == problem.solution
        assert verify(problem, right[0].text).score == 1.0
        wrong = list(wrong_answers(problem, drawn[number + 1 :]))
        assert {"", problem.prompt} <= {each.text for each in wrong}
        assert not {each.text for each in right} & {each.text for each in wrong}


def test_a_verifier_that_accepts_everything_may_not_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_verifiers.py").write_text(LENIENT)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ["own_verifiers:LENIENT", "own_verifiers:STRICT"]
    report = calibrate_verifiers([*names, "structured_output"])
    assert report["below_floor"] == names[:1]
    found = report["verifiers"]
    assert (found[names[0]]["auc"], found[names[1]]["auc"]) == (0.5, 1.0)
    assert found[names[0]]["wrong_accepted"] == found[names[0]]["wrong"]
    assert found["structured_output"]["auc"] >= MINIMUM_AUC
    assert found["structured_output"]["right_forms"]["fenced"] == 1.0
    # What a verifier is made of is what its report is bound to.
    assert found["structured_output"]["binding"] == source_hash("math") != source_hash(names[0])

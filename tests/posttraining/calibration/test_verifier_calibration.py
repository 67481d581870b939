"""Calibration of verifiers: the numbers are right, the floor is held, and what decides is what was calibrated."""

import dataclasses
import random
from pathlib import Path

import pytest

from pipeline.core.context import StageContext
from pipeline.core.errors import DataError
from pipeline.core.files import write_json
from pipeline.environments import ENVIRONMENT_NAMES, problems, verify
from pipeline.posttraining.calibration.answers import right_answers, wrong_answers
from pipeline.posttraining.calibration.verifiers import auc, calibrate_verifiers
from pipeline.posttraining.common.verifier_gate import MINIMUM_AUC, closed_gates, source_hash
from pipeline.posttraining.data import conversations as raw
from pipeline.posttraining.data import sft_data
from pipeline.posttraining.data.rules import apply_rules
from tests.posttraining.tiny import data_config
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


def test_a_verifier_below_the_floor_or_changed_since_removes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def verdicts(**changes: float | str) -> str:
        found = {
            name: {"binding": source_hash(name), "auc": 1.0, **(changes if name == "math" else {})}
            for name in ("math", "general_chat")
        }
        path = tmp_path / "verifiers.json"
        write_json(path, {"verifiers": found})
        return str(path)

    wrong = raw.wrong_answer
    config = data_config(conversations=60, faulty_share=0.0, multi_turn_share=0.0)
    held_out = problems("temporal_reasoning", 8, 0, "held_out", EASY)
    draw = random.Random(0)
    faulty = [wrong(each, draw, held_out) for each in raw.raw_conversations(config, 0, draw)]
    removed = {}
    for name, changes in {"good": {}, "low": {"auc": 0.98}, "other": {"binding": "x"}}.items():
        gated = dataclasses.replace(config, verifier_calibration=verdicts(**changes))
        rows = apply_rules(faulty, gated)[1]
        removed[name] = sum(row["step"] == "verification" for row in rows)
        closed = closed_gates(gated.verifier_calibration, ["math", "general_chat", "identity"])
        assert ("math" in closed, "general_chat" in closed) == (name != "good", False)
        assert closed["identity"] == "not calibrated"
        content = gated.data_fingerprint()
        assert ("math" in content["verifiers_that_do_not_gate"]) == (name != "good")
    assert sum(row["step"] == "verification" for row in apply_rules(faulty, config)[1]) >= removed["good"]
    assert removed["good"] > removed["low"] == removed["other"] > 0
    sft_data.run(StageContext.for_test("sft_data", gated, {}, tmp_path / "stage"))
    said = capsys.readouterr().out
    assert "verifiers that remove nothing: identity (not calibrated), math (changed since it was calibrated)" in said
    for content in ("{}", "[]", '{"verifiers": {"math": {}}}'):
        (tmp_path / "verifiers.json").write_text(content)
        with pytest.raises(DataError, match=r"no report of verifiers, set verifier_calibration"):
            closed_gates(str(tmp_path / "verifiers.json"), ["math"])
    with pytest.raises(DataError, match="no file"):
        closed_gates(str(tmp_path / "none.json"), ["math"])

"""`fivephase calibrate`: reports and tables of verifiers and judges, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR
from pipeline.core.files import read_json
from pipeline.environments.registry import ENVIRONMENTS
from pipeline.posttraining.calibration import defects
from pipeline.posttraining.common.verifier_gate import closed_gates
from tests.posttraining.data.judge.scripted import scripted_judge, verdict
from tests.synthesis.language_model.server import MODEL, ChatServer


def calibrate(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def judge_overrides(server: ChatServer) -> list[str]:
    endpoint = "stages.sft_data.config.judge.endpoint"
    return ["judge=endpoint", f"{endpoint}.url={server.url}", f"{endpoint}.model={MODEL}", f"{endpoint}.concurrency=8"]


def test_verifiers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert calibrate("verifiers", "--report=reports/of verifiers.json") == EXIT_DONE
    report = read_json(tmp_path / "reports" / "of verifiers.json")
    shown = capsys.readouterr().out
    for name, each in report["verifiers"].items():
        assert f"{each['auc']:.4f}" in next(line for line in shown.splitlines() if line.startswith(name))
    # The built-in ones may all gate.
    assert set(report["verifiers"]) == set(ENVIRONMENTS)
    assert report["below_floor"] == []
    assert closed_gates("reports/of verifiers.json", report["verifiers"]) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["reports"]


def test_a_judge_with_conversations_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(defects, "MOST_CASES", 1)
    monkeypatch.setattr("pipeline.posttraining.calibration.judge.good_conversations", list)
    row = {"prompt": "What is 7 * 8?", "completion": "7 * 8 = 56, that is 56."}
    Path("good ones.jsonl").write_text(json.dumps(row) + "\n")

    def script(shown: str) -> dict[str, Any]:
        return verdict(5) if "= 56" in shown else verdict(5, "incorrect_computation")

    with scripted_judge(script) as server:
        assert calibrate("judge", *judge_overrides(server), "--conversations", "good ones.jsonl") == EXIT_DONE
    report = read_json(Path("calibration_judge.json"))
    assert report["good"] == {"judged": 1, "rejected": 0}
    assert report["counts"]["wrong_arithmetic"] == {"planted": 1, "rejected": 1, "named": 1, "good_rejected": 0}
    assert report["counts"]["wrong_language"]["planted"] == 0
    shown = capsys.readouterr().out
    assert f"{MODEL}: rejects 0 of 1 good conversations" in shown
    # A single case says nothing.
    assert "so it may not remove anything: wrong_arithmetic (recall 1.00, precision 1.00, 1 cases)" in shown


def test_what_cannot_be_calibrated_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").mkdir()
    asked = ["judge", "judge=endpoint", "stages.sft_data.config.judge.endpoint.model=x"]
    asked.append("stages.sft_data.config.judge.endpoint.url=http://localhost:1/v1")
    for arguments, said in (
        (["judge"], "judge is null, add judge=endpoint"),
        (["judge", "judge=endpoint"], "stages.sft_data.config.judge.endpoint.model"),
        (["verifiers", "--conversations=x.jsonl"], "--conversations is for the judge"),
        (["verifiers", f"--report={tmp_path}"], "a folder, name a file"),
        (["verifiers", "chain=[curate]"], "this run has no stage sft_data"),
        (
            ["verifiers", "stages.rl_math.config.domain_weights.astrology=1"],
            "domain_weights: no environment 'astrology'",
        ),
        ([*asked, "--conversations=nofile.jsonl"], f"nofile.jsonl: no such file in {tmp_path}, name one that is there"),
        ([*asked, "--conversations=rows.jsonl"], "rows.jsonl: a folder, name one of its files"),
        (["judges"], "invalid choice"),
    ):
        assert calibrate(*arguments) == EXIT_USER_ERROR
        assert said in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["rows.jsonl"]

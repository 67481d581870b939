"""Calibration of a judge finds what the judge was scripted to find, and decides whether it may remove anything."""

import dataclasses
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.context import StageContext
from pipeline.core.errors import DataError
from pipeline.core.files import read_json, write_json
from pipeline.inference.conversation_ids import to_messages
from pipeline.posttraining.calibration.defects import DEFECTS, Case, plant_all
from pipeline.posttraining.calibration.good_conversations import GoodConversation, good_conversations
from pipeline.posttraining.calibration.judge import calibrate_judge
from pipeline.posttraining.calibration.judge import report as report_of
from pipeline.posttraining.data import sft_data
from pipeline.posttraining.data.jsonl import read_jsonl
from pipeline.posttraining.data.judge.config import JudgeConfig
from pipeline.posttraining.data.judge.gate import MINIMUM_CASES, binding, find_gate
from pipeline.posttraining.data.judge.question import ask
from pipeline.posttraining.data.judge.rubric import load_rubric
from pipeline.posttraining.data.judge.verdict import Decision
from pipeline.posttraining.data.record import Conversation
from tests import ROOT
from tests.curation.recipe_files import hashes
from tests.posttraining.data.judge.scripted import Script, identity, judge_config, scripted_judge, verdict
from tests.posttraining.tiny import data_config
from tests.settings import judge_settings
from tests.synthesis.language_model.server import MODEL, ChatServer

SHARES = {
    "wrong_arithmetic": 1.0, "ungrounded_claim": 0.5, "false_premise_accepted": 0.0, "contradicts_tool": 1.0,
    "broken_tool_call": 0.75, "wrong_language": 1.0, "needless_refusal": 0.25, "broken_off": 1.0,
}  # fmt: skip
"""Of each defect, the share that the scripted judge rejects."""


def known(cases: list[Case]) -> dict[str, Case]:
    """The cases by the id under which a judge is shown them."""
    rubric = load_rubric("data_recipes/judge/rubric.yaml")
    return {ask(case.conversation, rubric).identity: case for case in cases}


def partly(shares: dict[str, float], good_rejected: int) -> tuple[Script, Counter[str], Counter[str]]:
    """A script that rejects the shares of the defects and so many good conversations, and what it met and rejected."""
    good = good_conversations()
    cases = plant_all(good)
    defective, met, rejected = known(cases), Counter[str](), Counter[str]()
    rubric = load_rubric("data_recipes/judge/rubric.yaml")
    disliked = {ask(each.conversation, rubric).identity for each in good[:good_rejected]}

    def script(shown: str) -> dict[str, Any]:
        case = defective.get(identity(shown))
        if case is None:
            return verdict(1 if identity(shown) in disliked else 5)
        met[case.defect] += 1
        if met[case.defect] * shares[case.defect] < rejected[case.defect] + 1:
            return verdict(5)
        rejected[case.defect] += 1
        flag = DEFECTS[case.defect].flag
        return verdict(5, flag) if flag else verdict(2)

    return script, met, rejected


def test_it_finds_exactly_what_the_judge_was_scripted_to_find(tmp_path: Path) -> None:
    script, met, rejected = partly(SHARES, good_rejected=4)
    with scripted_judge(script) as server:
        config = judge_config(server, tmp_path, endpoint={"concurrency": 1})
        report = calibrate_judge(config)
    cases = Counter(case.defect for case in plant_all(good_conversations()))
    distinct = Counter(case.defect for case in known(plant_all(good_conversations())).values())
    assert report["good"]["rejected"] >= 4
    for name, counts in report["counts"].items():
        assert counts["planted"] == cases[name] >= MINIMUM_CASES
        # Equal conversations are one request, and have one verdict.
        assert met[name] == distinct[name]
        assert counts["named"] == counts["rejected"] >= rejected[name]
        assert abs(report["recall"][name] - SHARES[name]) <= 2 / met[name]
        found, good = counts["rejected"], counts["good_rejected"]
        assert report["precision"][name] == round(found / (found + good) if found else 0.0, 4)
    assert report["counts"]["wrong_arithmetic"]["good_rejected"] == 4
    below = {each.partition(" ")[0] for each in report["below_floor"]}
    assert below == {
        "ungrounded_claim", "false_premise_accepted", "broken_tool_call", "needless_refusal", "wrong_arithmetic",
    } | ({"broken_off"} & below)  # fmt: skip
    assert not report["may_gate"]


def test_defects_are_what_they_say() -> None:
    good = good_conversations()
    for case in plant_all(good):
        origin, conversation = good[case.good].conversation, case.conversation
        assert conversation != origin
        assert conversation.messages[0] == origin.messages[0]
        changed = [
            (before, after)
            for before, after in zip(origin.messages, conversation.messages, strict=True)
            if before != after
        ]
        assert [after["role"] for _, after in changed] == ["assistant"]
        before, after = changed[0]
        if case.defect == "wrong_arithmetic":
            left, _, right = after["content"].partition(",")[0].partition(" = ")
            first, second = map(int, left.split(" * "))
            assert first * second != int(right)
        if case.defect == "broken_tool_call":
            call = after["tool_calls"][0]["function"]
            offered = {each["function"]["name"]: each["function"]["parameters"] for each in json.loads(origin.tools)}
            assert call["name"] not in offered or not set(json.loads(call["arguments"])) <= set(
                offered[call["name"]]["properties"]
            )
        if case.defect == "ungrounded_claim":
            assert after["content"].startswith(before["content"])


def test_a_defect_goes_into_conversations_of_a_file_where_it_can() -> None:
    ones = [
        (to_messages("What is 7 * 8?", "7 * 8 = 56, that is 56."), "wrong_arithmetic"),
        (to_messages("Hi", "Hello."), "needless_refusal"),
    ]
    for messages, defect in ones:
        cases = {case.defect: case for case in plant_all([GoodConversation(Conversation(messages, "file"))])}
        assert defect in cases
        assert "false_premise_accepted" not in cases
    content = plant_all([GoodConversation(Conversation(ones[0][0], "file"))])[0].conversation.messages[-1]["content"]
    assert "56" not in content
    assert content.startswith("7 * 8 = ")


@pytest.fixture
def reports(tmp_path: Path) -> tuple[JudgeConfig, Path]:
    """Settings with the report of a judge that finds everything."""
    config = judge_config(ChatServer(str), tmp_path)
    good = good_conversations()
    cases = plant_all(good)
    accepted, rejected = Decision("", "accept", removed=False), Decision("", "reject", removed=True)
    path = tmp_path / "calibration.json"
    write_json(path, report_of(config, cases, [accepted] * len(good), [rejected] * len(cases)))
    return dataclasses.replace(config, calibration=str(path)), path


def test_only_a_calibration_that_fits_and_passes_opens_the_gate(reports: tuple[JudgeConfig, Path]) -> None:
    config, path = reports
    report = read_json(path)
    assert report["may_gate"]
    assert find_gate(config).open
    assert "is null" in find_gate(dataclasses.replace(config, calibration=None)).why
    for changes in (
        {"accept": 4.5},
        {"temperature": 0.5},
        {"hard_rejects": ("hallucination",)},
        {"endpoint": dataclasses.replace(config.endpoint, model="other")},
    ):
        other = dataclasses.replace(config, **changes)
        assert binding(other) != binding(config)
        assert "is of another model, rubric or thresholds" in find_gate(other).why
    # Where the server is and how much it may cost is nothing that verdicts depend on.
    moved = dataclasses.replace(config, endpoint=dataclasses.replace(config.endpoint, url="http://gpu/v1"))
    assert find_gate(moved).open
    report["counts"]["wrong_language"]["rejected"] = 3
    write_json(path, report)
    assert "wrong_language (recall 0.17, precision 1.00, 18 cases)" in find_gate(config).why
    for content in (
        "{}",
        "[]",
        "5",
        '{"binding": "x", "counts": {"a": 1}}',
        '{"binding": "x", "counts": {"a": {"planted": "9"}}}',
    ):
        path.write_text(content)
        with pytest.raises(DataError, match=r"no report of a judge, set it to a report"):
            find_gate(config)
    path.unlink()
    with pytest.raises(DataError, match=r"no file, set it to a report"):
        find_gate(config)


def test_the_stage_records_every_verdict_and_removes_only_when_calibrated(
    tmp_path: Path, reports: tuple[JudgeConfig, Path], capsys: pytest.CaptureFixture[str], tokenizer: Path
) -> None:
    def script(shown: str) -> dict[str, Any] | str:
        number = len(shown) % 4
        return [verdict(5), verdict(2), verdict(5, "hallucination"), "I like it."][number]

    results = {}
    for name, calibration in (("recorded", None), ("gating", str(reports[1]))):
        with scripted_judge(script) as server:
            endpoint = {"url": server.url, "model": MODEL, "cache": str(tmp_path / name / "replies"), "concurrency": 8}
            judge = judge_settings(calibration=calibration, endpoint=endpoint, unparsed="remove")
            config = data_config(conversations=60, judge=judge)
            folder = tmp_path / name
            result = sft_data.run(StageContext.for_test("sft_data", config, {"tokenizer": tokenizer}, folder))
        # What was judged stays judged: the second attempt needs neither the server nor its replies.
        shutil.rmtree(folder / "replies")
        before = hashes(folder / "partial")
        assert sft_data.run(StageContext.for_test("sft_data", config, {"tokenizer": tokenizer}, folder)) == result
        assert hashes(folder / "partial") == before
        results[name] = (result, config, folder / "partial")
    result, config, folder = results["recorded"]
    judged = read_jsonl(folder / "judged.jsonl")
    kept = read_jsonl(folder / "train.jsonl") + read_jsonl(folder / "validation.jsonl")
    assert {row["id"] for row in judged} == {row["id"] for row in kept}
    assert len(judged) == result.metrics["judge/judged"] >= len(kept)
    assert not any(row["removed"] for row in judged)
    assert {"accept", "reject", "unparsed"} == {row["decision"] for row in judged}
    assert result.metrics["judge/gates"] == 0.0
    assert "removed/judge" not in result.metrics
    assert (
        "judge: its verdicts are recorded and remove nothing: stages.sft_data.config.judge.calibration is null"
        in capsys.readouterr().out
    )

    result, gating, folder = results["gating"]
    rows = [row for row in read_jsonl(folder / "removed.jsonl") if row["step"] == "judge"]
    assert {row["reason"] for row in rows} == {"hallucination", "reject", "unparsed"}
    again = read_jsonl(folder / "judged.jsonl")
    assert [(row["id"], row["score"]) for row in again] == [(row["id"], row["score"]) for row in judged]
    kept = read_jsonl(folder / "train.jsonl") + read_jsonl(folder / "validation.jsonl")
    assert {row["id"] for row in kept} == {row["id"] for row in again if row["decision"] == "accept"}
    assert len(rows) == result.metrics["removed/judge"] == sum(row["removed"] for row in again) > 0
    assert result.metrics["judge/gates"] == 1.0
    steps = read_json(folder / "report.json")["conversations"]["steps"]
    for before, after in itertools.pairwise(steps):
        assert before["kept"] == after["in"] == after["kept"] + after["removed"]
    assert {step["step"]: step["removed"] for step in steps}["judge"] == len(rows)
    # Whether the judge gates is part of what the stage is.
    assert config.data_fingerprint() != gating.data_fingerprint()


def test_without_a_judge_the_rules_alone_decide_and_the_stage_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tokenizer: Path
) -> None:
    result = sft_data.run(
        StageContext.for_test("sft_data", data_config(conversations=60), {"tokenizer": tokenizer}, tmp_path)
    )
    assert not (tmp_path / "partial" / "judged.jsonl").exists()
    steps = [step["step"] for step in read_json(tmp_path / "partial" / "report.json")["conversations"]["steps"]]
    assert steps == ["read", "rules", "exact_dedup", "minhash", "share"]
    assert "judge: none, the rules alone decide" in capsys.readouterr().out
    assert (result.metrics["judge/judged"], result.metrics["judge/gates"]) == (0.0, 0.0)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform != "linux", reason="kills a process")
def test_killed_while_judging_and_run_again_gives_the_same_bytes_and_asks_once(tmp_path: Path, tokenizer: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import sys; from pathlib import Path\n"
        "from pipeline.core.context import StageContext; from pipeline.posttraining.data import sft_data\n"
        "from tests.settings import judge_settings, stage_config\n"
        "url, folder, tokenizer = sys.argv[1:]\n"
        f"endpoint = {{'url': url, 'model': {MODEL!r}, 'cache': folder + '-replies', 'concurrency': 2}}\n"
        "judge, few = judge_settings(endpoint=endpoint), {'conversations': 60, 'preference_pairs': 8}\n"
        "config = stage_config('sft_data', judge=judge, validation_share=0.3, **few)\n"
        "sft_data.run(StageContext.for_test('sft_data', config, {'tokenizer': Path(tokenizer)}, Path(folder)))\n"
    )

    def start(server: ChatServer, name: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        command = [sys.executable, str(program), server.url, str(tmp_path / name), str(tokenizer)]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    with scripted_judge(lambda shown: verdict(1 + len(shown) % 5)) as server:
        assert start(server, "whole").wait() == 0
        asked, server.answered = server.answered, 0
        server.delay_seconds = 0.05
        process = start(server, "killed")
        while server.answered < asked // 2 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert start(server, "killed").wait() == 0
    assert hashes(tmp_path / "killed" / "partial") == hashes(tmp_path / "whole" / "partial")
    # Those under way at the kill are asked again.
    assert asked <= server.answered <= asked + 2

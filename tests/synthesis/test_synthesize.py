"""Samples are what was executed or computed; what failed has a row; what is executed can harm nothing."""

from pathlib import Path

import pytest

from pipeline.core import sandbox
from pipeline.core.context import StageContext
from pipeline.core.files import read_json
from pipeline.curation.audit.funnel import report_lines
from pipeline.curation.text.documents import content_id, read_folder, read_rows
from pipeline.environments import split_of
from pipeline.synthesis import doctests, programs, synthesize
from pipeline.synthesis.config import SynthesizeConfig
from pipeline.synthesis.language_model.prompt_templates import SAMPLE_DOMAINS
from pipeline.synthesis.programs import Program
from tests.curation.recipe_files import hashes
from tests.settings import stage_config

SMALL: SynthesizeConfig = stage_config(
    "synthesize",
    environment_problems=120,
    environment_chains=30,
    chains=3,
    word_problems=3,
    calls=24,
    doctest_files=2,
    workers=2,
)
CPU_SECONDS, MEMORY = 5, 1024**3


def outcome(code: str) -> str:
    """How a program ends in the sandbox."""
    result, failure = sandbox.execute({"programs": [{"code": code}]}, 1, MEMORY)
    return failure or result[0]["failure"] or result[0]["printed"]


def test_the_stage_gives_the_same_bytes_again_and_its_report_adds_up(tmp_path: Path) -> None:
    outputs = []
    for name in ("one", "other"):
        context = StageContext.for_test("synthesize", SMALL, {}, tmp_path / name)
        result = synthesize.run(context)
        outputs.append(context.output)
    assert hashes(outputs[0]) == hashes(outputs[1])
    counts = result.counts
    assert counts is not None
    disclosed = read_json(outputs[0] / "disclosure.json")
    assert {each["domain"]: each["documents"] for each in disclosed} == {
        domain: len(list(read_folder(outputs[0] / "documents" / domain))) for domain in SAMPLE_DOMAINS
    }
    lines = "\n".join(report_lines(outputs[0]))
    assert "long_cot: " in lines
    assert "verified / " in lines
    removed = 0
    for domain in SAMPLE_DOMAINS:
        documents = list(read_folder(outputs[0] / "documents" / domain))
        assert documents
        assert all(document.id == content_id(document.text) for document in documents)
        assert all(document.metadata["verified"] for document in documents)
        removed += sum(1 for _ in read_rows(outputs[0] / "removed" / domain / "00000.jsonl.gz"))
    assert removed == counts["removed"] == counts["in"] - counts["kept"]


def test_no_question_is_held_out(tmp_path: Path) -> None:
    context = StageContext.for_test("synthesize", SMALL, {}, tmp_path)
    synthesize.run(context)
    for domain in ("language_instructions", "long_cot"):
        texts = [document.text for document in read_folder(context.output / "documents" / domain)]
        lines = [line for text in texts for line in text.splitlines() if line.startswith("Question: ")]
        assert len(lines) > 5
        assert {split_of(line.removeprefix("Question: ")) for line in lines} == {"train"}


def test_the_audit_does_not_depend_on_what_a_failed_example_prints() -> None:
    def ids(printed: str, failure: str | None) -> list[str]:
        row = {
            "name": "m", "before": [], "source": "token()\n", "printed": printed, "failure": failure,
            "want": printed, "flags": 0,
        }  # fmt: skip
        found = doctests.samples({"module": "m", "failure": None, "result": {"doctests": [row], "signatures": []}})
        return [str(sample.document().id) for sample in found]

    assert ids("a1\n", "output_differs") == ids("b2\n", "output_differs")
    assert ids("a1\n", None) != ids("b2\n", None)


def test_an_example_is_not_right_because_its_process_says_so() -> None:
    row = {
        "name": "m", "before": [], "source": "double(1)\n", "printed": "3\n", "failure": None,
        "want": "2\n", "flags": 0,
    }  # fmt: skip
    found = doctests.samples({"module": "m", "failure": None, "result": {"doctests": [row], "signatures": []}})
    assert [sample.failure for sample in found] == ["output_differs"]


def test_a_wrong_program_fails_its_check() -> None:
    wrong = Program("Add 1.", "def add(x):\n    return x\n", "add(1)", 2)
    broken = Program("Add 1.", "def add(x):\n    return y\n", "add(1)", 2)
    right = Program("Add 1.", "def add(x):\n    return x + 1\n", "add(1)", 2)
    found = list(programs.samples([wrong, broken, right], CPU_SECONDS, MEMORY))
    assert [sample.failure for sample in found] == ["output_differs", "raised_NameError", None]


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("open('file', 'w')", "PermissionError"),
        ("open('/etc/passwd')", "PermissionError"),
        ("import os; os.listdir('/')", "PermissionError"),
        ("import sqlite3; sqlite3.connect('file')", "PermissionError"),
        ("import os; os._exit(0)", "no_result"),
        ("import json, decimal, fractions; print(json.dumps(1))", "1"),
        ("import os; os.mkdir('folder')", "PermissionError"),
        ("import subprocess; subprocess.run(['true'])", "PermissionError"),
        ("import socket; socket.socket().connect(('127.0.0.1', 1))", "PermissionError"),
        ("x = bytearray(4 * 1024**3)", "MemoryError"),
        ("while True: pass", "exit_-"),
        ("print('x' * 10**6)", "MemoryError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("print(1 + 1)", "2"),
        # As a batch system sends it to all processes of a stage.
        ("import signal; signal.raise_signal(signal.SIGUSR1); print('done')", "done"),
        ("import signal; signal.raise_signal(signal.SIGTERM); print('done')", "done"),
    ],
)
def test_a_program_can_harm_nothing(code: str, end: str) -> None:
    assert outcome(code).startswith(end)

"""`fivephase evaluate` as a process, on a folder of a model that belongs to no run."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR
from tests import ROOT
from tests.posttraining.tiny import write_model
from tests.runs import wait_until

TEXT = "A river runs through the valley, and the valley ends at the sea.\n"
SUITE = """\
headline: bits_per_byte/outside/mine
precision: fp32
attention: sdpa
batch_tokens: 512
loss: null
text: {context: 64, maximum_bytes: 60000, held_out: true, outside: {mine: {path: texts}}}
probes: {families: [repetition], lengths: [128], examples: 2}
"""
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a space in its name: a model, a suite of one's own and texts."""
    folder = tmp_path_factory.mktemp("my models")
    write_model(folder / "it")
    (folder / "conf" / "evaluation").mkdir(parents=True)
    (folder / "conf" / "evaluation" / "mine.yaml").write_text(SUITE)
    (folder / "conf" / "evaluation" / "talk.yaml").write_text("defaults: [smoke_chat, _self_]\ntext: null\n")
    (folder / "texts").mkdir()
    for number in range(12):
        (folder / "texts" / f"{number}.txt").write_text(f"{number} {TEXT}" * 60)
    return folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipeline", "evaluate", *arguments]


def evaluate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_killed_evaluation_goes_on_and_a_finished_one_is_shown(folder: Path) -> None:
    arguments = ("model=it/checkpoint", "suite=mine", "out=found")
    worker = subprocess.Popen(
        command(*arguments), cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE, start_new_session=True
    )
    parts = folder / "found" / "parts"
    wait_until(lambda: any(path.read_text().count("\n[") > 2 for path in parts.glob("text-*.jsonl")), worker)
    os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate()
    assert not (folder / "found" / "evaluation.json").exists()
    again = evaluate(folder, *arguments)
    assert again.returncode == EXIT_DONE, again.stderr
    assert "of them measured before" in again.stderr
    assert "| bits_per_byte/outside/mine" in again.stdout
    written = json.loads((folder / "found" / "evaluation.json").read_text())
    assert sorted(path.name for path in (folder / "found").iterdir()) == [
        "evaluation.json", "evaluation.md", "settings.json",
    ]  # fmt: skip
    whole = evaluate(folder, "model=it/checkpoint", "suite=mine", "out=whole")
    assert json.loads((folder / "whole" / "evaluation.json").read_text())["metrics"] == written["metrics"]
    shown = evaluate(folder, *arguments)
    assert (shown.returncode, shown.stdout) == (EXIT_DONE, again.stdout)
    assert "bits per byte" not in shown.stderr
    other = evaluate(folder, *arguments, "seed=1")
    assert other.returncode == EXIT_USER_ERROR
    assert "out=found: holds another model's evaluation, or one with other settings" in other.stderr
    assert whole.returncode == EXIT_DONE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("suite=mine",), "model=: missing, write fivephase evaluate model=PATH suite=NAME"),
        (("model=it/checkpoint", "suite=mnie"), "suite=mnie: no such suite, did you mean mine?"),
        (("model=texts", "suite=mine"), "texts: has no configuration (config.json); give a Hugging Face folder"),
        (("model=nowhere", "suite=mine"), "model=nowhere: no such folder"),
        (
            ("model=it/checkpoint", "suite=mine", "text.context=9999"),
            "suite=mine.text.context=9999: beyond the model's 2048 tokens, set at most 2048",
        ),
        (
            ("model=it/checkpoint", "suite=mine", "loss={context: 64, sequences_per_domain: 1}"),
            "suite=mine: loss is measured on tokens, and there are none",
        ),
        (
            ("model=it/checkpoint", "suite=mine", "probes.families=[needel]"),
            "suite=mine.probes: families: no probe needel, ",
        ),
        (("model=it/checkpoint", "suite=mine", "seed=x"), "seed=x: not a whole number"),
    ],
)
def test_what_cannot_be_measured_is_one_line(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    found = evaluate(folder, *arguments, "out=none")
    assert found.returncode == EXIT_USER_ERROR, found.stderr
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert not (folder / "none").exists()


def test_a_model_without_a_template_does_not_chat_and_one_of_another_vocabulary_is_refused(folder: Path) -> None:
    bare = folder / "bare"
    bare.mkdir()
    for path in (folder / "it" / "checkpoint").iterdir():
        if path.name != "chat_template.jinja":
            (bare / path.name).write_bytes(path.read_bytes())
    found = evaluate(folder, "model=bare", "suite=talk", "probes=null")
    assert found.returncode == EXIT_USER_ERROR
    assert "bare: has no chat template, and suite=talk.accuracy chats; take a suite for base models" in found.stderr
    settings = json.loads((bare / "tokenizer.json").read_text())
    ids = len(settings["model"]["vocab"])
    settings["added_tokens"].append({**settings["added_tokens"][0], "id": ids + 500, "content": "<|one_more|>"})
    (bare / "tokenizer.json").write_text(json.dumps(settings))
    found = evaluate(folder, "model=bare", "suite=mine")
    assert found.returncode == EXIT_USER_ERROR
    assert "its tokenizer has" in found.stderr

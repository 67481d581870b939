"""`fivephase chat` as a process: through a pipe, and in a terminal of its own."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.commands.chat import invitation
from pipeline.control.compose import compose, typed
from pipeline.core.artifact import MANIFEST, PARTIAL, Manifest, publish
from pipeline.core.errors import EXIT_DONE, ArtifactError, ConfigError
from pipeline.core.installation import command_name
from pipeline.inference.chat_model import chat_model, model_folder
from pipeline.inference.serving import serve
from tests.posttraining.tiny import write_model

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one, `mine`, whose SFT has finished."""
    root = tmp_path_factory.mktemp("my runs")
    finish(root / "mine" / "sft", "sft", "2026-01-01T00:00:00+00:00")
    return root


def finish(stage: Path, kind: str, when: str) -> None:
    (stage / PARTIAL).mkdir(parents=True)
    write_model(stage / PARTIAL)
    settings = stage / PARTIAL / "checkpoint" / "generation_config.json"
    own = json.loads(settings.read_text())
    settings.write_text(json.dumps({**own, "suppress_tokens": [own["eos_token_id"]]}))  # never ends by itself
    publish(stage, Manifest(stage=stage.name, kind=kind, fingerprint="of it", inputs={}, files={}, finished=when))


def chat(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipeline", "chat", *arguments]


def test_a_line_in_an_answer_out(root: Path) -> None:
    """Sampled at a high temperature, a model of random weights says all kinds of bytes: none may steer the terminal."""
    lines = ["Hi", "", "/set temperature=3", "/set temperature=hot", "/set top=1", "/system Be kind.", "/who", " /who"]
    done = subprocess.run(
        chat("run=mine", f"root={root}", "--max-new-tokens", "60", "--seed", "1", "--temperature", "3"),
        input="\n".join(lines).encode() + b"\n\xff\xfe\n",
        capture_output=True,
        timeout=250,
    )
    said, errors = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == EXIT_DONE, errors
    assert re.search(r"\\x[01]", said)  # it did say some
    assert not CONTROL.search(said)
    assert said.endswith("\n")
    assert errors.count("(cut off at max_new_tokens)") == 3
    for mistake in ("temperature='hot'", "top: ", "/who: no such command"):
        assert mistake in errors
    assert "Traceback" not in errors


def test_in_a_terminal_ctrl_c_stops_an_answer_and_ctrl_d_leaves(root: Path) -> None:
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        chat(str(root / "mine" / "sft"), "--temperature", "2", "--max-new-tokens", "1900"),
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    seen = ""

    def until(text: str, interrupting: bool = False) -> None:
        nonlocal seen
        deadline = time.monotonic() + 200
        while text not in seen:
            assert time.monotonic() < deadline, seen
            if interrupting:  # again and again: one that comes before the wait for a key is seen after it
                os.kill(process.pid, signal.SIGINT)
            if select.select([master], [], [], 1)[0]:
                seen += os.read(master, 65536).decode(errors="replace")
        seen = seen.partition(text)[2]

    try:
        until("> ")
        os.write(master, b"a draft")
        until("draft")
        until("(Ctrl-D leaves)", interrupting=True)
        until("> ")
        os.write(master, b"Hi\n")
        until("Hi\r\n")
        until(" ")  # a first word
        os.kill(process.pid, signal.SIGINT)
        until("(stopped)")
        until("> ")
        os.write(master, b"\x04")
        assert process.wait(60) == EXIT_DONE
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_the_newest_chat_model_of_a_run(root: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    shutil.copytree(root / "mine", run)
    assert chat_model(run) == run / "sft" / "checkpoint"
    finish(run / "phase1", "pretrain", "2026-01-03T00:00:00+00:00")
    assert model_folder(run) == run / "sft" / "checkpoint"
    finish(run / "rl_math", "rl", "2026-01-02T00:00:00+00:00")
    assert chat_model(run) == run / "rl_math" / "checkpoint"
    (run / "rl_math").rename(run / "release")
    (run / "release" / "checkpoint").rename(run / "release" / "model")
    manifest = json.loads((run / "release" / MANIFEST).read_text())
    files = {name.replace("checkpoint/", "model/"): each for name, each in manifest["files"].items()}
    (run / "release" / MANIFEST).write_text(json.dumps({**manifest, "kind": "release", "files": files}))
    assert model_folder(run / "release") == chat_model(run) == run / "release" / "model"
    assert model_folder(run / "sft" / "checkpoint") == run / "sft" / "checkpoint"
    weights = run / "release" / "model" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for find in (lambda: chat_model(run), lambda: model_folder(run / "release"), lambda: model_folder(weights.parent)):
        with pytest.raises(ArtifactError, match=r"model\.safetensors: its content changed"):
            find()
    weights.write_bytes(content)
    # What the folder of a stage that is no model, a run without one and a folder that is not there say.
    (run / "phase1" / "checkpoint").rename(run / "phase1" / "documents")
    for path, line in ((run / "phase1", "kind pretrain"), (tmp_path, "no finished SFT"), (tmp_path / "no", "no such")):
        with pytest.raises(ArtifactError, match=line):
            model_folder(path)


def test_a_run_names_the_command_at_its_end(root: Path) -> None:
    assert invitation(typed(compose(["run=nothing", f"root={root}"]))) is None
    line = invitation(typed(compose(["run=mine", f"root={root}"])))
    assert line == f"talk to it: {command_name()} chat run=mine 'root={root}'"


def test_without_the_server_s_packages_a_line_says_what_to_install(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.inference.serving.is_serve_available", lambda: False)
    with pytest.raises(ConfigError, match=r"pip install 'transformers\[serving\]'"):
        serve(chat_model(root / "mine"), "localhost", 8000)

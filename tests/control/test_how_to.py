"""docs/how_to/own_corpus.md is true: its files and commands plan what it says, as they stand."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import freeze
from tests import ROOT
from tests.runs import write_tokenizer

TEXT = (ROOT / "docs" / "how_to" / "own_corpus.md").read_text()
YAML = re.findall(r"```yaml\n(# @package _global_\n.*?)```", TEXT, re.DOTALL)
COMMANDS = [shlex.split(line) for line in re.findall(r"^fivephase run (.*)$", TEXT, re.MULTILINE)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the scales of the page, texts and token shards."""
    folder = tmp_path / "my project"
    (folder / "conf" / "scale").mkdir(parents=True)
    for content in YAML:
        name = re.search(r"^scale: (\w+)$", content, re.MULTILINE)
        assert name is not None
        (folder / "conf" / "scale" / f"{name.group(1)}.yaml").write_text(content)
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").write_text("An article. " * 50)
    for domain in ("web", "books"):
        (folder / "shards" / domain).mkdir(parents=True)
        for suffix in ("ds", "ds.index"):
            (folder / "shards" / domain / f"0.{suffix}").write_bytes(b"\0" * 8)
    write_tokenizer(folder)
    shutil.move(folder / "tokenizer", folder / "my_tokenizer")
    monkeypatch.chdir(folder)
    return folder


def stages_of(*overrides: str) -> list[str]:
    return [stage.stage for stage in freeze(typed(compose(overrides)))]


@pytest.mark.usefixtures("project")
def test_the_scales_of_the_page_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(YAML) == 2
    with pytest.raises(SystemExit) as ended:
        main(["plan", *COMMANDS[0]])
    assert ended.value.code == 0
    assert "mixture of phase1: articles 100 %" in capsys.readouterr().out
    assert stages_of("scale=articles") == ["curate", "tokenizer", "tokenize", "phase1"]
    assert stages_of("scale=tokens") == ["import_tokens", "phase1"]


@pytest.mark.usefixtures("project")
def test_a_mixture_and_a_weight_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS[1:3]:
        with pytest.raises(SystemExit) as ended:
            main(["plan", *command])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert "mixture.letters: no recipe makes this domain, valid: articles" in said or "no key letters" in said

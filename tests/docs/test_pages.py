"""The scales that the pages of docs/ show are plans, as they stand."""

import re
import shutil
from pathlib import Path

import pytest

from pipeline.cli import main
from tests import ROOT
from tests.posttraining.tiny import write_model
from tests.runs import write_tokenizer

PAGES = [
    page
    for page in sorted((ROOT / "docs").rglob("*.md"))
    if re.search(r"^```yaml\n# @package _global_$", page.read_text(), re.MULTILINE)
]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the texts, conversations, shards and the model that pages name."""
    folder = tmp_path / "my project"
    shutil.copytree(ROOT / "pipeline" / "starter" / "texts", folder / "texts")
    shutil.copy(ROOT / "pipeline" / "starter" / "conversations.jsonl", folder)
    write_tokenizer(folder)
    (folder / "tokenizer").rename(folder / "my_tokenizer")
    for domain in ("web", "books"):
        (folder / "shards" / domain).mkdir(parents=True)
        for suffix in ("ds", "ds.index"):
            (folder / "shards" / domain / f"0.{suffix}").write_bytes(b"\0" * 8)
    write_model(folder / "path" / "to")
    (folder / "path" / "to" / "checkpoint").rename(folder / "path" / "to" / "model")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def write_page(page: Path, folder: Path) -> list[str]:
    """Writes the files that a page shows to where it says they lie, and gives the names of its scales."""
    scales = []
    for text in blocks(page, "yaml"):
        scale = re.search(r"^scale: (\w+)$", text, re.MULTILINE)
        domain = re.search(r"^domain: (\w+)$", text, re.MULTILINE)
        if scale:
            scales.append(scale[1])
            path = folder / "conf" / "scale" / f"{scale[1]}.yaml"
        elif domain:
            path = folder / "recipes" / f"{domain[1]}.yaml"
        elif text.startswith("# The smoke model"):
            path = folder / "conf" / "model" / "mine.yaml"
        else:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for text in blocks(page, "python"):
        if module := re.search(r'Environment\("(\w+)", generate, grade\)', text):
            (folder / f"{module[1]}.py").write_text(text)
    return scales


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT / "docs").as_posix())
def test_the_scales_of_a_page_are_plans(page: Path, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scales = write_page(page, project)
    assert scales
    if "more.parquet" in page.read_text():
        shutil.copy(project / "conversations.jsonl", project / "more.jsonl")
        scale = project / "conf" / "scale" / "mine.yaml"
        scale.write_text(scale.read_text().replace("more.parquet", "more.jsonl"))
    for scale in scales:
        with pytest.raises(SystemExit) as ended:
            main(["plan", f"scale={scale}"])
        assert ended.value.code == 0, capsys.readouterr().err

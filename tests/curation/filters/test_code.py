"""The rules for code: a file is known by its own path, and starcoderdata's heads go before texts are compared."""

import json
from pathlib import Path
from typing import Any

import pytest
from datatrove.data import Document

from pipeline.core.config import build
from pipeline.curation.filters import filter_of
from pipeline.curation.recipes.steps.text import CodeRules
from pipeline.curation.text.documents import read_folder, read_rows
from tests.curation.conftest import Curate
from tests.curation.recipe_files import DISCLOSURE, recipe, write_recipe

DATA = json.dumps({f"key {number}": "value" for number in range(500)})
PAGE = "<html><body><p>few words</p></body></html>"
CODE = "def double(number):\n    return 2 * number\n"


def decided(text: str, **metadata: Any) -> tuple[str | None, str]:
    """The reason for which a file is removed, or None, and its text after the filter."""
    document = Document(text=text, id="0", metadata={"origin": "train.parquet#000000001", **metadata})
    removal = filter_of(build(CodeRules, {"step": "code_rules"}, ""))(document).removal
    return removal and removal.reason, document.text


@pytest.mark.parametrize("key", ["path", "max_stars_repo_path", "file_path"])
def test_a_file_is_known_by_its_own_path(key: str) -> None:
    assert decided(DATA)[0] is None
    for name in ("src/data.json", "src/DATA.JSON", "src/data.yaml"):
        assert decided(DATA, **{key: name})[0] == "data_too_long"
    assert decided(PAGE, **{key: "web/index.html"})[0] == "page_shows_little"
    assert decided(DATA, **{key: "src/data.py"})[0] is None
    assert decided(DATA, **{key: None})[0] is None
    # The embedded corpus has no paths: its origins are.
    assert decided(DATA, origin="package/data.json")[0] == "data_too_long"


@pytest.mark.parametrize(
    "head",
    [
        "<reponame>owner/name<filename>src/double.py<gh_stars>10-100\n",
        "<reponame>owner/name<gh_stars>0\n",
        "<reponame>owner/name\n",
        "<filename>src/double.py\n",
        "<gh_stars>1-10\n",
    ],
)
def test_the_head_of_starcoderdata_goes(head: str) -> None:
    assert decided(head + CODE) == (None, CODE)


def test_a_path_in_the_head_counts() -> None:
    assert decided(f"<reponame>owner/name<filename>a/data.json<gh_stars>1-10\n{DATA}")[0] == "data_too_long"


def test_what_is_no_head_stays() -> None:
    for text in (CODE + "<filename>a.py\n", "<html><body></body></html>" + CODE, " <reponame>a\n" + CODE):
        assert decided(text) == (None, text)
    assert decided("<reponame>owner/name<gh_stars>0\n")[0] == "empty"


def test_files_that_differ_in_the_head_are_duplicates(tmp_path: Path, run_curate: Curate) -> None:
    heads = ["<reponame>one/fork<gh_stars>1-10\n", "<reponame>another/fork<gh_stars>10-100\n", ""]
    rows = [{"content": head + CODE, "max_stars_repo_path": f"{n}.py"} for n, head in enumerate(heads)]
    rows.append({"content": DATA, "max_stars_repo_path": "data.json"})
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = [{"kind": "jsonl", "path": str(path), "text_key": "content", "disclosure": DISCLOSURE}]
    steps = [{"step": "code_rules"}, {"step": "exact_dedup"}]
    write_recipe(tmp_path / "recipes", recipe(path, steps, "code", sources=sources))
    output, _ = run_curate(tmp_path / "recipes")
    assert [document.text for document in read_folder(output / "documents" / "code")] == [CODE]
    removed = [row["reason"] for row in read_rows(output / "removed" / "code" / "00000.jsonl.gz")]
    assert sorted(removed) == ["data_too_long", "same_content", "same_content"]

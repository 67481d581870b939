"""Repositories become documents: every file once, in order, whatever the order and the division of the work."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.files import read_json
from pipeline.curation.text.documents import content_id, read_folder, read_rows
from tests.curation.conftest import Curate
from tests.curation.recipe_files import hashes, recipe, write_recipe

FILES = [
    *({"repository": "one", "path": f"src/{name}.py", "text": f"{name} = 1\n"} for name in "cab"),
    *({"repository": "two", "path": f"{number:02d}.py", "text": f"x{number} = {'1' * 40}"} for number in range(9)),
    {"repository": "short", "path": "a.py", "text": "y"},
    {"text": "a text of its own that is in no repository"},
]


def write_files(folder: Path, rows: list[dict[str, Any]], parts: int) -> Path:
    folder.mkdir(parents=True)
    for part in range(parts):
        lines = "\n".join(json.dumps(row) for row in rows[part::parts])
        (folder / f"{part}.jsonl").write_text(lines)
    return folder


def test_files_of_a_repository_are_one_document(tmp_path: Path, run_curate: Curate) -> None:
    steps = [
        {"step": "exact_dedup"},
        {"step": "pack_repositories", "maximum_characters": 200, "minimum_characters": 10, "buckets": 3},
    ]
    write_recipe(tmp_path / "recipes", recipe(write_files(tmp_path / "lines", FILES, 2), steps))
    output, result = run_curate(tmp_path / "recipes", "one", tasks=1)
    documents = {document.text: document for document in read_folder(output / "documents" / "technical")}
    one = "# src/a.py\na = 1\n\n# src/b.py\nb = 1\n\n# src/c.py\nc = 1"
    assert documents[one].metadata["files"] == 3
    assert documents[one].metadata["repository"] == "one"
    assert "path" not in documents[one].metadata, "it is of one file"
    assert documents[one].id == content_id(one)
    two = [text for text in documents if text.startswith("# 0")]
    assert len(two) == 3
    assert all(len(text) <= 200 for text in two)
    assert sum(documents[text].metadata["files"] for text in two) == 9
    assert FILES[-1]["text"] in documents
    assert len(documents) == 5
    rows = list(read_rows(output / "removed" / "technical" / "00000.jsonl.gz"))
    assert sorted(row["reason"] for row in rows) == ["packed"] * 8 + ["short"]
    assert {row["duplicate_of"] for row in rows if row["reason"] == "packed"} <= {
        each.id for each in documents.values()
    }
    assert result.counts == {"in": 14, "kept": 5, "removed": 9}
    funnel = read_json(output / "report.json")["technical"]["steps"][-1]
    assert (funnel["in"], funnel["kept"], funnel["removed"], funnel["edited"]) == (14, 5, 9, 4)

    three, _ = run_curate(tmp_path / "recipes", "three", tasks=3, workers=2)
    assert hashes(three / "documents") == hashes(output / "documents")
    # Where a file was read is in its metadata; what becomes of it does not depend on that.
    write_files(tmp_path / "again", FILES[::-1], 3)
    write_recipe(tmp_path / "other", recipe(tmp_path / "again", steps))
    other, _ = run_curate(tmp_path / "other", "other")
    assert {document.text for document in read_folder(other / "documents" / "technical")} == documents.keys()


def test_a_header_without_a_path_is_refused(tmp_path: Path, run_curate: Curate) -> None:
    from pipeline.core.errors import RecipeError

    steps = [{"step": "pack_repositories", "header": "file"}]
    write_recipe(tmp_path / "recipes", recipe(write_files(tmp_path / "lines", FILES, 1), steps))
    with pytest.raises(RecipeError, match=r"header is file, it must hold \{path\}"):
        run_curate(tmp_path / "recipes")

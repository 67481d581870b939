"""What a previous run kept is not kept again: equal texts, near ones, and copies within them."""

import dataclasses
import random
from pathlib import Path
from typing import Any

import pytest
from datatrove.data import Document

from pipeline.cli import main
from pipeline.core.artifact import Manifest, publish
from pipeline.core.files import read_json
from pipeline.curation.dedup.previous_runs import previous_ngrams, previous_signatures, save_index
from pipeline.curation.recipes.steps.duplicates import MinHash, SubstringDedup
from pipeline.curation.text.documents import content_id, read_folder, read_rows, write_documents
from tests.curation.recipe_files import hashes, recipe, write_lines, write_recipe

WORDS = [f"word{chr(97 + a)}{chr(97 + b)}" for a in range(20) for b in range(20)]


def text(seed: int, changed: int = 0) -> str:
    """60 random words, some of them others."""
    words = random.Random(seed).choices(WORDS, k=60)
    for place in range(changed):
        words[place] = "changed"
    return " ".join(words)


def steps(against: list[str], save: bool) -> list[dict[str, Any]]:
    return [
        {"step": "exact_dedup", "against": against},
        {"step": "minhash", "save_signatures": save, "against": against, "minimum_jaccard": 0.6},
    ]


def curate(
    root: Path,
    name: str,
    texts: list[str],
    against: list[str],
    save: bool = True,
    code: int = 0,
    chosen: list[dict[str, Any]] | None = None,
) -> Path:
    """A run of the stage as a user starts it; returns its folder."""
    lines = write_lines(root / name / "lines.jsonl", texts)
    path = write_recipe(root / name / "recipes", recipe(lines, chosen or steps(against, save)))
    with pytest.raises(SystemExit) as left:
        main(["stage", "curate", f"root={root}", f"run={name}", f"recipe={path}", "tracking=off"])
    assert left.value.code == code
    return root / name / "curate"


@pytest.mark.slow
@pytest.mark.exhaustive
def test_what_previous_runs_kept_is_not_kept_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = curate(tmp_path, "first", [text(seed) for seed in range(6)], [])
    second = curate(tmp_path, "second", [text(6), text(7), text(0)], [str(first)])
    # Longer than the previous one, which stays all the same.
    near = f"{text(1, changed=2)} and more"
    texts = [text(0), near, text(7), text(8), text(8, changed=1)]
    third = curate(tmp_path, "third", texts, [str(first), str(second)])
    assert [document.text for document in read_folder(third / "documents" / "technical")] == [text(8, changed=1)]
    rows = {row["reason"]: row for row in read_rows(third / "removed" / "technical" / "00000.jsonl.gz")}
    assert set(rows) == {"in_earlier_run", "near_duplicate", "near_duplicate_of_earlier_run"}
    ids = {str(document.id): document.text for document in read_folder(first / "documents" / "technical")}
    assert ids[rows["near_duplicate_of_earlier_run"]["duplicate_of"]] == text(1)
    assert next(read_folder(third / "documents" / "technical")).metadata["minhash_cluster_size"] == 2
    # The same again does nothing, and a previous run is never written to.
    before = hashes(first)
    capsys.readouterr()
    curate(tmp_path, "third", texts, [str(first), str(second)])
    assert "nothing to do" in capsys.readouterr().out
    assert hashes(first) == before
    assert read_json(third / "report.json")["technical"]["kept"] == 1


def test_files_that_a_previous_run_did_not_publish_count_for_nothing(tmp_path: Path) -> None:
    """They would shift which signature and which n-gram is whose."""
    minhash, copies = (
        MinHash(step="minhash", save_signatures=True),
        SubstringDedup(step="substring_dedup", save_runs=True),
    )
    documents = tmp_path / "run" / "partial" / "documents" / "technical"
    for number in range(2):
        write_documents(documents / f"{number:05d}.jsonl.gz", [Document(text(number), content_id(text(number)))])
    save_index(tmp_path / "run" / "partial", "technical", minhash, copies)
    publish(tmp_path / "run", Manifest(stage="curate", kind="curate", fingerprint="0", inputs={}, files={}))
    folder = tmp_path / "run" / "documents" / "technical"
    published = tuple(sorted(folder.iterdir()))
    for name in ("!.jsonl.gz", ".0.jsonl.gz", "99999.jsonl.gz"):
        (folder / name).write_bytes(published[0].read_bytes())
    against = (str(tmp_path / "run"),)
    assert previous_signatures(dataclasses.replace(minhash, against=against), "technical")[0].documents == published
    assert previous_ngrams(dataclasses.replace(copies, against=against), "technical")[0].documents == published
    assert previous_signatures(dataclasses.replace(minhash, against=against), "code") == []


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_run_that_cannot_be_compared_with_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curate(tmp_path, "none", [text(0)], [str(tmp_path / "nowhere")], code=2)
    assert f"against={tmp_path}/nowhere: no finished stage curate there" in capsys.readouterr().err
    first = curate(tmp_path, "first", [text(0)], [], save=False)
    curate(tmp_path, "second", [text(1)], [str(first)], code=2)
    assert "save_signatures: true" in capsys.readouterr().err
    with_runs = [{"step": "substring_dedup", "against": [str(first)]}]
    curate(tmp_path, "third", [text(1)], [], code=2, chosen=with_runs)
    assert "save_runs: true in its recipe's substring_dedup" in capsys.readouterr().err
    saved = curate(tmp_path, "saved", [text(0)], [], chosen=[{"step": "substring_dedup", "save_runs": True}])
    other = [{"step": "substring_dedup", "minimum_units": 30, "against": [str(saved)]}]
    curate(tmp_path, "fourth", [text(1)], [], code=2, chosen=other)
    assert "n-grams of other settings" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.exhaustive
def test_the_first_copy_is_a_previous_run_s(tmp_path: Path) -> None:
    """Two previous runs; what the third has word for word from either goes, and also what it has twice itself."""
    unit = 20

    def words(name: str, count: int = 25) -> str:
        return " ".join(f"{name}{chr(97 + place)}" for place in range(count))

    def copies(against: list[Path]) -> list[dict[str, Any]]:
        step = {"step": "substring_dedup", "minimum_units": unit, "minimum_left": 5, "buckets": 3, "save_runs": True}
        return [{**each, "against": list(map(str, against))} for each in ({"step": "exact_dedup"}, step)]

    def texts(folder: Path) -> list[str]:
        return sorted(document.text for document in read_folder(folder / "documents" / "technical"))

    previous = [
        curate(tmp_path, "first", [f"{words('one')} {words('own', 8)}", words("two")], [], chosen=copies([])),
        curate(tmp_path, "second", [words("three"), f"{words('four')} {words('seen', 8)}"], [], chosen=copies([])),
    ]
    before = list(map(hashes, previous))
    new = [
        f"{words('new', 9)} {words('one')}",
        f"{words('three')} {words('other', 9)} {words('five')}",
        words("four"),
        f"{words('five')} {words('six', 9)}",
        words("seven"),
    ]
    third = curate(tmp_path, "third", new, [], chosen=copies(previous))
    left = texts(third)
    # Which of the two has the first copy of "five" is a matter of their ids.
    assert left in (
        sorted([words("new", 9), f"{words('other', 9)} {words('five')}", words("six", 9), words("seven")]),
        sorted([words("new", 9), words("other", 9), f"{words('five')} {words('six', 9)}", words("seven")]),
    )
    ids = {str(document.id) for folder in previous for document in read_folder(folder / "documents" / "technical")}
    rows = list(read_rows(third / "matches" / "technical" / "00000.jsonl.gz"))
    assert sorted(row["duplicate_of"] in ids for row in rows) == [False, True, True, True]
    # The order of runs is no matter for what stays, and all of it again adds nothing.
    again = curate(tmp_path, "again", new, [], chosen=copies([*reversed(previous)]))
    assert texts(again) == left
    assert texts(curate(tmp_path, "more", new, [], chosen=copies([*previous, third]))) == []
    assert list(map(hashes, previous)) == before

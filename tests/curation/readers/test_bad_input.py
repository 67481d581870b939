"""Records that cannot be read go to the quarantine with location and reason; all others are processed."""

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.core.config import build
from pipeline.core.errors import DataError
from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.readers import list_items, read
from pipeline.curation.readers.sources import JsonlSource
from pipeline.curation.readers.warc import write_warc
from pipeline.curation.text.documents import read_folder, read_rows
from tests.curation.conftest import Curate
from tests.curation.recipe_files import DISCLOSURE, hashes, recipe, write_lines, write_recipe

GOOD = [f"A good text with the number {index} in it." for index in range(40)]
STEPS: list[dict[str, Any]] = [{"step": "length", "minimum_characters": 5}, {"step": "exact_dedup"}]
LONGEST = 1000


def put_aside(output: Path, domain: str = "technical") -> list[dict[str, Any]]:
    """The rows of the quarantine, which must agree with the removal rows."""
    path = output / "quarantine" / domain / "00000.jsonl.gz"
    rows = list(read_rows(path)) if path.exists() else []
    removed = [row for row in read_rows(output / "removed" / domain / "00000.jsonl.gz") if row["step"] == "read"]
    removed = [row for row in removed if row["reason"] != "empty"]
    assert sorted(row["reason"] for row in rows) == sorted(row["reason"] for row in removed)
    assert all(len(row["excerpt"]) <= 201 and row["excerpt"].isprintable() for row in rows)
    return rows


def texts(output: Path, domain: str = "technical") -> set[str]:
    return {document.text for document in read_folder(output / "documents" / domain)}


def line(text: str) -> bytes:
    return json.dumps({"text": text}).encode() + b"\n"


BAD_LINES = {
    "not_json": b'{"text": \n',
    "not_an_object": b"[1, 2]\n",
    "no_such_column": b'{"content": "another schema"}\n',
    "text_is_no_string": b'{"text": 7}\n',
    "invalid_utf8": b'{"text": "caf\xe9 is not UTF-8"}\n',
    "nul_character": b'{"text": "with a \\u0000 in it"}\n',
    "too_long": line("x" * 5 * LONGEST),
}


@pytest.mark.parametrize("compressed", [True, False])
def test_bad_lines_are_put_aside_and_the_rest_is_kept(tmp_path: Path, run_curate: Curate, compressed: bool) -> None:
    parts = [line(text) for text in GOOD]
    for number, bad in enumerate(BAD_LINES.values()):
        parts.insert(5 * number + 2, bad)
    path = tmp_path / ("lines.jsonl.gz" if compressed else "lines.jsonl")
    path.write_bytes(gzip.compress(b"".join(parts)) if compressed else b"".join(parts))
    source = {"kind": "jsonl", "path": str(path), "disclosure": DISCLOSURE, "maximum_record_bytes": LONGEST}
    write_recipe(tmp_path / "recipes", recipe(path, STEPS, sources=[source]))
    output, result = run_curate(tmp_path / "recipes", bad=0.5)
    assert result.counts == {"in": 47, "kept": 40, "removed": 7}
    assert texts(output) == set(GOOD)
    rows = put_aside(output)
    assert {row["reason"] for row in rows} == set(BAD_LINES)
    whole = b"".join(parts)
    for row in rows:
        assert (row["file"], row["unit"]) == (str(path), "byte")
        assert whole[row["offset"] :].startswith(BAD_LINES[row["reason"]])


def test_a_line_larger_than_memory_allows_is_read_past(tmp_path: Path, run_curate: Curate) -> None:
    path = tmp_path / "lines.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(line(GOOD[0]) + b'{"text": "')
        for _ in range(100):
            file.write(b"a" * 2**20)
        file.write(b'"}\n' + line(GOOD[1]))
    write_recipe(tmp_path / "recipes", recipe(path, STEPS))
    output, _ = run_curate(tmp_path / "recipes", bad=0.5)
    assert texts(output) == set(GOOD[:2])
    (row,) = put_aside(output)
    assert (row["reason"], row["offset"]) == ("too_long", len(line(GOOD[0])))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1), seed=st.integers(0, 9))
def test_a_file_cut_anywhere_gives_what_stands_before_the_cut(tmp_path: Path, share: float, seed: int) -> None:
    data = gzip.compress(b"".join(map(line, GOOD)), mtime=seed)
    size = int(share * (len(data) - 1))
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(data[:size])
    source = build(JsonlSource, {"kind": "jsonl", "path": str(path), "disclosure": DISCLOSURE}, "")
    found = list(read(source, list_items(source), lambda _: None))
    *good, bad = found
    assert [document.text for document in good] == GOOD[: len(good)]
    # Of a gzip file's header, one byte alone is not that of gzip.
    assert bad.bad == {0: "empty_file", 1: "damaged"}.get(size, "cut_short")
    assert bad.location is not None
    assert bad.location.offset <= len(b"".join(map(line, GOOD)))


def unreadable(path: Path, how: str) -> None:
    """Puts something in the place of a file that cannot be read."""
    data = gzip.compress(b"".join(map(line, GOOD)))
    match how:
        case "cut_short":
            path.write_bytes(data[: len(data) // 2])
        case "damaged":
            path.write_bytes(data[:40] + bytes(byte ^ 255 for byte in data[40:90]) + data[90:])
        case "empty_file":
            path.write_bytes(b"")
        case "unreadable":
            # Gone between the listing and the reading, as on a busy file system.
            path.symlink_to(path.with_name("gone"))


@pytest.mark.parametrize("how", ["cut_short", "damaged", "empty_file"])
def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, run_curate: Curate, how: str) -> None:
    for number in range(4):
        write_lines(tmp_path / "in" / f"{number}.jsonl.gz", GOOD[number * 10 : number * 10 + 10])
    unreadable(tmp_path / "in" / "bad.jsonl.gz", how)
    write_recipe(tmp_path / "recipes", recipe(tmp_path / "in", STEPS))
    output, _ = run_curate(tmp_path / "recipes", bad=0.5)
    assert texts(output) == set(GOOD)
    (row,) = put_aside(output)
    assert (row["file"], row["reason"]) == (f"{tmp_path}/in/bad.jsonl.gz", how)
    with pytest.raises(DataError, match=r"technical: 1 of 5 files .*bad\.jsonl\.gz.*maximum_bad_files above 0\.2"):
        run_curate(tmp_path / "recipes", "strict", bad=0.1)


def test_too_many_bad_records_fail_with_their_number_and_a_larger_share_goes_on(
    tmp_path: Path, run_curate: Curate
) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"".join(map(line, GOOD[:15])) + BAD_LINES["not_json"] * 5)
    write_recipe(tmp_path / "recipes", recipe(path, STEPS))
    said = r"5 of 20 records .*not_json.*stages\.curate\.config\.maximum_bad_share above 0\.25"
    with pytest.raises(DataError, match=said):
        run_curate(tmp_path / "recipes")
    output, _ = run_curate(tmp_path / "recipes", bad=0.25)
    assert texts(output) == set(GOOD[:15])


def test_texts_of_another_encoding_are_refused_with_the_setting_that_reads_them(
    tmp_path: Path, run_curate: Curate
) -> None:
    (tmp_path / "in").mkdir()
    for number, text in enumerate(GOOD[:3]):
        (tmp_path / "in" / f"{number}.txt").write_bytes(f"{text} Caf\u00e9".encode("cp1252"))
    own = {"kind": "text", "path": str(tmp_path / "in"), "disclosure": DISCLOSURE}
    write_recipe(tmp_path / "recipes", recipe(tmp_path, STEPS, sources=[own]))
    with pytest.raises(DataError, match=r"3 of 3 records .*other_encoding\); set the source's encoding to theirs"):
        run_curate(tmp_path / "recipes")
    write_recipe(tmp_path / "recipes", recipe(tmp_path, STEPS, sources=[{**own, "encoding": "cp1252"}]))
    output, _ = run_curate(tmp_path / "recipes", "read")
    assert texts(output) == {f"{text} Caf\u00e9" for text in GOOD[:3]}


def test_the_quarantine_does_not_depend_on_tasks(tmp_path: Path, run_curate: Curate) -> None:
    draw = random.Random(0)
    for number in range(5):
        parts = [line(text) for text in GOOD[number * 8 : number * 8 + 8]]
        parts += draw.sample(list(BAD_LINES.values())[:6], 3)
        draw.shuffle(parts)
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{number}.jsonl").write_bytes(b"".join(parts))
    write_recipe(tmp_path / "recipes", recipe(tmp_path / "in", STEPS))
    one, _ = run_curate(tmp_path / "recipes", "one", tasks=1, bad=1.0)
    four, _ = run_curate(tmp_path / "recipes", "four", tasks=4, workers=2, bad=1.0)
    assert hashes(one) == hashes(four)
    assert len(put_aside(one)) == 15


def test_parquet_files_of_several_schemas(tmp_path: Path, run_curate: Curate) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    invalid = pyarrow.array([b"fine text", b"caf\xe9 is not"], type=pyarrow.binary()).view(pyarrow.string())
    tables = {
        "good": {"text": GOOD[:10], "url": ["u"] * 10},
        "renamed": {"content": GOOD[10:20]},
        "numbers": {"text": [1, 2]},
        "invalid": {"text": invalid},
        "nothing": {"text": pyarrow.array([None, GOOD[11]], type=pyarrow.string())},
    }
    for name, columns in tables.items():
        pyarrow.parquet.write_table(pyarrow.table(columns), folder / f"{name}.parquet")
    (folder / "damaged.parquet").write_bytes((folder / "good.parquet").read_bytes()[:-30])
    source = {"kind": "parquet", "path": str(folder), "disclosure": DISCLOSURE}
    write_recipe(tmp_path / "recipes", recipe(folder, STEPS, sources=[source]))
    output, _ = run_curate(tmp_path / "recipes", bad=1.0)
    assert texts(output) == {*GOOD[:10], "fine text", GOOD[11]}
    found = {(Path(row["file"]).stem, row["offset"], row["reason"]) for row in put_aside(output)}
    assert found == {
        ("renamed", 0, "no_such_column"),
        ("numbers", 0, "text_is_no_string"),
        ("numbers", 1, "text_is_no_string"),
        ("invalid", 1, "invalid_utf8"),
        ("damaged", 0, "damaged"),
    }


def page(body: str) -> str:
    return f"<html><body><article><h1>A title</h1>{body}</article></body></html>"


PROSE = "<p>The cat sat on the mat, and the dog lay by the door with a bone that it would not give to anyone.</p>" * 9
BOMB = "<div>" * 200_000 + "deep"


@pytest.mark.parametrize("extractor", ["trafilatura", "resiliparse"])
def test_pages_that_harm_and_archives_cut_short(tmp_path: Path, run_curate: Curate, extractor: str) -> None:
    pages = [
        EmbeddedText("first", page(PROSE)),
        EmbeddedText("long", page("<p>" + "y " * 2**20 + "</p>")),
        EmbeddedText("attributes", f"<p {'a=b ' * 100_000}>{PROSE}</p>"),
        EmbeddedText("second", page(PROSE.replace("cat", "cow"))),
    ]
    folder = tmp_path / "in"
    folder.mkdir()
    write_warc(folder / "whole.warc.gz", pages)
    write_warc(folder / "bomb.warc.gz", [EmbeddedText("bomb", page(BOMB))])
    data = (folder / "whole.warc.gz").read_bytes()
    (folder / "cut.warc.gz").write_bytes(data[:-200])
    (folder / "other.warc.gz").write_bytes(b"no archive at all")
    (folder / "plain.warc").write_bytes(gzip.decompress(data)[:-40])
    source = {
        "kind": "warc", "path": str(folder), "pattern": "*.warc*", "disclosure": DISCLOSURE,
        "maximum_record_bytes": 1_500_000,
    }  # fmt: skip
    steps = [{"step": extractor, "timeout_seconds": 5}, {"step": "exact_dedup"}]
    write_recipe(tmp_path / "recipes", recipe(folder, steps, "common_crawl", sources=[source]))
    output, result = run_curate(tmp_path / "recipes", bad=1.0)
    kept = texts(output, "common_crawl")
    assert any("cat sat" in text for text in kept)
    assert any("cow sat" in text for text in kept)
    found = {(Path(row["file"]).name, row["offset"], row["reason"]) for row in put_aside(output, "common_crawl")}
    assert {("whole.warc.gz", 1, "too_long"), ("cut.warc.gz", 3, "cut_short"), ("plain.warc", 3, "cut_short")} <= found
    assert any(name == "other.warc.gz" and reason == "damaged" for name, _, reason in found)
    assert result.counts is not None
    assert result.counts["in"] == result.counts["kept"] + result.counts["removed"]

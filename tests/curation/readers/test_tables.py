"""Tables of other people: whatever a column is called or holds, a row is read or put aside with the true reason."""

import datetime
import decimal
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from pipeline.core.errors import DataError
from pipeline.core.files import read_json
from pipeline.curation.text.documents import read_folder, read_rows
from tests.curation.conftest import Curate
from tests.curation.recipe_files import DISCLOSURE, recipe, write_recipe

TEXTS = [f"A text with the number {index}." for index in range(6)]


def curated(
    tmp_path: Path, run_curate: Curate, kind: str, **settings: Any
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """What a curation of one source kept, metadata by text, and what it put aside, the beginning by reason."""
    source = {"kind": kind, "disclosure": DISCLOSURE, **settings}
    write_recipe(tmp_path / "recipes", recipe(tmp_path, [{"step": "exact_dedup"}], sources=[source]))
    output, _ = run_curate(tmp_path / "recipes", bad=1.0)
    kept = {document.text: document.metadata for document in read_folder(output / "documents" / "technical")}
    for metadata in kept.values():
        assert metadata.pop("source") == "lines"
        assert metadata.pop("origin")
    put_aside = output / "quarantine" / "technical" / "00000.jsonl.gz"
    rows = list(read_rows(put_aside)) if put_aside.exists() else []
    return kept, {row["reason"]: row["excerpt"] for row in rows}


def lines(*rows: Any) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def frames(*contents: bytes, window: int = 20) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=window)
    found = []
    for content in contents:
        # Streamed, as zstd writes what it reads from a pipe: the frame does not say how long it is.
        stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        found.append(stream.compress(content) + stream.flush())
    return b"".join(found)


SKIPPED = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
"""A frame that a reader passes over (RFC 8878, 3.1.2)."""


@pytest.mark.parametrize(
    "content",
    [
        frames(lines(*({"text": text} for text in TEXTS))),
        frames(*(lines({"text": text}) for text in TEXTS[:3]), b"", lines(*({"text": text} for text in TEXTS[3:]))),
        # Where one frame ends and the next begins, lines need not.
        frames(lines({"text": TEXTS[0]})[:9], lines({"text": TEXTS[0]})[9:])
        + SKIPPED
        + frames(lines(*({"text": text} for text in TEXTS[1:]))),
        frames(lines(*({"text": text} for text in TEXTS)), window=30),
    ],
    ids=["one frame", "frames", "lines over frames", "large window"],
)
def test_lines_in_zstd(tmp_path: Path, run_curate: Curate, content: bytes) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(content)
    kept, bad = curated(tmp_path, run_curate, "jsonl", path=str(tmp_path / "a.jsonl.zst"))
    assert (sorted(kept), bad) == (TEXTS, {})


def test_zstd_that_ends_early_or_is_damaged(tmp_path: Path, run_curate: Curate) -> None:
    (tmp_path / "in").mkdir()
    whole = frames(lines({"text": TEXTS[0]}), lines({"text": TEXTS[1]}))
    (tmp_path / "in" / "cut.jsonl.zst").write_bytes(whole[:-6])
    (tmp_path / "in" / "none.jsonl.zst").write_bytes(b"no zstd at all\n")
    kept, bad = curated(tmp_path, run_curate, "jsonl", path=str(tmp_path / "in"))
    assert sorted(kept) == TEXTS[:1]
    assert set(bad) == {"cut_short", "damaged"}


def test_json_as_programs_write_it(tmp_path: Path, run_curate: Curate) -> None:
    deep = b"[" * 300 + b"]" * 300
    (tmp_path / "a.jsonl").write_bytes(
        b"\xef\xbb\xbf"
        + lines(
            {"text": TEXTS[0], "n": 1},
            {"text": TEXTS[1], "n": float("nan"), "m": float("-inf"), "k": [float("nan")]},
            b"\xef\xbb\xbf" + lines({"text": TEXTS[2]}).strip(),
            {"text": TEXTS[3], "half": "a\ud83d", "a\ud83d": 1},
            {"text": "half a pair \ud83d"},
            {"text": TEXTS[4], "large": 10**400, "deep": [[1]]},
            b'{"text": "' + TEXTS[5].encode() + b'", "deep": ' + deep + b"}",
            b'{"text": "much deeper", "deep": ' + b"[" * 10**5 + b"]" * 10**5 + b"}",
            b'{"text": "no end',
            b"NaN",
        )
    )
    kept, bad = curated(tmp_path, run_curate, "jsonl", path=str(tmp_path / "a.jsonl"))
    assert kept == {
        TEXTS[0]: {"n": 1},
        TEXTS[1]: {"n": None, "m": None, "k": [None]},
        TEXTS[2]: {},
        TEXTS[3]: {"half": "a\ufffd", "a\ufffd": 1},
        TEXTS[4]: {"large": None, "deep": [[1]]},
    }
    assert set(bad) == {"invalid_unicode", "nested_too_deep", "not_json", "not_an_object"}


def test_a_line_with_a_byte_order_mark_alone_is_blank(tmp_path: Path, run_curate: Curate) -> None:
    mark = b"\xef\xbb\xbf"
    (tmp_path / "a.jsonl").write_bytes(mark + b"\n" + lines({"text": TEXTS[0]}) + mark)
    assert curated(tmp_path, run_curate, "jsonl", path=str(tmp_path / "a.jsonl")) == ({TEXTS[0]: {}}, {})


def test_parquet_columns_of_every_type(tmp_path: Path, run_curate: Curate) -> None:
    moment = 1_600_000_000_000_000_001
    day = datetime.datetime(2020, 9, 13, 12, 26, 40)
    columns = {
        "text": pyarrow.array([TEXTS[0].encode()], pyarrow.binary()),
        "ns": pyarrow.array([moment], pyarrow.timestamp("ns")),
        "zone": pyarrow.array([moment], pyarrow.timestamp("ns", "Europe/Berlin")),
        "second": pyarrow.array([day], pyarrow.timestamp("s")),
        "date": pyarrow.array([day.date()]),
        "time": pyarrow.array([day.time()]),
        "duration": pyarrow.array([datetime.timedelta(hours=1)]),
        "decimal": pyarrow.array([decimal.Decimal("1.50")]),
        "bytes": pyarrow.array([b"caf\xc3\xa9"]),
        "no_text": pyarrow.array([b"caf\xe9"]),
        "fixed": pyarrow.array([b"\xff" * 3], pyarrow.binary(3)),
        "uuid": pyarrow.array([b"0" * 16], pyarrow.uuid()),
        "words": pyarrow.array(["a"]).dictionary_encode(),
        "map": pyarrow.array([[("a", 1)]], pyarrow.map_(pyarrow.string(), pyarrow.int64())),
        "nested": pyarrow.array(
            [[{"when": moment, "what": b"x"}]],
            pyarrow.list_(pyarrow.struct({"when": pyarrow.timestamp("ns"), "what": pyarrow.binary()})),
        ),
        "nan": pyarrow.array([float("nan")]),
        "large": pyarrow.array([2**64 - 1], pyarrow.uint64()),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    kept, bad = curated(tmp_path, run_curate, "parquet", path=str(tmp_path / "a.parquet"))
    assert bad == {}
    assert kept == {
        TEXTS[0]: {
            "ns": "2020-09-13T12:26:40.000000001",
            "zone": "2020-09-13T14:26:40.000000001+02:00",
            "second": "2020-09-13T12:26:40",
            "date": "2020-09-13",
            "time": "12:26:40",
            "duration": 3600.0,
            "decimal": "1.50",
            "bytes": "café",
            "no_text": "Y2Fm6Q==",
            "fixed": "////",
            "uuid": "30303030-3030-3030-3030-303030303030",
            "words": "a",
            "map": [["a", 1]],
            "nested": [{"when": "2020-09-13T12:26:40.000000001", "what": "x"}],
            "nan": None,
            "large": 2**64 - 1,
        }
    }


def test_parquet_values_that_python_does_not_have(tmp_path: Path, run_curate: Curate) -> None:
    moments = pyarrow.array([0, 10**12, 1], pyarrow.timestamp("s"))
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS[:3], "t": moments}), tmp_path / "a.parquet")
    kept, bad = curated(tmp_path, run_curate, "parquet", path=str(tmp_path / "a.parquet"))
    assert kept == {TEXTS[0]: {"t": "1970-01-01T00:00:00"}, TEXTS[2]: {"t": "1970-01-01T00:00:01"}}
    assert set(bad) == {"value_out_of_range"}
    assert "date value out of range" in bad["value_out_of_range"]


def test_columns_of_one_name(tmp_path: Path, run_curate: Curate) -> None:
    columns = [pyarrow.array(TEXTS[:1]), pyarrow.array([{"a": 1}]), pyarrow.array(["u"])]
    table = pyarrow.Table.from_arrays(columns, names=["text", "twice", "twice"])
    (tmp_path / "in").mkdir()
    pyarrow.parquet.write_table(table, tmp_path / "in" / "a.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS[1:2]}), tmp_path / "in" / "b.parquet")
    kept, bad = curated(tmp_path, run_curate, "parquet", path=str(tmp_path / "in"))
    assert (kept, bad) == ({TEXTS[1]: {}}, {"repeated_column": "twice"})


NAMES = {"id": "their id", "place": "Paris", "bad": "yes", "refused": "no", "file_path": "src/a.py", "language": ["en"]}


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "huggingface"])
def test_columns_keep_their_meaning_whatever_they_are_called(tmp_path: Path, run_curate: Curate, kind: str) -> None:
    row = {"text": TEXTS[0], **NAMES, "source": "theirs", "origin": "a book", "scores": [1, 2], "uncut_id": "no hash"}
    folder = tmp_path / "in"
    folder.mkdir()
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), folder / "a.parquet")
    else:
        (folder / "a.jsonl").write_bytes(lines(row))
    settings = {"dataset": str(folder), "revision": None} if kind == "huggingface" else {"path": str(folder)}
    kept, bad = curated(tmp_path, run_curate, kind, **settings)
    assert bad == {}
    kept[TEXTS[0]].pop("dataset", None)
    theirs = {"source": "theirs", "origin": "a book", "scores": [1, 2], "uncut_id": "no hash"}
    assert kept == {TEXTS[0]: {**NAMES, **{f"column_{name}": value for name, value in theirs.items()}}}
    # What the disclosure says of languages is what a step found, and no step looked.
    (disclosed,) = read_json(next(tmp_path.rglob("disclosure.json")))
    assert disclosed["languages"] == ["en"]


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ({"url": "u", "n": 1}, {"url": "u", "n": 1}),
        ('{"url": "u", "source": "s"}', {"url": "u", "column_source": "s"}),
        ("a note", {"metadata": "a note"}),
        ([1, 2], {"metadata": [1, 2]}),
        ({}, {"metadata": {}}),
    ],
)
def test_a_column_called_metadata(tmp_path: Path, run_curate: Curate, metadata: Any, kept: dict[str, Any]) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines({"text": TEXTS[0], "metadata": metadata}))
    found, _ = curated(tmp_path, run_curate, "jsonl", path=str(tmp_path / "a.jsonl"))
    assert found == {TEXTS[0]: kept}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_an_entry_of_the_column_metadata_can_be_named(tmp_path: Path, run_curate: Curate, kind: str) -> None:
    row = {"text": TEXTS[0], "metadata": {"url": "u", "n": 1}, "id": 7}
    if kind == "jsonl":
        (tmp_path / "a.jsonl").write_bytes(lines(row))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "a.parquet")
    found, _ = curated(tmp_path, run_curate, kind, path=str(tmp_path / f"a.{kind}"), metadata_keys=["url", "id"])
    assert found == {TEXTS[0]: {"url": "u", "id": 7}}


def test_rows_of_a_dataset_whose_fields_differ(tmp_path: Path, run_curate: Curate) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    files = [
        lines({"text": TEXTS[0], "v": 1}, {"text": TEXTS[1], "v": "one"}, {"text": TEXTS[2], "w": [1]}),
        lines({"text": TEXTS[3], "v": {"x": 1}, "more": None}),
        lines({"text": TEXTS[4], "v": 2}, {"no": "text"}) + b'{"text": \n',
        lines({"text": TEXTS[5]}),
    ]
    for number, content in enumerate(files):
        (folder / f"{number}.jsonl").write_bytes(content)
    kept, bad = curated(tmp_path, run_curate, "huggingface", dataset=str(folder), revision=None, shards=2)
    assert {text: metadata.get("v") for text, metadata in kept.items()} == {
        TEXTS[0]: 1, TEXTS[1]: "one", TEXTS[2]: None, TEXTS[3]: {"x": 1}, TEXTS[5]: None,
    }  # fmt: skip
    # The library parses blocks of a file: with the bad line goes the block it is in.
    assert set(bad) == {"damaged"}
    assert "JSON parse error" in bad["damaged"]


def test_chats_of_a_dataset_whose_messages_differ(tmp_path: Path, run_curate: Curate) -> None:
    (tmp_path / "in").mkdir()
    chat = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "You", "tools": {"a": 1}}]
    other = [{"role": "user", "content": "Bye", "tools": "none"}]
    (tmp_path / "in" / "a.jsonl").write_bytes(lines({"messages": chat}, {"messages": other}))
    kept, bad = curated(
        tmp_path, run_curate, "huggingface", dataset=str(tmp_path / "in"), revision=None, text_key="messages"
    )
    assert (set(kept), bad) == ({"Hello\n\nYou", "Bye"}, {})


@pytest.mark.parametrize("settings", [{"dataset": "nobody/nothing"}, {"split": "test"}])
def test_a_dataset_that_cannot_be_opened(tmp_path: Path, run_curate: Curate, settings: dict[str, Any]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(lines({"text": TEXTS[0]}))
    with pytest.raises(DataError, match=r"dataset=.*cannot be opened"):
        curated(tmp_path, run_curate, "huggingface", **{"dataset": str(tmp_path / "in"), "revision": None, **settings})

"""Kinds of sources: files through fsspec, pages in files, rows with columns, datasets of the hub."""

import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import fsspec
import httpx2
import pyarrow
import pyarrow.parquet
import pytest
from fsspec.implementations.local import LocalFileSystem

from pipeline.core.config import build
from pipeline.core.errors import DataError, RecipeError
from pipeline.core.files import read_json
from pipeline.curation.readers import hub
from pipeline.curation.readers.columns import row_text
from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.plain_values import BadValueError
from pipeline.curation.readers.readers import list_items, read
from pipeline.curation.readers.source_files import check_source, describe, display_path
from pipeline.curation.readers.sources import SOURCES, Source
from pipeline.curation.readers.warc import write_warc
from tests import ROOT
from tests.curation.recipe_files import DISCLOSURE, recipe, write_lines, write_recipe

GOOD = [f"A good text with the number {index} in it." for index in range(12)]


def source(kind: str, **settings: Any) -> Any:
    return build(SOURCES[kind], {"kind": kind, "disclosure": DISCLOSURE, **settings}, "")


def documents(each: Source) -> list[Any]:
    return list(read(each, list_items(each), lambda _: None))


def test_files_wherever_fsspec_reaches() -> None:
    system = fsspec.filesystem("memory")
    for name in ("a", "deeper/b"):
        system.pipe(
            f"/bucket/{name}.jsonl", "".join(json.dumps({"text": f"{name} {text}"}) + "\n" for text in GOOD).encode()
        )
    each = source("jsonl", path="memory://bucket")
    check_source(each, "sources[0]")
    assert [display_path(each, name) for name in list_items(each)] == [
        "memory://bucket/a.jsonl",
        "memory://bucket/deeper/b.jsonl",
    ]
    assert describe(each)["files"][0][0] == "a.jsonl"
    assert {document.text for document in documents(each)} == {
        f"{name} {text}" for name in ("a", "deeper/b") for text in GOOD
    }
    with pytest.raises(RecipeError, match=r"sources\[0\]\.path=memory://nowhere: no such file"):
        check_source(source("jsonl", path="memory://nowhere"), "sources[0]")
    with pytest.raises(RecipeError, match=r"sources\[0\]\.path=nonsense://x: Protocol not known"):
        check_source(source("jsonl", path="nonsense://x"), "sources[0]")


def test_a_page_a_file_in_whatever_encoding(tmp_path: Path) -> None:
    text = "Übergrößenträger für Schränke, größer als süße Äpfel"
    pages = {
        "utf8": f"<p>{text}</p>".encode(),
        "declared": b'<meta charset="iso-8859-15">' + f"<p>{text}</p>".encode("iso-8859-15"),
        "undeclared": f"<p>{text * 5}</p>".encode("cp1252"),
    }
    for name, content in pages.items():
        (tmp_path / f"{name}.html").write_bytes(content)
    found = documents(source("html", path=str(tmp_path)))
    assert len(found) == 3
    assert all(text in document.text for document in found)


@pytest.mark.parametrize(
    ("row", "keys", "text"),
    [
        ({"text": "a"}, ("text",), "a"),
        ({"problem": "a", "solution": "b", "id": 1}, ("problem", "solution"), "a\n\nb"),
        ({"problem": "a", "hint": None, "solution": "b"}, ("problem", "hint", "solution"), "a\n\nb"),
        ({"m": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, ("m",), "a\n\nb"),
        ({"m": [{"from": "human", "value": "a"}]}, ("m",), "a"),
    ],
)
def test_the_row_text_a_row(row: dict[str, Any], keys: tuple[str, ...], text: str) -> None:
    assert row_text(row, keys) == text


@pytest.mark.parametrize("row", [{}, {"text": 1}, {"text": ["a"]}, {"text": [{"content": 1}]}, {"text": {"a": "b"}}])
def test_a_row_without_text(row: dict[str, Any]) -> None:
    with pytest.raises(BadValueError):
        row_text(row, ("text",))


def test_columns_that_come_along(tmp_path: Path) -> None:
    table = {"content": GOOD, "url": [f"u{index}" for index in range(12)], "vector": [[0.5]] * 12}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    each = source("parquet", path=str(tmp_path), text_key="content", metadata_keys=["url"])
    found = documents(each)[3]
    assert (found.text, found.metadata["url"]) == (GOOD[3], "u3")
    assert "vector" not in found.metadata
    assert "vector" in documents(source("parquet", path=str(tmp_path), text_key="content"))[0].metadata


def test_a_dataset_as_the_hub_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"problem": text, "solution": f"answer {index}"} for index, text in enumerate(GOOD)]
    folder = tmp_path / "data"
    folder.mkdir()
    for part in range(3):
        lines = "".join(json.dumps(row) + "\n" for row in [*rows[part::3], {"problem": 7, "solution": "x"}])
        (folder / f"train-{part}.jsonl").write_text(lines)
    each = source(
        "huggingface", dataset=str(folder), revision=None, shards=3, text_key=["problem", "solution"], metadata_keys=[]
    )

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    found = documents(each)
    good = {document.text for document in found if document.bad is None}
    assert good == {f"{row['problem']}\n\n{row['solution']}" for row in rows}
    assert [document.bad for document in found if document.bad is not None] == ["text_is_no_string"] * 3


class ResetFile(io.FileIO):
    """A file behind whose first bytes the connection is reset."""

    def readinto(self, buffer: Any, /) -> int:
        if self.tell() > 0:
            raise ConnectionResetError("reset by peer")
        return super().readinto(memoryview(buffer)[:64]) or 0


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "html", "warc"])
def test_a_connection_that_fails_is_no_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Put aside, the rest of the file would be lost, and the task done."""
    name = {"jsonl": "a.jsonl", "parquet": "a.parquet", "html": "a.html", "warc": "a.warc.gz"}[kind]
    if kind == "jsonl":
        (tmp_path / name).write_text("".join(json.dumps({"text": text}) + "\n" for text in GOOD))
    elif kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.table({"text": GOOD}), tmp_path / name)
    elif kind == "html":
        (tmp_path / name).write_text(f"<p>{GOOD}</p>")
    else:
        write_warc(tmp_path / name, [EmbeddedText(str(number), text) for number, text in enumerate(GOOD)])
    monkeypatch.setattr(LocalFileSystem, "_open", lambda _, path, *__, **___: io.BufferedReader(ResetFile(path)))
    with pytest.raises(DataError, match=rf"{name}: the network failed .*reset by peer.*run again"):
        documents(source(kind, path=str(tmp_path)))


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Server Disconnected"),
        httpx2.ReadTimeout("timed out"),
        httpx2.HTTPError("429 Too Many Requests"),
    ],
)
def test_a_dataset_whose_connection_fails_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in GOOD))
    rows = hub._rows

    def until_reset(file: Any) -> Any:
        yield next(rows(file))
        raise error

    monkeypatch.setattr(hub, "_rows", until_reset)
    with pytest.raises(DataError, match="the network failed"):
        documents(source("huggingface", dataset=str(tmp_path), revision=None))


NO_NETWORK = """
import socket
def refuse(self, address):
    raise AssertionError(f"the network was asked for {address}")
def connect(self, address, ours=socket.socket.connect):
    return ours(self, address) if self.family == socket.AF_UNIX else refuse(self, address)
socket.socket.connect = socket.socket.connect_ex = connect
socket.getaddrinfo = lambda *arguments, **options: refuse(None, arguments)
"""


def test_a_whole_curation_asks_no_network(tmp_path: Path) -> None:
    """Every step that has a model or a list, in processes that all refuse to open a connection."""
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text(NO_NETWORK)
    sentence = "<p>The cat of house {number} sat with the {animal} and they have a bone to give.</p>"
    pages = [
        EmbeddedText(animal, "".join(sentence.format(number=number, animal=animal) for number in range(9)))
        for animal in ("dog", "horse", "elephant")
    ]
    write_warc(tmp_path / "pages.warc.gz", pages)
    write_lines(tmp_path / "benchmark.jsonl", ["a question that none of the pages has in it"])
    steps: list[dict[str, Any]] = [
        {"step": "url_filter", "domains": ["pagey"]},
        {"step": "trafilatura"},
        {"step": "repair_encoding"},
        {"step": "language", "keep": ["en"]},
        {"step": "gopher_repetition", "top_n_grams": {2: 1.0}, "duplicate_n_grams": {5: 1.0}},
        {"step": "gopher_quality"},
        {"step": "c4"},
        {"step": "fineweb_quality", "maximum_short_lines": None},
        {"step": "decontaminate", "benchmarks": [
            {"name": "b", "path": str(tmp_path / "benchmark.jsonl"), "text_keys": ["text"]}]},
        {"step": "pii"},
        {"step": "secrets"},
        {"step": "exact_dedup"},
        {"step": "minhash", "minimum_jaccard": 0.99},
    ]  # fmt: skip
    sources = [{"kind": "warc", "path": str(tmp_path / "pages.warc.gz"), "disclosure": DISCLOSURE}]
    path = write_recipe(tmp_path / "recipes", recipe(tmp_path, steps, "common_crawl", sources=sources))
    command = [
        sys.executable, "-m", "pipeline", "stage", "curate", f"root={tmp_path}", "run=alone", f"recipe={path}",
        "tracking=off",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'blocked'}:{ROOT}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    funnel = read_json(tmp_path / "alone" / "curate" / "report.json")["common_crawl"]["steps"]
    assert [step["step"] for step in funnel] == ["read", *(step["step"] for step in steps)]
    assert funnel[-1]["kept"] == 3, funnel

"""A folder of one's own: texts, CSV and Arrow; columns renamed, documents chosen, paths beside the recipe."""

from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pyarrow.parquet
import pytest
import yaml

from pipeline.core.config import build
from pipeline.core.errors import ConfigError, RecipeError
from pipeline.curation.readers.readers import list_items, read
from pipeline.curation.readers.source_files import check_source
from pipeline.curation.readers.sources import SOURCES, Source
from pipeline.curation.readers.where import unmet
from pipeline.curation.recipes.recipe import load_recipe
from tests import ROOT
from tests.curation.recipe_files import DISCLOSURE, recipe, write_lines

TEXT = "Übergrößen, too: a text about something."


def source(kind: str, **settings: Any) -> Any:
    return build(SOURCES[kind], {"kind": kind, "disclosure": DISCLOSURE, **settings}, "")


def documents(each: Source) -> list[Any]:
    return list(read(each, list_items(each), lambda _: None))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two repositories, of which the second has no license, and files that are none of theirs."""
    files = {
        "first/LICENSE": "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy",
        "first/src/main.py": "print(1)\n",
        "first/README.md": "\ufeff" + TEXT,
        "first/.git/packed.py": "print(2)\n",
        "second/deep/tool.py": "print(3)\n",
        "notes.md": TEXT,
        "picture.png": "\0",
    }
    for name, text in files.items():
        path = tmp_path / "my texts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "my texts"


def test_a_file_is_a_document_with_its_place_and_license(folder: Path) -> None:
    found = documents(source("text", path=str(folder), pattern=["*.py", "*.md"]))
    kept = {each.metadata["path"]: (each.text, each.metadata) for each in found}
    assert sorted(kept) == ["first/README.md", "first/src/main.py", "notes.md", "second/deep/tool.py"]
    text, metadata = kept["first/src/main.py"]
    assert text == "print(1)\n"
    assert {key: metadata[key] for key in ("suffix", "repository", "license")} == {
        "suffix": ".py",
        "repository": "first",
        "license": "MIT",
    }
    assert kept["first/README.md"][0] == kept["notes.md"][0] == TEXT
    assert kept["second/deep/tool.py"][1]["repository"] == "second"
    assert "license" not in kept["second/deep/tool.py"][1]
    assert [each.text for each in documents(source("text", path=str(folder / "notes.md")))] == [TEXT]


def test_licenses_are_known_by_their_beginning_and_wherever_fsspec_reaches() -> None:
    system = fsspec.filesystem("memory")
    gpl = "GNU GENERAL PUBLIC LICENSE Version 3" + " x" * 2000 + "the GNU Affero General Public License"
    for name, text in {
        "gpl/COPYING": gpl,
        "gpl/a.txt": "a",
        "own/License.md": "ours alone",
        "own/b/b.txt": "b",
    }.items():
        system.pipe(f"/licensed/{name}", text.encode())
    found = documents(source("text", path="memory://licensed", pattern="*.txt"))
    assert [each.metadata["license"] for each in found] == ["GPL-2.0-or-later", "NOASSERTION"]
    assert [each.metadata["path"] for each in found] == ["gpl/a.txt", "own/b/b.txt"]


def test_another_encoding_is_named_or_set(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT.encode("cp1252"))
    assert [each.bad for each in documents(source("text", path=str(tmp_path)))] == ["other_encoding"]
    assert [each.text for each in documents(source("text", path=str(tmp_path), encoding="cp1252"))] == [TEXT]
    with pytest.raises(ConfigError, match="encoding is latin-99, set one that Python knows"):
        source("text", path=str(tmp_path), encoding="latin-99")


def test_csv_with_all_that_a_cell_may_hold(tmp_path: Path) -> None:
    rows = f'\ufefftext,address,stars\r\n"{TEXT}\nSecond ""line"", with a comma",u0,3\r\n\r\nshort,u1\r\nlast,u2,5\r\n'
    (tmp_path / "a.csv").write_bytes(rows.encode())
    found = documents(source("csv", path=str(tmp_path), columns={"address": "url"}))
    assert [each.bad for each in found] == [None, "wrong_number_of_cells", None]
    assert found[0].text == f'{TEXT}\nSecond "line", with a comma'
    assert (found[0].metadata["url"], found[0].metadata["stars"], found[2].text) == ("u0", "3", "last")
    (tmp_path / "a.csv").write_bytes(b'text\tn\nfirst\t1\n\xff\t2\n"never closed\t3\nrest\t4\n')
    found = documents(source("csv", path=str(tmp_path), delimiter="\t"))
    assert [each.bad for each in found] == [None, None, "damaged"]
    with pytest.raises(UnicodeEncodeError):  # what curation puts aside as invalid Unicode
        found[1].text.encode()
    (tmp_path / "a.csv").write_bytes(b"text,text\na,b\n")
    assert [each.bad for each in documents(source("csv", path=str(tmp_path)))] == ["repeated_column"]


@pytest.mark.parametrize("form", [pyarrow.ipc.new_file, pyarrow.ipc.new_stream])
def test_arrow_as_a_file_and_as_a_stream(tmp_path: Path, form: Any) -> None:
    table = pyarrow.table({"content": [TEXT, "b"], "n": [1, 2]})
    with form(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table, 1)
    found = documents(source("arrow", path=str(tmp_path), columns={"content": "text"}, metadata_keys=["n"]))
    assert [(each.text, each.metadata["n"]) for each in found] == [(TEXT, 1), ("b", 2)]
    (tmp_path / "a.arrow").write_bytes((tmp_path / "a.arrow").read_bytes()[:300])
    assert documents(source("arrow", path=str(tmp_path)))[-1].bad in ("damaged", "cut_short")


def test_columns_of_every_table_are_renamed(tmp_path: Path) -> None:
    table = pyarrow.table({"content": ["a"], "address": ["u"], "metadata": ['{"n": 1, "old": 2}']})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    columns = {"content": "text", "address": "url", "old": "new"}
    found = documents(source("parquet", path=str(tmp_path), columns=columns, metadata_keys=["url", "new"]))[0]
    assert (found.text, found.metadata["url"], found.metadata["new"]) == ("a", "u", 2)
    write_lines(tmp_path / "a.jsonl", ["a"])
    found = documents(source("jsonl", path=str(tmp_path), columns={"text": "prose"}, text_key="prose"))[0]
    assert found.text == "a"
    assert documents(source("parquet", path=str(tmp_path), columns={"content": "address"}, text_key="address"))[
        0
    ].bad == ("repeated_column")


@pytest.mark.parametrize(
    ("where", "met", "not_met"),
    [
        ({"language": "en"}, {"language": "en"}, {"language": "de"}),
        ({"language": "en"}, {"language": ["de", "en"]}, {}),
        ({"year": 2020}, {"year": "2020"}, {"year": "2021"}),
        ({"fork": False}, {"fork": False}, {"fork": 0}),
        ({"stars": {"at_least": 10}}, {"stars": 10}, {"stars": 9.5}),
        ({"stars": {"at_least": 10}}, {"stars": "1e1"}, {"stars": "many"}),
        ({"license": {"one_of": ["MIT", "ISC"]}}, {"license": "ISC"}, {"license": "GPL"}),
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 1, "b": 3}),
    ],
)
def test_what_metadata_must_say(where: dict[str, Any], met: dict[str, Any], not_met: dict[str, Any]) -> None:
    source("jsonl", path=".", where=where)
    assert unmet(met, where) is None
    assert unmet(not_met, where) in where


@pytest.mark.parametrize(
    "condition", [{"at_most": 3}, {"at_least": "many"}, {"one_of": "MIT"}, None, {"at_least": True}]
)
def test_a_condition_that_is_none_is_named(condition: Any) -> None:
    with pytest.raises(ConfigError, match=r"where\.stars is .*, set a value, \{at_least: <number>\} or"):
        source("jsonl", path=".", where={"stars": condition})


def test_a_path_is_looked_for_here_and_beside_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, elsewhere = tmp_path / "my recipes", tmp_path / "elsewhere"
    content = recipe(Path("data"), [])
    folder.mkdir()
    (folder / "technical.yaml").write_text(yaml.safe_dump(content))
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(RecipeError) as caught:
        load_recipe(folder / "technical.yaml")
    assert f"path=data: no such file or folder (looked for data and {folder / 'data'}), set path" in str(caught.value)
    write_lines(folder / "data" / "a.jsonl", ["beside the recipe"])
    beside = load_recipe(folder / "technical.yaml")
    found = documents(beside.sources[0])
    assert [(each.text, each.location.file) for each in found] == [("beside the recipe", "data/a.jsonl")]
    write_lines(elsewhere / "data" / "a.jsonl", ["here"])
    here = load_recipe(folder / "technical.yaml")
    assert [each.text for each in documents(here.sources[0])] == ["here"]
    assert here.fingerprint == beside.fingerprint
    (elsewhere / "data" / "a.jsonl").unlink()
    with pytest.raises(RecipeError, match=r"path=data: no file in data matches pattern=\*\.jsonl\*, set pattern"):
        check_source(here.sources[0], "sources[0]")


def test_recipes_without_the_new_keys_are_what_they_were() -> None:
    for path in (ROOT / "data_recipes" / "granite").glob("*.yaml"):
        for each in load_recipe(path).as_json()["sources"]:
            assert not {"where", "columns", "recipe_folder"} & each.keys()

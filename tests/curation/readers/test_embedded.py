"""The embedded corpus gives the same texts in every process and on every machine."""

import importlib
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from pipeline.curation.readers.embedded import mathematics, web_pages
from pipeline.curation.readers.embedded.render_pages import Page
from pipeline.environments import split_of
from tests import ROOT
from tests.curation.readers.embedded_sources import embedded_source

GENERATORS: list[tuple[str, dict[str, Any]]] = [
    ("source_files", {"packages": ("click",), "limit": 3}),
    ("docstrings", {"packages": ("click",), "limit": 3}),
    ("readmes", {"packages": ("click", "jinja2")}),
    ("mathematics", {"limit": 14}),
    ("locales", {"limit": 12}),
    ("topics", {"limit": 2}),
    ("manuals", {"packages": ("click",)}),
    ("repositories", {"packages": ("click",)}),
    ("licences", {"packages": ("click", "jinja2")}),
    ("regions", {"limit": 10}),
    ("web_pages", {"packages": ("python",), "limit": 8}),
]


@pytest.mark.parametrize(("generator", "settings"), GENERATORS)
def test_a_generator_gives_the_same_texts_in_any_division(generator: str, settings: dict[str, Any]) -> None:
    module = importlib.import_module(f"pipeline.curation.readers.embedded.{generator}")
    chosen = embedded_source(generator, **settings)
    names = module.list_items(chosen)
    assert names == module.list_items(chosen)
    assert len(set(names)) == len(names)
    whole = sorted((each.origin, each.text) for each in module.read(chosen, names))
    parts = [each for half in (names[::2], names[1::2]) for each in module.read(chosen, half)]
    assert sorted((each.origin, each.text) for each in parts) == whole
    assert whole
    assert sum(len(text) for _, text in whole) > 1_000


def test_pages_hold_no_address_and_no_folder_of_this_machine() -> None:
    chosen = embedded_source("web_pages", packages=("python",))
    pages = list(web_pages.read(chosen, ["ftplib", "poplib", "doctest", "tempfile", "os"]))
    assert any("FTP" in page.text for page in pages)
    for page in pages:
        assert "0x7" not in page.text
        assert sysconfig.get_path("stdlib") not in page.text
        assert str(Path.home()) + "/" not in page.text


def test_a_folder_is_a_path_and_no_part_of_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "text{0}lication, {1}/a.py, '{1}', in {1}. {0}-2 and {0}.d stay"
    assert Page().without_folders(text.format(tmp_path, tmp_path)) == text.format(tmp_path, "")


NAMES_EVERYTHING = """
import html, json, os, pathlib, sys, tempfile, urllib.parse
HERE = [os.path.dirname(__file__) + "/lib", os.environ.get("HF_HOME"), os.path.expanduser("~/.cache"), os.getcwd()]
HERE += [tempfile.gettempdir(), os.environ.get("USER"), os.environ.get("SSH_CONNECTION"), sys.prefix + "/share"]
LIB = pathlib.Path(HERE[0])
HERE += [LIB, LIB.resolve(), LIB.resolve().as_uri(), urllib.parse.quote(HERE[0]), os.fsencode(HERE[0]), "-I" + HERE[0]]
WRITTEN = [write(HERE[0]) for write in (html.escape, repr, ascii, json.dumps)]
class Search:
    def __init__(self, places=HERE):
        pass
    def own(self):
        pass
def search(places=HERE):
    pass
Search.__doc__ = search.__doc__ = "Look for it. " * 30 + "\\n\\nLooks in " + ", ".join(map(str, HERE + WRITTEN))
"""


@pytest.mark.parametrize(
    "name", ["plain", "my own & <old> environment", "somebody's", 'it\'s "quoted" größer', "100 % plain", "a\\b"]
)
def test_a_page_tells_nothing_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Wherever the project lies and whoever runs it: `own` is a folder and a method, which pydoc links."""
    pages = []
    (tmp_path / name).mkdir()
    (tmp_path / "linked place").symlink_to(tmp_path / name)
    for place in (
        tmp_path / "linked place" / "own",
        tmp_path / name / "own",
        tmp_path / "another" / "longer" / "place",
    ):
        place.mkdir(parents=True, exist_ok=True)
        (place / "module_of_a_test.py").write_text(NAMES_EVERYTHING)
        (place / "home").mkdir(exist_ok=True)
        with monkeypatch.context() as machine:
            for variable in ("HF_HOME", "HOME", "USER", "SSH_CONNECTION", "TMPDIR"):
                machine.setenv(variable, str(place / "home"))
            machine.syspath_prepend(place)
            pages.append(list(web_pages.read(embedded_source("web_pages", packages=("python",)), ["module_of_a_test"])))
    assert [page.origin for page in pages[0]] == ["module_of_a_test.Search", "module_of_a_test.search"]
    assert pages[0] == pages[1] == pages[2]
    for page in pages[0]:
        assert "/lib" in page.text
        assert not {"environment", "quoted", "plain", "place", "somebody"} & set(re.findall(r"\w+", page.text))


def test_the_corpus_is_the_same_wherever_project_and_environment_lie(tmp_path: Path) -> None:
    """All generators, once from here and once through links from a folder with an awkward name."""
    other = tmp_path / "somebody's 1st run & größer"
    other.mkdir()
    for name in ("pipeline", "tests"):
        (other / name).symlink_to(ROOT / name)
    (other / ".venv").symlink_to(sys.prefix)
    program = (
        "import ast, importlib, sys\n"
        "from tests.curation.readers.embedded_sources import embedded_source\n"
        "for generator, settings in ast.literal_eval(sys.argv[1]):\n"
        "    chosen = embedded_source(generator, **settings)\n"
        "    module = importlib.import_module(f'pipeline.curation.readers.embedded.{generator}')\n"
        "    for text in module.read(chosen, module.list_items(chosen)):\n"
        "        print(ascii((generator, text.origin, text.text)))\n"
        "pages = importlib.import_module('pipeline.curation.readers.embedded.web_pages')\n"
        "print(sys.prefix, pages.__file__, file=sys.stderr)\n"
        "print(ascii(list(pages.read(embedded_source('web_pages'), ['numpy.distutils.system_info']))))\n"
    )
    texts, places = [], []
    for place, prefix in ((ROOT, Path(sys.prefix)), (other, other / ".venv")):
        done = subprocess.run(
            [prefix / "bin" / "python", "-P", "-c", program, repr(GENERATORS[:-1])],
            cwd=place,
            env={"PYTHONPATH": str(place), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            check=True,
        )
        texts.append(done.stdout)
        places.append(done.stderr)
    assert str(other / ".venv").encode() in places[1]
    assert places[0] != places[1]
    assert len(texts[0]) > 100_000
    assert texts[0] == texts[1]


def test_sets_print_alike_whatever_the_hash_seed() -> None:
    program = (
        "from tests.curation.readers.embedded_sources import embedded_source\n"
        "from pipeline.curation.readers.embedded import web_pages\n"
        "chosen = embedded_source('web_pages', packages=('python',))\n"
        "print([(page.origin, page.text) for page in web_pages.read(chosen, ['argparse', 'locale'])])\n"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(runs[0]) > 10_000


def test_exercises_are_none_of_those_held_out() -> None:
    chosen = embedded_source("mathematics", limit=28)
    found = list(mathematics.read(chosen, mathematics.list_items(chosen)))
    assert found
    for each in found:
        questions = [line.removeprefix("Question: ") for line in each.text.splitlines() if line.startswith("Question")]
        assert len(questions) == mathematics.PROBLEMS_PER_DOCUMENT
        assert all(split_of(question) == "train" for question in questions)

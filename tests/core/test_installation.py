"""Where the package finds what comes with it."""

import shlex
from pathlib import Path

import pytest

from pipeline.core import artifact, installation
from tests import ROOT


def test_a_checkout_has_its_folders_beside_the_package() -> None:
    assert installation.CHECKOUT == ROOT
    assert (installation.CONF / "config.yaml").is_file()


def test_the_working_directory_comes_before_what_is_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = Path("data_recipes/smoke")
    assert installation.locate(asked) == ROOT / asked
    (tmp_path / asked).mkdir(parents=True)
    assert installation.locate(asked) == asked


def test_only_recipes_are_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert installation.locate(Path("docs/curation.md")) == Path("docs/curation.md")
    assert installation.places(Path("my_recipes")) == str(tmp_path / "my_recipes")
    both = f"{tmp_path / 'data_recipes/mine'} and {ROOT / 'data_recipes/mine'}"
    assert installation.places(Path("data_recipes/mine")) == both


def test_a_checkout_is_put_before_what_is_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/else where")
    assert installation.python_path() == f"{ROOT}:/else where"
    monkeypatch.setattr(installation, "CHECKOUT", None)
    assert installation.python_path() == "/else where"
    monkeypatch.delenv("PYTHONPATH")
    assert installation.python_path() == ""


def test_an_installed_package_has_no_revision_of_the_repository_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "CHECKOUT", None)
    assert artifact.provenance()["git_revision"] is None


def test_the_command_is_named_as_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(ROOT)
    assert installation.command_name() == "./fivephase"
    assert installation.command_name(tmp_path) == shlex.quote(f"{ROOT}/fivephase")
    monkeypatch.chdir(tmp_path)
    assert installation.command_name() == shlex.quote(f"{ROOT}/fivephase")
    (tmp_path / "fivephase").touch(mode=0o755)
    assert installation.command_name() == "fivephase"

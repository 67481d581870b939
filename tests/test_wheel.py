"""A wheel in an environment of its own, used from a folder that has nothing of the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from pipeline.core.artifact import read_manifest
from pipeline.core.errors import EXIT_USER_ERROR
from tests import ROOT

pytestmark = pytest.mark.slow

NO_SOURCES = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "dist", "runs", "wandb")
MODEL = "defaults: [smoke]\nlayers: 1\n"
SCALE = """# @package _global_
defaults:
  - smoke
  - override /model: mine
scale: mine
stages:
  phase1: {config: {tokens: 123_456}}
"""


def outside(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What a command does in a folder, without this checkout on Python's path."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=850)


def checked(command: list[str], folder: Path) -> str:
    done = outside(command, folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel of the source distribution; what the package needs it takes from the current one.

    Builds need no network. The current site-packages come in as a plain path, so that an editable install there, which
    is made of import hooks, has no part in it.
    """
    folder = tmp_path_factory.mktemp("with a space")
    shutil.copytree(ROOT, folder / "source", ignore=NO_SOURCES)
    hook = "import sys, setuptools.build_meta as build; build.build_sdist(sys.argv[1])"
    checked([sys.executable, "-c", hook, str(folder / "dist")], folder / "source")
    (source_distribution,) = (folder / "dist").glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip"]
    offline = ["--quiet", "--no-deps", "--no-index"]
    wheel = ["wheel", "--no-build-isolation", "--wheel-dir", "dist", str(source_distribution)]
    checked([*pip, *wheel, *offline], folder)
    (built,) = (folder / "dist").glob("*.whl")
    checked([sys.executable, "-m", "venv", "--without-pip", "venv"], folder)
    checked([*pip, "--python", "venv/bin/python", "install", str(built), *offline], folder)
    (site_packages,) = (folder / "venv").glob("lib/python*/site-packages")
    current = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages / "current.pth").write_text("\n".join(sorted(current)))
    return folder / "venv"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A working directory with modules that must not be taken for those of the package or its dependencies."""
    folder = tmp_path / "my project"
    folder.mkdir()
    for name in ("pipeline", "datasets"):
        (folder / f"{name}.py").write_text("raise RuntimeError('this module is not meant')\n")
    return folder


def test_a_wheel_plans(environment: Path, elsewhere: Path) -> None:
    fivephase = str(environment / "bin" / "fivephase")
    assert "release" in checked([fivephase, "plan", "scale=smoke"], elsewhere)
    # Recipes of the built-in scale, looked for here as well.
    refused = outside([fivephase, "plan", "stages.curate.config.recipes=data_recipes/nowhere"], elsewhere)
    assert refused.returncode == EXIT_USER_ERROR
    (installed,) = environment.glob("lib/python*/site-packages/pipeline")
    for place in (elsewhere, installed):
        assert str(place / "data_recipes" / "nowhere") in refused.stderr


def test_configurations_of_the_user_stand_beside_those_of_a_wheel(environment: Path, elsewhere: Path) -> None:
    for group, text in (("scale", SCALE), ("model", MODEL)):
        (elsewhere / "conf" / group).mkdir(parents=True)
        (elsewhere / "conf" / group / "mine.yaml").write_text(text)
    fivephase = str(environment / "bin" / "fivephase")
    assert "123,904" in checked([fivephase, "plan", "scale=mine", "to=phase1"], elsewhere)
    assert "did you mean mine?" in outside([fivephase, "plan", "scale=mien"], elsewhere).stderr


def test_a_wheel_writes_a_folder_that_can_be_run(environment: Path, elsewhere: Path) -> None:
    fivephase = str(environment / "bin" / "fivephase")
    checked([fivephase, "init", "first"], elsewhere)
    assert "phase1" in checked([fivephase, "plan", "scale=mine"], elsewhere / "first")


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_a_wheel_makes_tokens(environment: Path, elsewhere: Path) -> None:
    fivephase = str(environment / "bin" / "fivephase")
    checked([fivephase, "run", "scale=smoke", "to=tokenize", "tracking=off"], elsewhere)
    manifest = read_manifest(elsewhere / "runs" / "smoke" / "tokenize")
    assert manifest is not None
    assert manifest.tokens > 1_000_000
    assert manifest.git_revision is None

"""Installing: which Python will do, what an interrupted installation leaves, and the command beside README."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests import ROOT
from tools.install import BEGUN, COMPLETE, megabytes, wrong_with

BACKEND = """
import zipfile
KIND = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
INFO = "Metadata-Version: 2.1\\nName: fivephase\\nVersion: 0\\nProvides-Extra: dev\\n"
def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/fivephase-0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("installed_fivephase.py", "")
        wheel.writestr("fivephase-0.dist-info/METADATA", INFO)
        wheel.writestr("fivephase-0.dist-info/WHEEL", KIND)
        wheel.writestr("fivephase-0.dist-info/RECORD", "")
    return "fivephase-0-py3-none-any.whl"
"""
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (3, 13, 9)])
def test_these_pythons_will_do(version: tuple[int, ...]) -> None:
    assert wrong_with(version, []) is None


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 10, 13), (3, 14, 0), (4, 0, 0)])
def test_another_python_is_named_with_one_that_will_do(version: tuple[int, ...]) -> None:
    for others, remedy in (([], "install one of them"), (["python3.12", "python3.11"], "make setup PYTHON=python3.12")):
        line = wrong_with(version, others)
        assert line is not None
        assert ".".join(map(str, version)) in line
        assert "3.11, 3.12 or 3.13" in line
        assert remedy in line
        assert "\n" not in line


def test_sizes_of_downloads() -> None:
    assert megabytes("  Downloading a-1.whl (1.5 GB)") == 1500
    assert megabytes("  Using cached b-1.whl (250 kB)") == 0.25
    assert megabytes("  Using cached c-1.whl") == 0


def project(folder: Path) -> Path:
    """A project that installs like this one, with small packages of the same names and from no network."""
    (folder / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "install.py", folder / "tools")
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "fivephase", folder)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(PROJECT + '[project]\nname = "fivephase"\nversion = "0"\n')
    (folder / "constraints.txt").write_text("torch==1\n")
    (folder / "wheels").mkdir()
    for name in ("torch", "setuptools", "wheel", "pybind11"):
        with zipfile.ZipFile(folder / "wheels" / f"{name}-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}_files/a.py", "")
            wheel.writestr(f"{name}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
            kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            wheel.writestr(f"{name}-1.dist-info/WHEEL", kind)
            wheel.writestr(f"{name}-1.dist-info/RECORD", "")
    return folder


def setup(folder: Path) -> "subprocess.Popen[str]":
    # As from a terminal: a make that these tests run under would pass on its flags, and its words about folders.
    from_make = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")
    environment = {
        **{name: value for name, value in os.environ.items() if name not in from_make},
        "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": (folder / "wheels").as_uri(),
        "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1",
    }  # fmt: skip
    return subprocess.Popen(
        ["make", "setup", f"PYTHON={sys.executable}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def is_whole(folder: Path) -> bool:
    python = folder / ".venv" / "bin" / "python"
    whole = (
        subprocess.run(
            [python, "-c", "import torch_files, installed_fivephase"], check=False, capture_output=True
        ).returncode
        == 0
    )
    return whole and (folder / ".venv" / COMPLETE).exists() and not (folder / ".venv" / BEGUN).exists()


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_an_installation_that_was_killed_is_made_anew(tmp_path: Path) -> None:
    """While the environment is made, and while packages come; then it is moved."""
    folder = project(tmp_path / "a folder's name")
    for moment in ("bin/python*", "lib/python*/site-packages/torch_files"):
        process = setup(folder)
        while not list((folder / ".venv").glob(moment)) and process.poll() is None:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not is_whole(folder), moment
    process = setup(folder)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "made anew" in output
    assert is_whole(folder), output

    process = setup(folder)
    assert "Nothing to be done" in process.communicate()[0]

    # Moved: its scripts would start what is no longer there.
    moved = folder.rename(tmp_path / "moved")
    process = setup(moved)
    assert process.stdout is not None
    assert "made anew" in "".join(itertools.islice(process.stdout, 2))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_the_command_beside_readme_starts_the_environments(tmp_path: Path) -> None:
    folder = tmp_path / "a folder's name"
    folder.mkdir()
    command = shutil.copy(ROOT / "fivephase", folder)
    (tmp_path / "link").symlink_to(command)
    done = subprocess.run([command, "status"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"fivephase is not installed yet: type make setup in {folder}\n"
    installed = folder / ".venv" / "bin" / "fivephase"
    installed.parent.mkdir(parents=True)
    installed.write_text('#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done; pwd; exit 75\n')
    installed.chmod(0o755)
    (folder / ".venv" / COMPLETE).touch()
    for start in (command, tmp_path / "link"):
        done = subprocess.run([start, "a b", "c"], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (75, f"<a b>\n<c>\n{tmp_path}\n")

"""Makes the virtual environment with the versions of constraints.txt: `make setup`.

    python3 tools/install.py .venv

A Python that will not do is told so in one line: this is written for old ones and imports the standard library alone.
An installation that was killed is made anew, known by a file that is the first to come and the last to go. The terminal
shows what is being done, for how long; pip's own words are in `.venv/install.log`.
"""

from __future__ import annotations

import fcntl
import importlib.util
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
"""`requires-python` of pyproject.toml."""
ROOT = Path(__file__).resolve().parent.parent
BEGUN, COMPLETE, LOG = ".installing", ".installed", "install.log"
REQUIREMENTS = (
    # First and alone: what else is installed must find this torch, not choose another build, and what is built needs
    # the others (pybind11 for fasttext-numpy2-wheel, which has no wheel for Python 3.13).
    ["torch", "setuptools", "wheel", "pybind11"],
    ["--no-build-isolation", "-e", ".[dev]"],
)
SIZE = re.compile(r"\((\d+(?:\.\d+)?) (kB|MB|GB)\)")
MEGABYTES = {"kB": 0.001, "MB": 1.0, "GB": 1000.0}
LINE_EVERY = 30
"""Seconds between two lines where the output is no terminal."""


def wrong_with(version: tuple[int, ...], others: list[str]) -> str | None:
    """What is wrong with a version of Python in one line, None if nothing is.

    Args:
        version: the first numbers of `sys.version_info`.
        others: names of Pythons that would do and are installed, such as `python3.12`.
    """
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return None
    remedy = "type make setup PYTHON=" + others[0] if others else "install one of them and type make setup PYTHON=<it>"
    found = ".".join(map(str, version))
    return f"fivephase needs Python 3.11, 3.12 or 3.13, and {sys.executable} is {found}: {remedy}"


def suitable_pythons() -> list[str]:
    """Names of the Pythons on the PATH that would do, the newest first."""
    names = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    return [name for name in names if shutil.which(name) and succeeds(name, "-c", "import ensurepip, venv")]


def succeeds(*command: str | Path) -> bool:
    """Whether a command starts and ends with 0. What it prints is thrown away."""
    try:
        return subprocess.call(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


class Installation:
    """One attempt to fill an environment. It holds a lock as long as it, or a pip that it left behind, is alive."""

    def __init__(self, environment: Path) -> None:
        environment.mkdir(parents=True, exist_ok=True)
        self.environment = environment.resolve()
        self.python = self.environment / "bin" / "python"
        self.begun, self.complete = self.environment / BEGUN, self.environment / COMPLETE
        self.killed = self.begun.exists()
        self.lock = self.begun.open("a")
        self.log = self.environment / LOG
        self.start = time.time()
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(f"waiting for another installation in {self.environment}", flush=True)
            fcntl.flock(self.lock, fcntl.LOCK_EX)

    def prepare(self) -> None:
        """Leaves an environment with a working pip: the one that is there, or a new one where that is not whole.

        Raises:
            SystemExit: if no environment can be made.
        """
        # What an environment's scripts start is named by its path.
        moved = self.complete.exists() and self.complete.read_text() not in ("", str(self.environment))
        self.complete.unlink(missing_ok=True)
        whole = not self.killed and not moved
        if whole and (succeeds(self.python, "-m", "pip", "--version") or succeeds(self.python, "-m", "ensurepip")):
            return
        others = [path for path in self.environment.iterdir() if path != self.begun]
        if others:
            print(f"{self.environment} is not whole, or was moved: it is made anew", flush=True)
        for path in others:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self.run([sys.executable, "-m", "venv", str(self.environment)], "making the environment")

    def install(self) -> None:
        """Installs the package with what it needs.

        Raises:
            SystemExit: with pip's last lines, if pip fails.
        """
        pip = [str(self.python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
        pip += ["--progress-bar", "off", "-c", str(ROOT / "constraints.txt")]
        for requirements in REQUIREMENTS:
            self.run([*pip, *requirements], "looking for packages")
        self.complete.write_text(str(self.environment))
        self.begun.unlink()
        show("")
        print(f"installed in {self.elapsed()}", flush=True)

    def run(self, command: list[str], doing: str) -> None:
        """Runs a command and shows how far it is.

        Raises:
            SystemExit: with the command's last lines, if it fails.
        """
        with self.log.open("ab") as output:
            process = subprocess.Popen(
                command, cwd=str(ROOT), stdout=output, stderr=output, pass_fds=[self.lock.fileno()]
            )
        shown = time.time()
        while process.poll() is None:
            time.sleep(0.2)
            if sys.stdout.isatty() or time.time() - shown > LINE_EVERY:
                shown = time.time()
                show(f"{self.elapsed()}  {self.state() or doing}")
        if process.returncode:
            show("")
            last = self.log.read_text(errors="replace").splitlines()[-8:]
            sys.exit("\n".join([*last, f"not installed, all that pip said is in {self.log}: make setup tries again"]))

    def elapsed(self) -> str:
        """Minutes and seconds since the start."""
        minutes, seconds = divmod(int(time.time() - self.start), 60)
        return f"{minutes}:{seconds:02d}"

    def state(self) -> str:
        """What pip does: its last line with what it has downloaded, or how many packages are in their place."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        files = [line for line in lines if line.startswith(("  Downloading ", "  Using cached "))]
        files = [line for line in files if ".metadata" not in line]
        if not files:
            return ""
        if lines[-1].startswith("Installing collected packages"):
            placed = len(list(self.environment.glob("lib/python*/site-packages/*.dist-info")))
            return f"{placed} packages are in their place"
        return f"{len(files)} packages, {sum(map(megabytes, files)):,.0f} MB: {lines[-1].strip()[:90]}"


def megabytes(line: str) -> float:
    """Megabytes of the file that a line of pip's names, 0 without one: `Downloading a.whl (1.5 GB)` gives 1500."""
    found = SIZE.search(line)
    return float(found.group(1)) * MEGABYTES[found.group(2)] if found else 0.0


def show(line: str) -> None:
    """Shows a line in place of the last one on a terminal, and below it elsewhere."""
    if sys.stdout.isatty():
        print("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1], end="", flush=True)
    elif line:
        print(line, flush=True)


def main(arguments: list[str]) -> None:
    """Checks this Python, then makes or completes the environment that the one argument names.

    Raises:
        SystemExit: with 2 after one line, if this Python cannot do it; with pip's last lines, if pip fails.
    """
    wrong = wrong_with(sys.version_info[:3], [])
    if wrong:
        wrong = wrong_with(sys.version_info[:3], suitable_pythons())
    elif not importlib.util.find_spec("ensurepip"):
        package = "python{}.{}-venv".format(*sys.version_info)
        wrong = f"{sys.executable} cannot make environments: on Debian or Ubuntu, apt install {package}"
    if wrong:
        print(wrong, file=sys.stderr)
        sys.exit(2)
    installation = Installation(ROOT / arguments[0])
    print("some 180 packages; on Linux 3 GB to download, most of it CUDA's libraries, and 6 GB on the disk", flush=True)
    try:
        installation.prepare()
        installation.install()
    except KeyboardInterrupt:
        show("")
        sys.exit("stopped: make setup begins anew, with what pip has kept")


if __name__ == "__main__":
    main(sys.argv[1:])

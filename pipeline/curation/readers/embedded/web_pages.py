"""Generator of web pages: what `pydoc` shows in a browser for each documented object of installed modules.

Rendering must import the modules, so it is done in a process of its own: the imports do not affect this process, and a
fixed hash seed makes sets print alike each time.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from pipeline.core.errors import DataError
from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.embedded.packages import STANDARD_LIBRARY, module_name, python_files, shuffled
from pipeline.curation.readers.sources import EmbeddedSource

NEEDED = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME")
"""Variables without which Python or a library may not start. Others tell of the user and the machine, and modules take
defaults from them that pages show."""


def list_items(source: EmbeddedSource) -> list[str]:
    """Names of the public modules of the packages, in shuffled order."""
    names = {module_name(name) for package in source.packages for name in python_files(package)}
    if STANDARD_LIBRARY in source.packages:
        names |= set(sys.builtin_module_names)
    public = sorted(name for name in names if not any(part.startswith("_") for part in name.split(".")))
    return shuffled(public, source.seed)[: source.limit]


def read(source: EmbeddedSource, items: list[str]) -> Iterator[EmbeddedText]:
    """Yields the HTML pages of each module, for all items in one process.

    Raises:
        DataError: if the process that renders them fails.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        environment = {
            **{name: os.environ[name] for name in NEEDED if name in os.environ}, "HOME": folder, "TMPDIR": folder,
            "USER": "user", "LOGNAME": "user", "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80",
            "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "pipeline.curation.readers.embedded.render_pages", *items]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            cwd=folder,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                origin, html = json.loads(line)
                yield EmbeddedText(origin=origin, text=html)
        if process.returncode:
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise DataError(f"rendering pages of {items[0]}, ...: exit code {process.returncode}: {' '.join(last)}")

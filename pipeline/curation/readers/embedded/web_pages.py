"""Web pages: what `pydoc` shows in a browser for each documented object of installed modules.

Pages are rendered in a process of their own, since modules must be imported for it: with a fixed hash seed,
so that sets print alike each time, and with no influence of 300 imports on this one.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from pipeline.core.errors import DataError
from pipeline.curation.readers.embedded.packages import STANDARD_LIBRARY, module_name, python_files, shuffled
from pipeline.curation.readers.embedded.text import EmbeddedText
from pipeline.curation.readers.sources import EmbeddedSource


def units(source: EmbeddedSource) -> list[str]:
    """Names of public modules."""
    names = {module_name(name) for package in source.packages for name in python_files(package)}
    if STANDARD_LIBRARY in source.packages:
        names |= set(sys.builtin_module_names)
    public = sorted(name for name in names if not any(part.startswith("_") for part in name.split(".")))
    return shuffled(public, source.seed)[: source.limit]


def read(source: EmbeddedSource, names: list[str]) -> Iterator[EmbeddedText]:
    """The pages of each module, as HTML.

    Raises:
        DataError: if the process that renders them fails.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as errors:
        environment = {
            **os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "80",
            "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "pipeline.curation.readers.embedded.render_pages", *names]
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
            raise DataError(f"rendering pages of {names[0]}, ...: exit code {process.returncode}: {' '.join(last)}")

"""Arrays in files, whole or not at all."""

import os
from pathlib import Path

import numpy

from pipeline.core.files import sync


def write_array(path: Path, array: numpy.ndarray) -> None:
    """Writes an array as .npy, in rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        numpy.save(file, numpy.ascontiguousarray(array), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync(path.parent)

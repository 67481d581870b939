"""NumPy arrays in files that appear whole or not at all."""

import os
from pathlib import Path

import numpy

from pipeline.core.files import sync


def write_array(path: Path, array: numpy.ndarray) -> None:
    """Writes an array as .npy in C order. The file appears under its name when all of it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        numpy.save(file, numpy.ascontiguousarray(array), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)

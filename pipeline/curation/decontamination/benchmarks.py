"""Benchmarks in local files: a description of the files for fingerprints, and the texts they hold."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from pipeline.core.errors import DataError
from pipeline.core.files import sha256_of
from pipeline.curation.recipes.steps.contamination import Benchmark


def describe_benchmarks(benchmarks: Iterable[Benchmark], where: str) -> list[dict[str, Any]]:
    """What identifies benchmarks' data, for a fingerprint: the name and SHA-256 of each file.

    Args:
        benchmarks: as a recipe or a stage's settings name them.
        where: the file and key that name them, for the error.

    Raises:
        DataError: for a file that is not there.
    """
    described = []
    for benchmark in benchmarks:
        path = Path(benchmark.path)
        if not path.is_file():
            raise DataError(f"{where}: benchmark {benchmark.name}: no file {path}, set path to where it is")
        described.append({"name": benchmark.name, "file": path.name, "sha256": sha256_of(path)})
    return described


def read_items(benchmark: Benchmark) -> Iterator[str]:
    """Yields the texts of a benchmark: of each row, for each of its `text_keys`, the text or the texts of a list.

    Raises:
        DataError: for a file that cannot be read, and for a row without text under one of the keys.
    """
    path = Path(benchmark.path)
    rows = _parquet_rows(path, benchmark) if path.suffix == ".parquet" else _json_rows(path)
    for number, row in enumerate(rows, start=1):
        for key in benchmark.text_keys:
            value = row.get(key)
            texts = [value] if isinstance(value, str) else value
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise DataError(f"{path}: row {number}: no text under {key!r}, set text_keys of {benchmark.name}")
            yield from texts


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    row = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise DataError(f"{path}: row {number}: not JSON: {error}; correct or remove it") from None
                if not isinstance(row, dict):
                    raise DataError(f"{path}: row {number}: not a JSON object, correct or remove it")
                yield row
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}; fetch the file again") from error


def _parquet_rows(path: Path, benchmark: Benchmark) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        for key in benchmark.text_keys:
            if key not in file.schema_arrow.names:
                raise DataError(f"{path}: no column {key!r}, set text_keys of {benchmark.name}")
        for batch in file.iter_batches(columns=list(benchmark.text_keys)):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: cannot be read: {' '.join(str(error).split())}; fetch the file again") from error

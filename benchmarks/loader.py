"""How long the loader takes to start, and to read, on an index of a thousand million documents.

    python benchmarks/loader.py --write benchmarks/loader.md

Tokens are a sparse file, since their values are no matter; the index of documents is written in full (8 bytes each).
"""

import argparse
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy

from pipeline.core.files import write_json
from pipeline.pretraining.data.stream import TokenStream

TOKENS_PER_DOCUMENT = 500
CHUNK = 1 << 24
READS = 200


def write_shards(directory: Path, documents: int) -> None:
    """A domain whose documents all have the same length."""
    (directory / "code").mkdir(parents=True)
    path = directory / "code" / "train.ds"
    with path.open("wb") as file:
        file.truncate(4 * TOKENS_PER_DOCUMENT * documents)
    with path.with_name("train.ds.index").open("wb") as file:
        for start in range(0, documents, CHUNK):
            ends = numpy.arange(start + 1, min(start + CHUNK, documents) + 1, dtype="<u8") * TOKENS_PER_DOCUMENT
            ends.tofile(file)
    split = {"tokens": documents * TOKENS_PER_DOCUMENT, "documents": documents, "sha256": "synthetic"}
    write_json(directory / "index.json", {"dtype": "uint32", "domains": {"code": {"train": split}}})


def main() -> None:
    """Measures and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="*", default=[10**6, 10**7, 10**8, 10**9])
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--folder", type=Path, help="for the shards: 8 bytes a document")
    parser.add_argument("--write", type=Path, help="file to write the table to")
    options = parser.parse_args()
    lines = [
        f"Context {options.context:,}; {platform.machine()}, Python {platform.python_version()}, "
        f"numpy {version('numpy')}.",
        "",
        "| documents | tokens | start and first sequence, ms | a sequence after it, ms |",
        "|---|---|---|---|",
    ]
    for documents in options.documents:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            write_shards(Path(name), documents)
            start = time.perf_counter()
            stream = TokenStream(Path(name), {"code": 1.0}, options.context, seed=0)
            stream.read(0, 1)
            first = time.perf_counter() - start
            start = time.perf_counter()
            for sample in range(1, READS + 1):
                stream.read(sample, 1)
            after = (time.perf_counter() - start) / READS
        tokens = documents * TOKENS_PER_DOCUMENT
        lines.append(f"| {documents:,} | {tokens:,} | {1000 * first:.1f} | {1000 * after:.2f} |")
    table = "\n".join(lines)
    print(table)
    if options.write:
        options.write.write_text(f"# Start of the loader\n\n{table}\n")


if __name__ == "__main__":
    main()

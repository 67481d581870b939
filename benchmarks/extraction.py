"""Text out of web pages: what stock datatrove, this project's trafilatura, and resiliparse keep and drop.

    python benchmarks/extraction.py pages.warc.gz gold.jsonl --write benchmarks/extraction.md

The gold file has a row for each page, whose `url` is the WARC's or the path in it: `with`, passages an extractor must
keep, and `without`, passages it must drop.
"""

import argparse
import json
import platform
import re
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.extractors.base import BaseExtractor, ExtractorSandbox
from datatrove.pipeline.readers import WarcReader

from pipeline.curation.filters.extraction import extractor_of
from pipeline.curation.readers.warc import WarcPages
from pipeline.curation.recipes.steps import pages

NO_LIMIT = -1
SPACE = re.compile(r"\s+")
Row = tuple[str, int, float, float, float]


def stock_pages(path: Path) -> list[Document]:
    """Pages as datatrove's reader gives them."""
    return list(WarcReader(str(path.parent)).read_files_shard([path.name]))


def our_pages(path: Path) -> list[Document]:
    """Pages as this project's reader gives them."""
    pages = WarcPages(str(path.parent), NO_LIMIT, 2**30).read_files_shard([path.name])
    return [page for page in pages if not page.bad and not page.rejected]


VARIANTS: dict[str, tuple[Callable[[Path], list[Document]], Callable[[], BaseExtractor]]] = {
    "stock datatrove, trafilatura": (stock_pages, Trafilatura),
    "trafilatura, favor_precision": (our_pages, lambda: extractor_of(pages.Trafilatura(step="trafilatura"))),
    "trafilatura": (our_pages, lambda: extractor_of(pages.Trafilatura(step="trafilatura", favor_precision=False))),
    "resiliparse, main_content": (our_pages, lambda: extractor_of(pages.Resiliparse(step="resiliparse"))),
    "resiliparse": (our_pages, lambda: extractor_of(pages.Resiliparse(step="resiliparse", main_content=False))),
}


def plain(text: str) -> str:
    """A text whose white space does not count."""
    return SPACE.sub(" ", text).strip()


def measure(name: str, path: Path, gold: dict[str, dict[str, list[str]]]) -> Row:
    """Name, pages read, seconds to extract; the shares kept of passages that must stay, and of those that must go."""
    pages, make = VARIANTS[name]
    extractor, documents = make(), pages(path)
    texts: dict[str, str] = {}
    with ExtractorSandbox(timeout=60) as sandbox:
        sandbox.process_document("<p>The first page waits for imports.</p>", extractor.extract)
        start = time.perf_counter()
        for document in documents:
            url = document.metadata["url"]
            address = url if url in gold else url.split("/", 3)[-1]
            try:
                texts[address] = plain(sandbox.process_document(document.text, extractor.extract) or "")
            except (TimeoutError, EOFError):
                texts[address] = ""
        seconds = time.perf_counter() - start
    shares = []
    for key in ("with", "without"):
        found = [plain(passage) in texts.get(address, "") for address, row in gold.items() for passage in row[key]]
        shares.append(sum(found) / len(found))
    return name, len(documents), seconds, shares[0], shares[1]


def main() -> None:
    """Runs the comparison and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc", type=Path)
    parser.add_argument("gold", type=Path)
    parser.add_argument("--write", type=Path, help="file to write the table to")
    options = parser.parse_args()
    with options.gold.open(encoding="utf-8") as file:
        gold = {row["url"]: row for row in map(json.loads, file)}
    packages = ", ".join(f"{name} {version(name)}" for name in ("datatrove", "trafilatura", "resiliparse"))
    lines = [
        f"{len(gold)} pages with marked passages; one process on {platform.machine()}, "
        f"Python {platform.python_version()}, {packages}.",
        "",
        "| extractor | pages read | pages/s | to keep: kept | to drop: dropped |",
        "|---|---|---|---|---|",
    ]
    for name in VARIANTS:
        _, pages, seconds, kept, wrong = measure(name, options.warc, gold)
        lines.append(f"| {name} | {pages} | {pages / seconds:.1f} | {100 * kept:.1f} % | {100 * (1 - wrong):.1f} % |")
    table = "\n".join(lines)
    print(table)
    if options.write:
        options.write.write_text(f"# Text out of pages\n\n{table}\n")


if __name__ == "__main__":
    main()

"""Stock datatrove and this project on the same documents and cores, in one run: filters, signatures, extraction.

    python benchmarks/curation.py --write benchmarks/curation.md

Documents are the Python sources of the installation, or those given: JSON lines with a text each. Each filter runs
alone over all documents, as a step of datatrove's local executor, then all four together, then the signatures. Pages
to extract text from are those that pydoc renders for the standard library. What extractors keep and drop of real pages
is what `extraction.py` measures.
"""

import argparse
import json
import platform
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import get_filter_result
from datatrove.pipeline.readers import JsonlReader
from datatrove.utils.hashing import HashConfig

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.dedup.minhash import write_signatures
from pipeline.curation.filters import filter_of
from pipeline.curation.filters.extraction import Extraction
from pipeline.curation.filters.features import features
from pipeline.curation.readers.embedded import web_pages
from pipeline.curation.readers.sources import Disclosure, EmbeddedSource
from pipeline.curation.recipes.steps import STEPS
from pipeline.curation.recipes.steps import pages as page_steps
from pipeline.curation.recipes.steps.duplicates import MinHash
from pipeline.curation.text.vocabulary import ENGLISH

Decide = Callable[[Document], bool]


def stock(name: str) -> Decide:
    """datatrove's filter, with the thresholds of this project's defaults."""
    step = {
        "gopher_repetition": GopherRepetitionFilter,
        "gopher_quality": GopherQualityFilter,
        "c4": lambda: C4QualityFilter(filter_no_terminal_punct=False),
        "fineweb_quality": lambda: FineWebQualityFilter(char_duplicates_ratio=0.1),
    }[name]()
    return lambda document: get_filter_result(step.filter(document))[0]


def ours(name: str) -> Decide:
    """This project's rule with its defaults."""
    document_filter = filter_of(STEPS[name](step=name))  # type: ignore[call-arg]
    return lambda document: document_filter(document).removal is None


FILTERS = ("gopher_repetition", "gopher_quality", "c4", "fineweb_quality")
SIGNATURES = "MinHash signatures, 14 x 8 of 5-grams"
EXTRACTORS: dict[str, Callable[[], page_steps.Extractor]] = {
    "extraction, trafilatura": lambda: page_steps.Trafilatura(step="trafilatura", timeout_seconds=60),
    "extraction, resiliparse": lambda: page_steps.Resiliparse(step="resiliparse", timeout_seconds=60),
}
Row = tuple[str, float, float, float | None]
MAKERS: dict[str, Callable[[str], Decide]] = {"stock": stock, "ours": ours}


class Filters(PipelineStep):
    """Asks some filters about each document as it came, and writes down what they say."""

    type = "BENCHMARK"
    name = "filters"

    def __init__(self, maker: str, names: Sequence[str], folder: Path) -> None:
        super().__init__()
        self.maker, self.names, self.folder = maker, list(names), folder

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Nothing to pass on."""
        filters = [MAKERS[self.maker](name) for name in self.names]
        said = [[decide(Document(each.text, each.id)) for decide in filters] for each in data]
        (self.folder / f"{rank}.json").write_text(json.dumps(said))
        return iter(())


class Read(PipelineStep):
    """Reads, and does nothing."""

    type = "BENCHMARK"
    name = "read"

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Nothing to pass on."""
        for _ in data:
            pass
        return iter(())


class MinHashSignatures(PipelineStep):
    """Writes MinHash signatures with 14 buckets of 8 hashes over 5-grams."""

    type = "BENCHMARK"
    name = "signatures"

    def __init__(self, maker: str, folder: Path) -> None:
        super().__init__()
        self.maker, self.folder = maker, folder

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Nothing to pass on."""
        if self.maker == "stock":
            config = MinhashConfig(hash_config=HashConfig(precision=64))
            MinhashDedupSignature(str(self.folder), config=config).run(data, rank, world_size)
        else:
            write_signatures(data, MinHash(step="minhash"), self.folder / f"{rank}.npy")
        return iter(())


class Extract(PipelineStep):
    """Takes the text out of pages, with trafilatura if it is stock, and writes it down."""

    type = "BENCHMARK"
    name = "extraction"

    def __init__(self, maker: str, extractor: str, folder: Path) -> None:
        super().__init__()
        self.maker, self.extractor, self.folder = maker, extractor, folder

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Nothing to pass on."""
        if self.maker == "stock":
            stream = Trafilatura(favour_precision=True, timeout=60, deduplicate=False).run(data, rank, world_size)
        else:
            step = EXTRACTORS[self.extractor]()
            stream = Extraction(step, AuditLog([step.step])).run(data)
        (self.folder / f"{rank}.json").write_text(json.dumps({each.id: each.text for each in stream}))
        return iter(())


def pages(modules: int) -> list[str]:
    """HTML that pydoc renders for objects of modules of the standard library."""
    disclosure = Disclosure(
        name="pages", url="none", date_obtained="today", description="pages", source="none", data_provenance="none"
    )
    source = EmbeddedSource(
        kind="embedded", generator="web_pages", packages=("python",), limit=modules, disclosure=disclosure
    )
    return [page.text for page in web_pages.read(source, web_pages.list_items(source))]


def sources(megabytes: float) -> list[str]:
    """Python sources of the installation, up to a size."""
    paths = sysconfig.get_paths()
    texts, left = [], megabytes * 1e6
    for root in dict.fromkeys((paths["stdlib"], paths["purelib"])):
        for path in sorted(Path(root).rglob("*.py")):
            text = path.read_text(encoding="utf-8", errors="ignore")
            if text.strip() and left > 0:
                texts.append(text)
                left -= len(text)
    return texts


def given(path: Path) -> list[str]:
    """The texts of a file of JSON lines."""
    with path.open(encoding="utf-8") as file:
        return [text for line in file if (text := json.loads(line)["text"])]


def timed(step: PipelineStep, documents: Path, workers: int, logs: Path) -> float:
    """Seconds of one step over all documents."""
    start = time.perf_counter()
    LocalPipelineExecutor(
        [JsonlReader(str(documents)), step], tasks=workers, workers=workers, logging_dir=str(logs), skip_completed=False
    ).run()
    return time.perf_counter() - start


def divided(texts: list[str], folder: Path, workers: int) -> Path:
    """A folder with a file of texts for each worker."""
    folder.mkdir()
    for part in range(workers):
        chosen = enumerate(texts[part::workers])
        named = ((f"{part}-{place}", text) for place, text in chosen)
        lines = (json.dumps({"text": text, "id": name, "metadata": {"origin": name}}) for name, text in named)
        (folder / f"{part}.jsonl").write_text("\n".join(lines))
    return folder


def compare_extraction(html: list[str], workers: int) -> list[Row]:
    """As `compare`: the share of pages from which both take the same text, where both use trafilatura."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents = divided(html, folder / "pages", workers)
        seconds, texts = {}, {}
        for maker, extractor in [("stock", ""), *(("ours", each) for each in EXTRACTORS)]:
            found = folder / (maker + extractor)
            found.mkdir()
            seconds[extractor] = timed(
                Extract(maker, extractor, found), documents, workers, folder / f"logs-{extractor}"
            )
            texts[extractor] = {
                place: text for path in found.glob("*.json") for place, text in json.loads(path.read_text()).items()
            }
        differing = {place for place, _ in texts[""].items() ^ texts["extraction, trafilatura"].items()}
        shares = {"extraction, trafilatura": 1 - len(differing) / len(html)}
        return [(each, seconds[""], seconds[each], shares.get(each)) for each in EXTRACTORS]


def compare(texts: list[str], workers: int) -> list[Row]:
    """Name, seconds of both, and the share of documents about which both say the same."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        documents = divided(texts, folder / "documents", workers)
        read = timed(Read(), documents, workers, folder / "logs-read")
        rows.append(("reading and starting", read, read, 1.0))
        for label, names in [*((each, [each]) for each in FILTERS), ("all four", FILTERS)]:
            seconds, said = {}, {}
            for maker in MAKERS:
                answers = folder / f"{maker}-{label}"
                answers.mkdir()
                step = Filters(maker, names, answers)
                seconds[maker] = timed(step, documents, workers, folder / f"logs-{maker}-{label}")
                said[maker] = [row for path in sorted(answers.glob("*.json")) for row in json.loads(path.read_text())]
            equal = sum(map(list.__eq__, said["stock"], said["ours"])) / len(texts)
            rows.append((label, seconds["stock"], seconds["ours"], equal))
        signing = {
            maker: timed(
                MinHashSignatures(maker, folder / f"sign-{maker}"), documents, workers, folder / f"logs-sign-{maker}"
            )
            for maker in MAKERS
        }
        rows.append((SIGNATURES, signing["stock"], signing["ours"], None))
    return rows


def spent(texts: list[str]) -> str:
    """What this project's time goes to, in one process that has read and learned nothing yet."""
    rules = {name: ours(name) for name in FILTERS}
    seconds: dict[str, float] = dict.fromkeys(("words", *FILTERS), 0.0)
    for text in texts:
        start = time.perf_counter()
        found = features(text, ENGLISH)  # which the rules then find again
        assert len(found.words) or not text.strip()
        seconds["words"] += time.perf_counter() - start
        for name, decide in rules.items():
            start = time.perf_counter()
            decide(Document(text, ""))
            seconds[name] += time.perf_counter() - start
    total = sum(seconds.values())
    parts = ", ".join(f"{name} {each:.1f} s ({100 * each / total:.0f} %)" for name, each in seconds.items())
    return f"In one process this project's {total:.1f} s for all of it are {parts}."


def table(texts: list[str], html: list[str], workers: int, rows: list[Row]) -> str:
    """The table as Markdown, with the machine and the versions."""
    size = sum(len(text.encode()) for text in texts) / 1e6
    packages = ", ".join(
        f"{name} {version(name)}" for name in ("datatrove", "spacy", "numpy", "trafilatura", "resiliparse")
    )
    lines = [
        f"{len(texts):,} documents, {size:.1f} MB, and {len(html):,} pages; {workers} workers on {platform.machine()}, "
        f"Python {platform.python_version()}, {packages}.",
        "",
        "| filter | stock datatrove, s | this project, s | ratio | equal decisions |",
        "|---|---|---|---|---|",
    ]
    for name, stock_seconds, our_seconds, equal in rows:
        ratio = f"{stock_seconds / our_seconds:.1f}"
        share = "" if equal is None else f"{100 * equal:.2f} %"
        lines.append(f"| {name} | {stock_seconds:.1f} | {our_seconds:.1f} | {ratio} | {share} |")
    alone = [row for row in rows if row[0] in FILTERS]
    total = [sum(row[1] for row in alone), sum(row[2] for row in alone)]
    lines.append(f"| sum of the four alone | {total[0]:.1f} | {total[1]:.1f} | {total[0] / total[1]:.1f} | |")
    return "\n".join(lines)


def main() -> None:
    """Runs the comparison and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=Path, nargs="*", help="JSON lines with a text each")
    parser.add_argument("--megabytes", type=float, default=40, help="size of the default documents")
    parser.add_argument("--modules", type=int, default=300, help="modules of the standard library with pages")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, help="file to write the table to")
    options = parser.parse_args()
    texts = [text for path in options.documents or [] for text in given(path)] or sources(options.megabytes)
    html = pages(options.modules)
    rows = [*compare(texts, options.workers), *compare_extraction(html, options.workers)]
    found = f"{table(texts, html, options.workers, rows)}\n\n{spent(texts)}"
    print(found)
    if options.write:
        options.write.write_text(f"# Curation\n\n{found}\n")


if __name__ == "__main__":
    main()

"""A whole web recipe, from WARC files to deduplicated text: stock datatrove and this project, in one run.

    python benchmarks/web_recipe.py --write benchmarks/web_recipe.md pages.warc.gz

Both extract, identify the language, filter with Gopher's, C4's and FineWeb's rules, and deduplicate with MinHash, on
the same cores. Besides the files given there are pages that pydoc renders for objects of installed packages. The
language filter of datatrove downloads its model, so that both sides use the model that this project carries.
"""

import argparse
import platform
import shutil
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LambdaFilter,
)
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig

from pipeline.control.compose import compose, typed
from pipeline.core.config import build
from pipeline.core.context import StageContext
from pipeline.core.files import read_json
from pipeline.curation import curate
from pipeline.curation.config import CurateConfig
from pipeline.curation.readers.embedded import web_pages
from pipeline.curation.readers.sources import Disclosure, EmbeddedSource
from pipeline.curation.readers.warc import write_warc
from pipeline.curation.text.documents import read_folder
from pipeline.curation.text.language_id import identify

TASKS = 4
MINIMUM_SCORE = 0.5
DISCLOSURE = {
    "name": "pages", "url": "none", "date_obtained": "today", "description": "pages", "source": "none",
    "data_provenance": "none",
}  # fmt: skip
MINHASH = MinhashConfig(hash_config=HashConfig(precision=64))
Row = tuple[str, float]


def is_english(document: Any) -> bool:
    """What both sides ask of the language."""
    language, score = identify(document.text)
    return language == "en" and score >= MINIMUM_SCORE


def stock(pages: Path, folder: Path, workers: int) -> tuple[list[Row], int]:
    """Names and seconds of datatrove's parts, and the documents kept."""
    filtered, signatures, buckets, remove, output = (
        str(folder / name) for name in ("filtered", "signatures", "buckets", "remove", "output")
    )
    parts: list[tuple[str, list[PipelineStep], int]] = [
        (
            "extraction and filters",
            [
                WarcReader(str(pages)),
                Trafilatura(favour_precision=True, timeout=60, deduplicate=False),
                LambdaFilter(is_english),
                GopherRepetitionFilter(),
                GopherQualityFilter(),
                C4QualityFilter(filter_no_terminal_punct=False),
                FineWebQualityFilter(char_duplicates_ratio=0.1),
                JsonlWriter(filtered),
            ],
            TASKS,
        ),
        ("signatures", [JsonlReader(filtered), MinhashDedupSignature(signatures, config=MINHASH)], TASKS),
        ("buckets", [MinhashDedupBuckets(signatures, buckets, config=MINHASH)], MINHASH.num_buckets),
        ("clusters", [MinhashDedupCluster(buckets, remove, config=MINHASH)], 1),
        ("writing", [JsonlReader(filtered), MinhashDedupFilter(remove), JsonlWriter(output)], TASKS),
    ]
    rows = []
    for name, steps, tasks in parts:
        start = time.perf_counter()
        LocalPipelineExecutor(steps, tasks=tasks, workers=min(workers, tasks), logging_dir=str(folder / name)).run()
        rows.append((name, time.perf_counter() - start))
    kept = sum(1 for _ in JsonlReader(output).run())
    return rows, kept


def ours(pages: Path, folder: Path, workers: int, extractor: str) -> tuple[float, int, int]:
    """Seconds, pages read and documents kept of this project's stage, with its audit."""
    extraction = {"trafilatura": {"step": "trafilatura", "timeout_seconds": 60}, "resiliparse": {"step": "resiliparse"}}
    recipe = {
        "domain": "common_crawl", "description": "pages", "licence": "none", "languages": ["en"],
        "sources": [{"kind": "warc", "path": str(pages), "disclosure": DISCLOSURE}],
        "steps": [
            extraction[extractor],
            {"step": "language", "keep": ["en"], "minimum_score": MINIMUM_SCORE},
            {"step": "gopher_repetition"},
            {"step": "gopher_quality"},
            {"step": "c4", "terminal_punctuation": False},
            {"step": "fineweb_quality", "duplicate_line_characters": 0.1},
            {"step": "exact_dedup"},
            {"step": "minhash"},
        ],
    }  # fmt: skip
    (folder / "recipes").mkdir(parents=True)
    (folder / "recipes" / "common_crawl.yaml").write_text(yaml.safe_dump(recipe))
    # What a crawl has of damaged records is no fault of the comparison.
    changes = {"recipes": folder / "recipes", "tasks": TASKS, "workers": workers, "maximum_bad_share": 1.0}
    run = typed(compose([f"stages.curate.config.{key}={value}" for key, value in changes.items()]))
    settings = run.stages["curate"]
    assert settings is not None
    config = build(CurateConfig, settings.config, "stages.curate.config")
    context = StageContext.for_test("curate", config, {}, folder / "stage")
    start = time.perf_counter()
    curate.run(context)
    seconds = time.perf_counter() - start
    report = read_json(context.output / "report.json")["common_crawl"]
    kept = sum(1 for _ in read_folder(context.output / "documents" / "common_crawl"))
    return seconds, int(report["in"]), kept


def rendered(modules: int) -> EmbeddedSource:
    """Pages about objects of installed packages."""
    packages = ("python", "networkx", "pandas", "numpy", "transformers", "datasets", "torch")
    disclosure = Disclosure(**DISCLOSURE)  # type: ignore[arg-type]
    return EmbeddedSource(
        kind="embedded", generator="web_pages", packages=packages, limit=modules, disclosure=disclosure
    )


def main() -> None:
    """Runs the comparison and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("warc", type=Path, nargs="*")
    parser.add_argument("--modules", type=int, default=1500, help="modules whose pages are rendered")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1, help="rounds of all, of which the fastest count")
    parser.add_argument("--write", type=Path, help="file to write the table to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pages = folder / "pages"
        pages.mkdir()
        for path in options.warc:
            shutil.copy(path, pages)
        source = rendered(options.modules)
        names = web_pages.list_items(source)
        # As many files as there are tasks.
        for part in range(TASKS):
            write_warc(pages / f"rendered-{part}.warc.gz", web_pages.read(source, names[part::TASKS]))
        stocks, own = [], {"trafilatura": [], "resiliparse": []}
        for number in range(options.repeats):
            stocks.append(stock(pages, folder / f"stock-{number}", options.workers))
            for each, runs in own.items():
                runs.append(ours(pages, folder / f"{each}-{number}", options.workers, each))
    parts, stock_kept = min(stocks, key=lambda run: sum(seconds for _, seconds in run[0]))
    found = {each: min(runs) for each, runs in own.items()}
    total = sum(seconds for _, seconds in parts)
    read = found["trafilatura"][1]
    packages = ", ".join(f"{each} {version(each)}" for each in ("datatrove", "trafilatura", "resiliparse", "spacy"))
    lines = [
        f"{read:,} pages; {options.workers} workers on {platform.machine()}, Python {platform.python_version()}, "
        f"{packages}; the fastest of {options.repeats} rounds.",
        "",
        "| | seconds | pages/s | ratio | documents kept |",
        "|---|---|---|---|---|",
        f"| stock datatrove | {total:.1f} | {read / total:.0f} | 1.0 | {stock_kept:,} |",
        *(
            f"| this project, {each} | {seconds:.1f} | {read / seconds:.0f} | {total / seconds:.1f} | {kept:,} |"
            for each, (seconds, _, kept) in found.items()
        ),
        "",
        "Of stock datatrove's time: " + ", ".join(f"{each} {seconds:.1f} s" for each, seconds in parts) + ".",
    ]
    table = "\n".join(lines)
    print(table)
    if options.write:
        options.write.write_text(f"# A whole web recipe\n\n{table}\n")


if __name__ == "__main__":
    main()

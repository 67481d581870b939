"""The stage `synthesize`: samples of code and reasoning, each with an answer that was run or computed."""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from datatrove.data import Document

from pipeline.context import StageContext, StageResult
from pipeline.curation import documents
from pipeline.curation.account import BYTES_PER_MEGABYTE
from pipeline.curation.config import SynthesizeConfig
from pipeline.curation.ledger import Ledger
from pipeline.curation.recipe_sources import Disclosure
from pipeline.curation.rules.rule import Removal
from pipeline.curation.synthesis import doctests, environment_text, programs, reasoning
from pipeline.curation.synthesis.sample import CHECKED, HELD_OUT, Sample, admit
from pipeline.errors import Requeue
from pipeline.files import read_json, write_json

DOMAINS = ("synthetic", "long_cot", "language_instructions", "code_instructions")
STEPS = (CHECKED, HELD_OUT, "exact_dedup")
WORD_PROBLEMS = ("money", "calendar", "ranking")
CHAINS = ("addition", "product", "insertion", "calendar", "ranking", "divisors", "money")


def run(context: StageContext[SynthesizeConfig]) -> StageResult:
    """Writes the four domains, with a row for every sample that failed.

    Raises:
        Requeue: after a stop signal; the modules that were run stay run.
    """
    config = context.config
    ledgers = {domain: Ledger(STEPS) for domain in DOMAINS}
    kept: dict[str, list[Document]] = {domain: [] for domain in DOMAINS}
    for sample in samples(context):
        document = admit(sample, ledgers[sample.domain])
        if document is not None:
            kept[sample.domain].append(document)
    report = {}
    for domain in DOMAINS:
        chosen = _unique(kept[domain], ledgers[domain])
        documents.write_documents(context.output / "documents" / domain / "00000.jsonl.gz", chosen)
        rows = ledgers[domain].sorted_rows()
        documents.write_rows(context.output / "removed" / domain / "00000.jsonl.gz", rows)
        funnel = ledgers[domain].funnel()
        report[domain] = {
            "in": funnel[0]["in"],
            "kept": len(chosen),
            "removed": len(rows),
            "bytes": sum(len(document.text.encode()) for document in chosen),
            "steps": funnel,
        }
    write_json(context.output / "disclosure.json", [_disclosed(domain, each) for domain, each in report.items()])
    report["language_instructions"]["problems"] = config.environment_problems
    write_json(context.output / "report.json", report)
    total = {name: sum(each[name] for each in report.values()) for name in ("in", "kept", "removed")}
    metrics = {
        f"{domain}/{name}": float(each[name])
        for domain, each in report.items()
        for name in ("kept", "removed", "bytes")
    }
    shown = [{"domain": domain, "text": kept[domain][0].text[:400]} for domain in DOMAINS if kept[domain]]
    return StageResult(
        metrics=metrics,
        measure="samples, in and kept",
        before=total["in"],
        after=total["kept"],
        counts=total,
        samples=shown,
    )


def _disclosed(domain: str, report: dict[str, Any]) -> dict[str, Any]:
    """A domain in the fields of IBM's data disclosures, and where it went."""
    made = Disclosure(
        name=f"fivephase {domain}",
        url="none",
        date_obtained="made by the run",
        description="Questions and programs with their answers, written by programs",
        type="code" if domain == "code_instructions" else "text",
        source="fivephase",
        data_provenance="generated; every answer was computed or run",
        synthetic="yes",
        seed_data="doctests and signatures of installed packages",
    )
    size = round(report["bytes"] / BYTES_PER_MEGABYTE, 6)
    return {**asdict(made), "size_MB": size, "domain": domain, "licence": "Apache-2.0", "documents": report["kept"]}


def samples(context: StageContext[SynthesizeConfig]) -> Iterator[Sample]:
    """All samples of all domains."""
    config = context.config
    workers = config.workers or len(os.sched_getaffinity(0))
    limits = {"cpu_seconds": config.cpu_seconds, "memory_bytes": config.memory_bytes}
    seed = context.derive_seed("environments")
    yield from environment_text.samples(config.environment_problems, config.difficulty, seed, "language_instructions")
    yield from environment_text.samples(
        config.environment_chains, min(config.difficulty + 1, 3), seed, "long_cot", environment_text.REASONED
    )
    yield from reasoning.samples(config.chains, context.random("chains"), "long_cot", CHAINS)
    yield from reasoning.samples(config.word_problems, context.random("word problems"), "synthetic", WORD_PROBLEMS)

    written = programs.write(config.calls, context.random("programs"))
    batches = [written[start : start + programs.BATCH] for start in range(0, len(written), programs.BATCH)]
    names = doctests.modules(config.packages, config.doctest_files)
    context.progress.start(len(names) + len(batches), "processes", "sandbox")
    with ThreadPoolExecutor(workers) as pool:
        jobs: list[Callable[[], list[Sample]]] = [partial(_batch, batch, limits) for batch in batches]
        jobs += [partial(_module, name, limits, context.state) for name in names]
        for found in pool.map(lambda job: job() if not context.stop_requested() else None, jobs):
            if found is None:
                raise Requeue("stopped between two sandboxed processes")
            context.progress.advance()
            yield from found


def _batch(batch: list[programs.Program], limits: dict[str, int]) -> list[Sample]:
    return list(programs.samples(batch, **limits))


def _module(name: str, limits: dict[str, int], state: Path) -> list[Sample]:
    """The samples of a module; what an earlier attempt ran is not run again."""
    path = state / "doctests" / f"{hashlib.sha256(name.encode()).hexdigest()}.json"
    if path.exists():
        ran: dict[str, Any] = read_json(path)
    else:
        ran = doctests.run(name, **limits)
        write_json(path, ran)
    return list(doctests.samples(ran))


def _unique(found: list[Document], ledger: Ledger) -> list[Document]:
    """The documents in order, one of each content."""
    chosen: list[Document] = []
    for document in sorted(found, key=documents.order):
        if chosen and chosen[-1].id == document.id:
            ledger.remove("exact_dedup", document, Removal(reason="same_content", duplicate_of=str(document.id)))
        else:
            ledger.keep("exact_dedup", len(document.text), len(document.text))
            chosen.append(document)
    return chosen

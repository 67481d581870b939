"""The stage `synthesize`: four domains of documents whose answers were executed, computed, or checked by a program."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import chain
from typing import Any

from datatrove.data import Document

from pipeline.core.context import StageContext, StageResult
from pipeline.core.files import write_json
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.audit.summary import BYTES_PER_MEGABYTE
from pipeline.curation.readers.sources import Disclosure
from pipeline.curation.text import documents
from pipeline.synthesis import programmatic
from pipeline.synthesis.config import SynthesizeConfig
from pipeline.synthesis.language_model import generate
from pipeline.synthesis.language_model.prompt_templates import SAMPLE_DOMAINS
from pipeline.synthesis.sample import HELD_OUT_PROMPTS, VERIFIED, Sample, filter_sample

STEPS = (VERIFIED, HELD_OUT_PROMPTS, "exact_dedup")
Generator = Callable[[StageContext[SynthesizeConfig]], Iterator[Sample]]
"""A function of the stage's context that makes samples, always in the same order, failed ones among them."""
GENERATORS: tuple[Generator, ...] = (programmatic.samples, generate.samples)


def run(context: StageContext[SynthesizeConfig]) -> StageResult:
    """Writes documents, removal rows, examples, a report and the data disclosure of the four domains.

    Each sample is kept or has a row with the reason: its check failed, it has a held-out prompt, or its text is that of
    another sample.

    Raises:
        Requeue: after a stop signal; results of doctests and replies of the model are kept.
        UserError: if a language model is configured and cannot be asked.
    """
    config = context.config
    audits = {domain: AuditLog(STEPS) for domain in SAMPLE_DOMAINS}
    kept: dict[str, list[Document]] = {domain: [] for domain in SAMPLE_DOMAINS}
    for sample in chain.from_iterable(generator(context) for generator in GENERATORS):
        document = filter_sample(sample, audits[sample.domain])
        if document is not None:
            kept[sample.domain].append(document)
    report: dict[str, dict[str, Any]] = {}
    disclosed: list[dict[str, Any]] = []
    for domain in SAMPLE_DOMAINS:
        chosen = _unique(kept[domain], audits[domain])
        documents.write_documents(context.output / "documents" / domain / "00000.jsonl.gz", chosen)
        rows = audits[domain].sorted_rows()
        documents.write_rows(context.output / "removed" / domain / "00000.jsonl.gz", rows)
        write_json(context.output / "examples" / f"{domain}.json", audits[domain].examples.as_json())
        funnel = audits[domain].funnel()
        report[domain] = {
            "in": funnel[0]["in"],
            "kept": len(chosen),
            "removed": len(rows),
            "bytes": sum(len(document.text.encode()) for document in chosen),
            "steps": funnel,
        }
        disclosed += _disclosed(config, domain, chosen)
    write_json(context.output / "disclosure.json", disclosed)
    report["language_instructions"]["problems"] = config.environment_problems
    write_json(context.output / "report.json", report)
    total = {name: sum(each[name] for each in report.values()) for name in ("in", "kept", "removed")}
    metrics = generate.request_metrics(context) | {
        f"{domain}/{name}": float(each[name])
        for domain, each in report.items()
        for name in ("kept", "removed", "bytes")
    }
    shown = [{"domain": domain, "text": kept[domain][0].text[:400]} for domain in SAMPLE_DOMAINS if kept[domain]]
    return StageResult(
        metrics=metrics,
        measure="samples, in and kept",
        before=total["in"],
        after=total["kept"],
        counts=total,
        samples=shown,
    )


def _disclosed(config: SynthesizeConfig, domain: str, chosen: list[Document]) -> list[dict[str, Any]]:
    """A domain in the fields of IBM's data disclosures: a row for programs, and one for each prompt of a model."""
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
    rows = [_row(made, domain, [each for each in chosen if generate.prompt_of(each) is None], license="Apache-2.0")]
    if config.language_model is not None:
        for name, prompt in config.language_model.load().items():
            if prompt.domain == domain:
                written = replace(
                    made,
                    name=f"fivephase {domain}: {name}",
                    description=prompt.description,
                    source=config.language_model.model,
                    data_provenance=f"written by a language model; {prompt.checked}",
                    seed_data=prompt.seed_data,
                )
                found = [each for each in chosen if generate.prompt_of(each) == name]
                rows.append(_row(written, domain, found, license="that of the model's output"))
    return rows


def _row(disclosure: Disclosure, domain: str, chosen: list[Document], license: str) -> dict[str, Any]:
    size = round(sum(len(document.text.encode()) for document in chosen) / BYTES_PER_MEGABYTE, 6)
    return {**asdict(disclosure), "size_MB": size, "domain": domain, "licence": license, "documents": len(chosen)}


def _unique(found: list[Document], audit: AuditLog) -> list[Document]:
    """The documents in the order of their ids, without those whose text came before."""
    chosen: list[Document] = []
    for document in sorted(found, key=documents.order):
        if chosen and chosen[-1].id == document.id:
            audit.remove("exact_dedup", document, Removal(reason="same_content", duplicate_of=str(document.id)))
        else:
            audit.keep("exact_dedup", len(document.text), len(document.text))
            chosen.append(document)
    return chosen

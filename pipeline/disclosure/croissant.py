"""The curated data as a Croissant file (MLCommons, version 1.1 with the RAI vocabulary): JSON-LD that data tools read.

Files are named from the folder of this file, and have the SHA-256 of their stage's manifest.
https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.artifact import Artifact
from pipeline.disclosure.config import DiscloseConfig
from pipeline.disclosure.evidence import NOT_KNOWN, Evidence

VERSION = "http://mlcommons.org/croissant/1.1"
RAI_VERSION = "http://mlcommons.org/croissant/RAI/1.0"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        term: f"cr:{term}"
        for term in (
            "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty",
            "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
            "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate",
            "separator", "source", "subField", "transform",
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "sc": "https://schema.org/",
}  # fmt: skip
"""The vocabulary's context, which every file repeats."""
CORPUS_KINDS = ("curate", "synthesize")
"""Kinds of the stages whose artifact holds documents."""
DOCUMENTS = "documents"
SUFFIX = ".jsonl.gz"
FORMAT = "application/jsonlines"
COLUMNS = {"id": "SHA-256 of the normalized text", "text": "the document"}
"""Columns of every file, with what they hold; `metadata` is an object whose keys differ."""


def croissant(evidence: Evidence, config: DiscloseConfig, place: Path) -> dict[str, Any]:
    """The description of all documents that stages of the run wrote.

    Args:
        evidence: what the run knows.
        config: what the provider says.
        place: the folder that the file will lie in, from which files are named.
    """
    files: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    corpora = [each for each in evidence.made_by if each.manifest.kind in CORPUS_KINDS]
    for each in corpora:
        for domain, names in sorted(_files(each).items()):
            files += [_file(each, name, place) for name in names]
            report = evidence.audits.get(each.manifest.stage, {}).get(domain, {})
            records += [_record_set(_reference(each, name), domain, report) for name in names]
    licences = sorted({str(each["licence"]) for each in evidence.datasets if each.get("licence")})
    finished = max((each.manifest.finished for each in corpora if each.manifest.finished), default="")
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [VERSION, RAI_VERSION],
        "name": f"{evidence.name}, curated data",
        "description": "Documents that a model was trained on, after curation, by domain."
        if corpora
        else f"The documents are {NOT_KNOWN}: no stage of the run wrote any.",
        "license": licences or [NOT_KNOWN],
        "url": config.url or NOT_KNOWN,
        "creator": {"@type": "sc:Organization", "name": config.provider or NOT_KNOWN},
        "datePublished": finished[:10] or NOT_KNOWN,
        "version": f"{config.summary_version}.0.0" if config.summary_version.isdecimal() else config.summary_version,
        "isLiveDataset": False,
        "rai:dataCollection": _collection(evidence),
        "rai:dataPreprocessingProtocol": _protocol(evidence),
        "rai:personalSensitiveInformation": _personal(evidence),
        "distribution": files,
        "recordSet": records,
    }


def _files(corpus: Artifact) -> dict[str, list[str]]:
    """The files of documents by domain."""
    found: dict[str, list[str]] = {}
    for name in sorted(corpus.manifest.files):
        parts = name.split("/")
        if parts[0] == DOCUMENTS and len(parts) == 3 and name.endswith(SUFFIX):
            found.setdefault(parts[1], []).append(name)
    return found


def _reference(corpus: Artifact, name: str) -> str:
    return f"{corpus.manifest.stage}/{name}"


def _file(corpus: Artifact, name: str, place: Path) -> dict[str, Any]:
    known = corpus.manifest.files[name]
    return {
        "@type": "cr:FileObject",
        "@id": _reference(corpus, name),
        "name": _reference(corpus, name),
        "contentUrl": Path(os.path.relpath(corpus.directory / name, place)).as_posix(),
        "contentSize": f"{known['size']} B",
        # Programs know by the name that the lines are compressed.
        "encodingFormat": FORMAT,
        "sha256": known["sha256"],
    }


def _record_set(file: str, domain: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """The documents of one file: a set of several compressed files is nothing that Croissant can read as it is."""
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{file}#{column}",
            "name": column,
            "description": description,
            "dataType": "sc:Text",
            "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
        }
        for column, description in COLUMNS.items()
    ]
    kept = f"{report['kept']:,} documents, {report['bytes']:,} bytes of text" if "kept" in report else NOT_KNOWN
    return {
        "@type": "cr:RecordSet",
        "@id": f"{file}#documents",
        "name": file,
        "description": f"{domain}: {report.get('description') or 'documents of this domain'} ({kept} in all)",
        "field": fields,
    }


def _collection(evidence: Evidence) -> str:
    rows = [f"{each['name']}: {each.get('data_provenance') or NOT_KNOWN}" for each in evidence.datasets]
    return "; ".join(dict.fromkeys(rows)) or NOT_KNOWN


def _protocol(evidence: Evidence) -> list[str]:
    """A line for each stage and domain: its steps in order, and how many documents stayed."""
    return [
        f"{stage}, {domain}: {', '.join(step['step'] for step in report.get('steps', ()))}; {report['kept']:,} of "
        f"{report['in']:,} kept"
        for stage, audit in evidence.audits.items()
        for domain, report in sorted(audit.items())
    ] or [NOT_KNOWN]


def _personal(evidence: Evidence) -> list[str]:
    """What steps that look for personal data have found."""
    found: dict[str, int] = {}
    for audit in evidence.audits.values():
        for report in audit.values():
            for step in report.get("steps", ()):
                for kind, count in step.get("found", {}).items():
                    found[f"{step['step']}: {kind}"] = found.get(f"{step['step']}: {kind}", 0) + count
    return [f"{kind}, {count:,} found and masked" for kind, count in sorted(found.items())] or [
        f"{NOT_KNOWN}: no step of this run looked for any"
    ]

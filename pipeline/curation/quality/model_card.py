"""The card of a trained classifier: what it was trained on and how well it tells classes it has not seen apart."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from pipeline.core.files import write_json
from pipeline.curation.quality.classifier import BagOfNgrams

THRESHOLDS = (0.1, 0.5, 0.9)
"""Scores that the card shows precision and recall at."""
HASH_DIGITS = 8
_COLUMNS = ("threshold", "precision", "recall", "f1")


@dataclass(frozen=True, slots=True)
class Example:
    """A document to train on."""

    document_id: str
    """The document's id: SHA-256 of its content, in hexadecimal."""
    text: str
    label: str


def is_held_out(example: Example, share: float) -> bool:
    """Whether an example is for measuring and not for training: that share of examples, chosen by their ids.

    The last digits of the id decide, since samples are made of the smallest ids, by the first digits.
    """
    return int(example.document_id[-HASH_DIGITS:], 16) < share * 16**HASH_DIGITS


def describe_training(training: Sequence[Example], held_out: Sequence[Example], labels: Sequence[str]) -> Any:
    """How many examples of each class are in both parts, and a hash of their ids, whatever their order."""
    described = {}
    for name, examples in (("training", training), ("held_out", held_out)):
        described[name] = {}
        for label in labels:
            ids = sorted(example.document_id for example in examples if example.label == label)
            digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
            described[name][label] = {"documents": len(ids), "sha256_of_ids": digest}
    return described


def average_precision(scores: Sequence[float], positive: Sequence[bool]) -> float | None:
    """Area under the curve of precision over recall: the sum over thresholds of precision times the rise in recall.

    Args:
        scores: of examples.
        positive: whether each of them is of the positive class.

    Returns:
        0 to 1; equal scores are one threshold. None without a positive example.
    """
    if not any(positive):
        return None
    ordered = numpy.argsort(-numpy.asarray(scores), kind="stable")
    ranked, hits = numpy.asarray(scores)[ordered], numpy.cumsum(numpy.asarray(positive)[ordered])
    ends = numpy.append(numpy.flatnonzero(numpy.diff(ranked)), len(ranked) - 1)
    precision, recall = hits[ends] / (ends + 1), hits[ends] / hits[-1]
    return round(float(numpy.sum(precision * numpy.diff(recall, prepend=0.0))), 6)


def measure(scores: Sequence[float], positive: Sequence[bool], threshold: float) -> dict[str, float | None]:
    """Precision, recall and F1 where scores of at least the threshold count as positive; None where undefined."""
    chosen = [score >= threshold for score in scores]
    hits = sum(one and other for one, other in zip(chosen, positive, strict=True))
    precision = hits / sum(chosen) if any(chosen) else None
    recall = hits / sum(positive) if any(positive) else None
    f1 = 2 * hits / (sum(chosen) + sum(positive)) if any(chosen) or any(positive) else None
    return {
        "threshold": threshold,
        **{
            name: None if value is None else round(value, 6)
            for name, value in (("precision", precision), ("recall", recall), ("f1", f1))
        },
    }


def write_card(
    folder: Path, model: BagOfNgrams, positive: str, held_out: Sequence[Example], training: dict[str, Any]
) -> None:
    """Writes card.json and README.md beside a classifier.

    Args:
        folder: the classifier's.
        model: the classifier.
        positive: the label whose probability is measured.
        held_out: examples that it was not trained on.
        training: settings and data, as in the classifier's configuration.
    """
    scores = model.scores([example.text for example in held_out], positive)
    truth = [example.label == positive for example in held_out]
    card = {
        "score": f"P({positive})",
        "labels": model.labels,
        **training,
        "average_precision": average_precision(scores, truth),
        "thresholds": [measure(scores, truth, threshold) for threshold in THRESHOLDS],
    }
    write_json(folder / "card.json", card)
    beside = folder / f".README.md.{os.getpid()}"
    beside.write_text(_markdown(card))
    beside.replace(folder / "README.md")


def _markdown(card: dict[str, Any]) -> str:
    rows = []
    for part in ("training", "held_out"):
        for label, each in card["data"][part].items():
            rows.append(
                f"| {part.replace('_', ' ')} | {label} | {each['documents']} | `{each['sha256_of_ids'][:16]}` |"
            )
    measured = [
        "| " + " | ".join("–" if each[name] is None else f"{each[name]:.3f}" for name in _COLUMNS) + " |"
        for each in card["thresholds"]
    ]
    settings = [f"| {name} | {value} |" for name, value in sorted(card["settings"].items())]
    average = card["average_precision"]
    lines = [
        f"# Classifier of documents: {' or '.join(card['labels'])}",
        "",
        f"The score is {card['score']}: the probability of that label, from 0 to 1, never that of the likelier label.",
        "A bag of hashed words and runs of words with one linear layer, which judges the beginning of a text.",
        "",
        "## Data",
        "",
        "| part | label | documents | SHA-256 of their ids |",
        "|---|---|---|---|",
        *rows,
        "",
        "## On the held-out part",
        "",
        f"Average precision: {'–' if average is None else f'{average:.3f}'}",
        "",
        "| " + " | ".join(_COLUMNS) + " |",
        "|---|---|---|---|",
        *measured,
        "",
        "The labels are where documents come from. What the figures say is how well the sources are told apart.",
        "",
        "## Training",
        "",
        "| setting | value |",
        "|---|---|",
        *settings,
    ]
    return "\n".join(lines) + "\n"

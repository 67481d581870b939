"""Trained classifiers of documents as files, and the one thing asked of them: P(label), the probability of one label.

Two forms: a folder that `train` of quality_classifier.py made (safetensors and JSON), and a fastText file. The label is
always named by who asks. The probability of the most probable label, which libraries give first, is another number: of
two labels it is never below 0.5, so that any threshold below that would keep every document.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy
import safetensors
import safetensors.numpy

from pipeline.core.errors import DataError
from pipeline.core.files import sha256_of, sync, write_json
from pipeline.curation.quality.hashing import Hashing
from pipeline.curation.recipes.referenced_files import CONFIG

FORMAT = "hashed-grams-1"
WEIGHTS = "model.safetensors"
DIGITS = 6
"""Decimals of a score: fewer than those in which machines may differ."""
BATCH = 64
FASTTEXT_PREFIX = "__label__"
Scorer = Callable[[Sequence[str]], list[float]]
"""P(label) of each text, from 0 to 1, independent of the other texts."""


@dataclass(frozen=True)
class BagOfGrams:
    """Logits of a text are the means of its grams' logits, and a bias.

    The product of fastText's embeddings with its linear layer, which is all that scoring needs.
    """

    labels: tuple[str, ...]
    hashing: Hashing
    table: numpy.ndarray
    """Rows of the hash table, a column per label; float32."""
    bias: numpy.ndarray
    """One per label; float32."""

    def probabilities(self, texts: Sequence[str]) -> numpy.ndarray:
        """Of each text, the probability of each label; the same whatever texts stand beside it."""
        rows, owners = self.hashing(texts)
        counts = numpy.bincount(owners, minlength=len(texts))
        columns = [
            numpy.bincount(owners, self.table[rows, label], len(texts)) / counts + float(self.bias[label])
            for label in range(len(self.labels))
        ]
        highest = numpy.maximum.reduce(columns)
        odds = [numpy.exp(column - highest) for column in columns]
        total = sum(odds[1:], start=odds[0])
        return numpy.stack([odd / total for odd in odds], axis=1)

    def scores(self, texts: Sequence[str], label: str) -> list[float]:
        """P(label) of each text."""
        column = self.labels.index(label)
        found: list[float] = []
        for start in range(0, len(texts), BATCH):
            probabilities = self.probabilities(texts[start : start + BATCH])
            found += numpy.round(probabilities[:, column], DIGITS).tolist()
        return found

    def save(self, folder: Path, training: dict[str, Any]) -> None:
        """Writes weights and configuration, the configuration last: with it the classifier is whole.

        Args:
            folder: where to.
            training: how it was trained, kept in the configuration.
        """
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".{WEIGHTS}.{os.getpid()}"
        safetensors.numpy.save_file({"table": self.table, "bias": self.bias}, beside)
        sync(beside)
        beside.replace(folder / WEIGHTS)
        settings = {"format": FORMAT, "labels": self.labels, "hashing": asdict(self.hashing), "training": training}
        write_json(folder / CONFIG, {**settings, "weights_sha256": sha256_of(folder / WEIGHTS)})


def load_bag_of_grams(folder: Path) -> BagOfGrams:
    """A classifier that this project trained.

    Raises:
        DataError: if files are missing, cut short or do not belong together.
    """
    try:
        config = json.loads((folder / CONFIG).read_text())
        if config["format"] != FORMAT:
            raise DataError(f"{folder / CONFIG}: format={config['format']}, train it again for {FORMAT}")
        hashing = Hashing(**config["hashing"])
        labels = tuple(config["labels"])
        if sha256_of(folder / WEIGHTS) != config["weights_sha256"]:
            raise DataError(f"{folder / WEIGHTS}: changed or cut short since {CONFIG} was written, copy both again")
        tensors = safetensors.numpy.load_file(folder / WEIGHTS)
        table, bias = tensors["table"], tensors["bias"]
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{folder}: not a classifier ({type(error).__name__}: {reason}), set another path") from None
    if table.shape != (1 << hashing.bits, len(labels)) or bias.shape != (len(labels),):
        raise DataError(f"{folder}: weights of shape {table.shape} do not fit {CONFIG}, copy both again")
    return BagOfGrams(labels, hashing, table, bias)


def load_scorer(path: Path, label: str) -> Scorer:
    """What gives P(label) by the classifier in a folder, or in a fastText file named *.bin or *.ftz.

    Raises:
        DataError: if it cannot be read or has no such label.
    """
    return _load_folder(path, label) if path.is_dir() else _load_fasttext(path, label)


@lru_cache(maxsize=8)
def _load_folder(path: Path, label: str) -> Scorer:
    model = load_bag_of_grams(path)
    _check_label(label, model.labels, path)
    return lambda texts: model.scores(texts, label)


@lru_cache(maxsize=8)
def _load_fasttext(path: Path, label: str) -> Scorer:
    import fasttext

    if not path.is_file():
        raise DataError(f"{path}: no such classifier, set path to a folder or a fastText file")
    try:
        model: Any = fasttext.load_model(str(path))
        labels = [str(each).removeprefix(FASTTEXT_PREFIX) for each in model.get_labels()]
    except (ValueError, RuntimeError, MemoryError) as error:
        raise DataError(f"{path}: not a fastText classifier: {' '.join(str(error).split())}") from None
    label = label.removeprefix(FASTTEXT_PREFIX)
    _check_label(label, labels, path)

    def score(text: str) -> float:
        # fastText takes one line, and all labels have to be asked for: by default it gives the most probable only.
        line = text.replace("\n", " ").encode("utf-8", "replace").decode()
        found, probabilities = model.predict(line, k=-1)
        by_label = dict(zip((str(each).removeprefix(FASTTEXT_PREFIX) for each in found), probabilities, strict=True))
        # A text with nothing that the model knows has no answer: score 0. Probabilities may exceed 1 by 1e-5.
        return round(min(float(by_label.get(label, 0.0)), 1.0), DIGITS)

    return lambda texts: [score(text) for text in texts]


def _check_label(label: str, labels: Sequence[str], path: Path) -> None:
    if label not in labels:
        raise DataError(f"{path}: no label {label}, set label to one of {', '.join(labels)}")

"""Trained classifiers of documents as files, and the one thing asked of them: P(label), the probability of one label.

They come in two forms: a folder that this project trained (safetensors and JSON), and a fastText file. The caller
always names the label. The probability of the most probable label, which libraries give first, is another number: of
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
from pipeline.curation.quality.hashing import NgramHasher
from pipeline.curation.recipes.referenced_files import CONFIG

FORMAT = "hashed-grams-1"
"""Of the folders that `BagOfNgrams.save` writes: another number when other code is needed to read them."""
WEIGHTS = "model.safetensors"
SCORE_DECIMALS = 6
"""Of a score: fewer than those in which machines may differ."""
BATCH = 64
FASTTEXT_PREFIX = "__label__"
Scorer = Callable[[Sequence[str]], list[float]]
"""Gives P(label) of each text, from 0 to 1, independent of the other texts."""


@dataclass(frozen=True)
class BagOfNgrams:
    """A linear classifier: the logits of a text are the means of its n-grams' logits, and a bias.

    Its table is the product of fastText's embeddings with its linear layer, which is all that scoring needs.
    """

    labels: tuple[str, ...]
    hasher: NgramHasher
    """Turns texts into rows of the table."""
    table: numpy.ndarray
    """Logits of the n-grams, float32 (2^bits x labels)."""
    bias: numpy.ndarray
    """Logits of any text, float32 (labels)."""

    def probabilities(self, texts: Sequence[str]) -> numpy.ndarray:
        """The probability of each label for each text, float64 (texts x labels), whatever texts stand beside it.

        Sums are made with `bincount`, text by text in the order of its n-grams, and not by a matrix product, whose
        order of summation depends on the size of the batch.
        """
        rows, owners = self.hasher(texts)
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
        """P(label) of each text, rounded to `SCORE_DECIMALS`.

        Raises:
            ValueError: if the classifier has no such label.
        """
        column = self.labels.index(label)
        found: list[float] = []
        for start in range(0, len(texts), BATCH):
            probabilities = self.probabilities(texts[start : start + BATCH])
            found += numpy.round(probabilities[:, column], SCORE_DECIMALS).tolist()
        return found

    def save(self, folder: Path, training: dict[str, Any]) -> None:
        """Writes weights and configuration, the configuration last: with it the classifier is whole.

        Args:
            folder: of the classifier; made if it is not there.
            training: how it was trained, kept in the configuration.
        """
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / f".{WEIGHTS}.{os.getpid()}"
        safetensors.numpy.save_file({"table": self.table, "bias": self.bias}, beside)
        sync(beside)
        beside.replace(folder / WEIGHTS)
        settings = {"format": FORMAT, "labels": self.labels, "hashing": asdict(self.hasher), "training": training}
        write_json(folder / CONFIG, {**settings, "weights_sha256": sha256_of(folder / WEIGHTS)})


def load_bag_of_ngrams(folder: Path) -> BagOfNgrams:
    """Loads a classifier that this project trained.

    Raises:
        DataError: if files are missing, cut short or do not belong together.
    """
    try:
        config = json.loads((folder / CONFIG).read_text())
        if config["format"] != FORMAT:
            raise DataError(f"{folder / CONFIG}: format={config['format']}, train it again for {FORMAT}")
        hasher = NgramHasher(**config["hashing"])
        labels = tuple(config["labels"])
        if sha256_of(folder / WEIGHTS) != config["weights_sha256"]:
            raise DataError(f"{folder / WEIGHTS}: changed or cut short since {CONFIG} was written, copy both again")
        tensors = safetensors.numpy.load_file(folder / WEIGHTS)
        table, bias = tensors["table"], tensors["bias"]
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{folder}: not a classifier ({type(error).__name__}: {reason}), set another path") from None
    if table.shape != (1 << hasher.bits, len(labels)) or bias.shape != (len(labels),):
        raise DataError(f"{folder}: weights of shape {table.shape} do not fit {CONFIG}, copy both again")
    return BagOfNgrams(labels, hasher, table, bias)


def load_scorer(path: Path, label: str) -> Scorer:
    """Loads a classifier, once in a process, and returns the function that gives P(label) of texts by it.

    Args:
        path: a folder that this project trained, or a fastText file named *.bin or *.ftz.
        label: the one whose probability is wanted.

    Raises:
        DataError: if it cannot be read or has no such label.
    """
    return _load_folder(path, label) if path.is_dir() else _load_fasttext(path, label)


@lru_cache(maxsize=8)
def _load_folder(path: Path, label: str) -> Scorer:
    model = load_bag_of_ngrams(path)
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
        return round(min(float(by_label.get(label, 0.0)), 1.0), SCORE_DECIMALS)

    return lambda texts: [score(text) for text in texts]


def _check_label(label: str, labels: Sequence[str], path: Path) -> None:
    if label not in labels:
        raise DataError(f"{path}: no label {label}, set label to one of {', '.join(labels)}")

"""fastText models with weights of one's choice: its own training gives other weights each time."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

MAGIC, VERSION = 793_712_314, 12
SOFTMAX, SUPERVISED = 3, 3
WORD, LABEL = 0, 1
END = "</s>"
"""The word that ends every line."""


def write_model(path: Path, words: Mapping[str, float], labels: Mapping[str, float]) -> Path:
    """A model of one dimension: the logit of a label is its weight times the mean weight of the words it knows.

    Args:
        path: file to write.
        words: weight of each word, `END` among them if lines shall have that word.
        labels: weight of each label, without prefix, in the order in which the file has them.
    """
    # dimension, window, epochs, least count, negatives, longest run of words, loss, kind, buckets, shortest and longest
    # part of a word, updates between learning rates; then a sampling threshold
    arguments = struct.pack("<12id", 1, 5, 5, 1, 5, 1, SOFTMAX, SUPERVISED, 0, 0, 0, 100, 1e-4)
    entries = [(word, WORD) for word in words] + [(f"__label__{label}", LABEL) for label in labels]
    dictionary = struct.pack("<3i2q", len(entries), len(words), len(labels), 1000, -1)
    for name, kind in entries:
        dictionary += name.encode() + b"\0" + struct.pack("<qb", 10, kind)
    matrices = _matrix(list(words.values())) + _matrix(list(labels.values()))
    path.write_bytes(struct.pack("<2i", MAGIC, VERSION) + arguments + dictionary + matrices)
    return path


def _matrix(column: Sequence[float]) -> bytes:
    return struct.pack(f"<?2q{len(column)}f", False, len(column), 1, *column)

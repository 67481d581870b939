"""Writes token shards for tests, in the form of the tokenize stage."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy

from pipeline.core.files import write_json

END_OF_TEXT = 0


def write_shards(
    directory: Path,
    train: Mapping[str, Sequence[Sequence[int]]],
    validation_every: int = 1,
    vocab_size: int = 64,
    tokenizer: str = "",
) -> None:
    """Writes `<directory>/<domain>/{train,validation}.ds` and `index.json`.

    Args:
        directory: the `tokens/` folder.
        train: documents of each domain, each ended with token 0.
        validation_every: every how-many-th document is held out as well.
        vocab_size: ids of the vocabulary.
        tokenizer: its fingerprint.
    """
    index: dict[str, dict[str, dict[str, int | str]]] = {}
    for domain, documents in train.items():
        (directory / domain).mkdir(parents=True)
        splits = {"train": documents, "validation": documents[::validation_every]}
        index[domain] = {}
        for split, chosen in splits.items():
            ended = [[*document, END_OF_TEXT] for document in chosen]
            tokens = numpy.array([token for document in ended for token in document], dtype="<u2")
            ends = numpy.cumsum([len(document) for document in ended]).astype("<u8")
            tokens.tofile(directory / domain / f"{split}.ds")
            ends.tofile(directory / domain / f"{split}.ds.index")
            digest = hashlib.sha256(tokens.tobytes() + ends.tobytes()).hexdigest()
            index[domain][split] = {"tokens": len(tokens), "documents": len(ends), "sha256": digest}
    write_json(
        directory / "index.json",
        {"dtype": "uint16", "vocab_size": vocab_size, "tokenizer": tokenizer, "domains": index},
    )

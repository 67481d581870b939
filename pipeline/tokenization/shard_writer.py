"""Pieces into one domain's training and validation shards, in an order that only the documents decide."""

import hashlib
from pathlib import Path
from typing import Any

import numpy
from datatrove.pipeline.tokens.tokenizer import TokenizedFile

from pipeline.core.errors import DataError
from pipeline.core.files import sync
from pipeline.tokenization.shards import DOCUMENT_TYPE, SOURCE_TYPE, TOKEN_TYPES
from pipeline.tokenization.tokenized_documents import TokenizedDocuments

SPLITS = ("train", "validation")


def validation_documents(split_keys: numpy.ndarray, share: float) -> numpy.ndarray:
    """Which documents are held out: those whose 64-bit hash lies in the lowest `share` of its range.

    Two documents or more hold out one at least, the one with the lowest hash; one never holds out all.
    """
    held_out = split_keys < numpy.uint64(int(share * 2**64))
    if len(split_keys) >= 2:
        held_out[numpy.argmin(split_keys)] = True
        if held_out.all():
            held_out[numpy.argmax(split_keys)] = False
    else:
        held_out[:] = False
    return held_out


def merge_domain(
    pieces: list[TokenizedDocuments], directory: Path, share: float, dtype: str, minimum_tokens: int = 0
) -> dict[str, dict[str, Any]]:
    """Writes `train.ds` and `validation.ds` with their indexes and documents; gives their part of the index.

    Documents are sorted by the hash of their id, so neither files nor workers show in the result.

    Args:
        pieces: all of the domain.
        directory: `tokens/<domain>`.
        share: of the documents that are held out.
        dtype: of tokens.
        minimum_tokens: of the documents that are written; which are held out does not depend on it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    sizes = [len(piece.document_ends) for piece in pieces]
    owner = numpy.repeat(numpy.arange(len(pieces)), sizes)
    number = numpy.concatenate([numpy.arange(size) for size in sizes])
    held_out = validation_documents(numpy.concatenate([piece.split_keys for piece in pieces]), share)
    order = numpy.argsort(numpy.concatenate([piece.order_keys for piece in pieces]), kind="stable")
    lengths = numpy.concatenate([numpy.diff(piece.document_ends.astype(numpy.int64), prepend=0) for piece in pieces])
    order = order[lengths[order] >= minimum_tokens]
    sources = sorted({name for piece in pieces for name in piece.sources})
    if len(sources) > numpy.iinfo(SOURCE_TYPE).max:
        raise DataError(f"domain {directory.name} has {len(sources)} sources, merge some of its recipe's sources")
    renumbered = [
        numpy.array([sources.index(name) for name in piece.sources], dtype=SOURCE_TYPE)[piece.source_numbers]
        for piece in pieces
    ]
    known = numpy.empty(len(lengths), dtype=DOCUMENT_TYPE)
    known["identity"] = numpy.concatenate([piece.identities for piece in pieces])
    known["source"] = numpy.concatenate(renumbered)
    description = {}
    for split in SPLITS:
        chosen = order[held_out[order] == (split == "validation")]
        path = directory / f"{split}.ds"
        file = TokenizedFile(str(directory), path.name, token_size=TOKEN_TYPES[dtype].itemsize)
        longest = 0
        for document in chosen:
            piece, position = pieces[owner[document]], number[document]
            start = int(piece.document_ends[position - 1]) if position else 0
            tokens = piece.tokens[start : int(piece.document_ends[position])]
            file.write_bytes(tokens.tobytes())
            longest = max(longest, len(tokens))
        file.close()
        known[chosen].tofile(path.with_name(path.name + ".documents"))
        sync(path.with_name(path.name + ".documents"))
        description[split] = {
            "tokens": len(file),
            "documents": len(chosen),
            "longest_document": longest,
            "sources": sources,
            "sha256": _sha256_of_both(path, path.with_name(path.name + ".index")),
        }
    return description


def _sha256_of_both(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        sync(path)
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()

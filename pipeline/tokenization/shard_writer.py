"""The tokenized files of one domain → its train and validation shards, in an order that only the documents decide."""

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
    """Which documents are held out, as booleans: those whose key lies in the lowest `share` of the 64-bit range.

    So that each split has something, two documents or more hold out at least the one with the lowest key and train on
    at least the one with the highest; a single document is not held out.

    Args:
        split_keys: a uint64 hash of each document's id, shape (documents,).
        share: of the documents to hold out, 0 to 0.5.
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
    files: list[TokenizedDocuments], directory: Path, share: float, dtype: str, minimum_tokens: int = 0
) -> dict[str, dict[str, Any]]:
    """Writes `train.ds` and `validation.ds` of a domain, with their `.index` and `.documents`.

    All documents of all files get one numbering, file by file. Two hashes of a document's id decide everything: one
    its split, the other its rank in the order of the shard. So neither how documents are spread over files nor which
    process tokenized them shows in the bytes. In memory are a few numbers per document; tokens are copied document by
    document from the mapped files to the end of the shard, which reads the files at random places.

    Args:
        files: all tokenized files of the domain.
        directory: `tokens/<domain>`.
        share: of the documents that are held out, see `validation_documents`.
        dtype: of token ids, a key of `TOKEN_TYPES`.
        minimum_tokens: shorter documents are left out; which are held out does not depend on it.

    Returns:
        The domain's part of `index.json`: tokens, documents and the like of each split.

    Raises:
        DataError: if the documents come from more datasets than a shard can number.
    """
    directory.mkdir(parents=True, exist_ok=True)
    sizes = [len(file.document_ends) for file in files]
    file_of = numpy.repeat(numpy.arange(len(files)), sizes)
    place_in_file = numpy.concatenate([numpy.arange(size) for size in sizes])
    held_out = validation_documents(numpy.concatenate([file.split_keys for file in files]), share)
    order = numpy.argsort(numpy.concatenate([file.order_keys for file in files]), kind="stable")
    lengths = numpy.concatenate([numpy.diff(file.document_ends.astype(numpy.int64), prepend=0) for file in files])
    order = order[lengths[order] >= minimum_tokens]
    sources = sorted({name for file in files for name in file.sources})
    if len(sources) > numpy.iinfo(SOURCE_TYPE).max:
        raise DataError(f"domain {directory.name} has {len(sources)} sources, merge some of its recipe's sources")
    # Each file numbers its sources itself; the shard numbers those of all files.
    source_numbers = [
        numpy.array([sources.index(name) for name in file.sources], dtype=SOURCE_TYPE)[file.source_numbers]
        for file in files
    ]
    documents = numpy.empty(len(lengths), dtype=DOCUMENT_TYPE)
    documents["id"] = numpy.concatenate([file.document_ids for file in files])
    documents["source"] = numpy.concatenate(source_numbers)
    description = {}
    for split in SPLITS:
        chosen = order[held_out[order] == (split == "validation")]
        path = directory / f"{split}.ds"
        shard = TokenizedFile(str(directory), path.name, token_size=TOKEN_TYPES[dtype].itemsize)
        longest = 0
        for document in chosen:
            file, place = files[file_of[document]], place_in_file[document]
            start = int(file.document_ends[place - 1]) if place else 0
            tokens = file.tokens[start : int(file.document_ends[place])]
            shard.write_bytes(tokens.tobytes())
            longest = max(longest, len(tokens))
        shard.close()
        documents[chosen].tofile(path.with_name(path.name + ".documents"))
        sync(path.with_name(path.name + ".documents"))
        description[split] = {
            "tokens": len(shard),
            "documents": len(chosen),
            "longest_document": longest,
            "sources": sources,
            "sha256": _sha256_of_both(path, path.with_name(path.name + ".index")),
        }
    return description


def _sha256_of_both(*paths: Path) -> str:
    """SHA-256 of the files' bytes one after another; waits until each file is on the disk."""
    digest = hashlib.sha256()
    for path in paths:
        sync(path)
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()

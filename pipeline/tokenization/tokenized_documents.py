"""The tokens of one document file, written whole or not at all: an interrupted stage keeps what is whole."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy
from datatrove.utils.batching import batched
from tokenizers import Tokenizer

from pipeline.core.files import read_json, sync, write_json
from pipeline.tokenization.documents import SourceDocument, hash64
from pipeline.tokenization.shards import END_TYPE, SOURCE_TYPE, TOKEN_TYPES


@dataclass(frozen=True)
class TokenizedDocuments:
    """One file's tokens, in its order, with what decides each document's place and split."""

    tokens: numpy.ndarray
    document_ends: numpy.ndarray
    order_keys: numpy.ndarray
    """Hash of the document's id by which the domain is sorted."""
    split_keys: numpy.ndarray
    """Another hash of it, by which validation documents are chosen."""
    text_bytes: int
    """UTF-8 bytes of the texts."""
    identities: numpy.ndarray
    """The SHA-256 that each document is known by, of shape (documents, 32) and type uint8."""
    source_numbers: numpy.ndarray
    """For each document the place of its source in `sources`."""
    sources: list[str]
    """Names of datasets."""


def write_tokenized(
    directory: Path,
    documents: Iterable[SourceDocument],
    tokenizer: Tokenizer,
    end_of_text: int,
    dtype: str,
    batch_documents: int,
) -> None:
    """Tokenises documents into `directory`, each followed by `end_of_text`, unless that was done before."""
    if directory.exists():
        return
    beside = directory.with_name(f".{directory.name}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    ends: list[int] = []
    keys: list[tuple[int, int]] = []
    identities = bytearray()
    sources: dict[str, int] = {}
    source_numbers: list[int] = []
    position = text_bytes = 0
    with (beside / "tokens").open("wb") as file:
        for batch in batched(documents, batch_documents):
            encoded = tokenizer.encode_batch_fast([each.text for each in batch], add_special_tokens=False)
            for document, encoding in zip(batch, encoded, strict=True):
                tokens = numpy.array([*encoding.ids, end_of_text], dtype=TOKEN_TYPES[dtype])
                file.write(tokens.tobytes())
                position += len(tokens)
                ends.append(position)
                keys.append((hash64("order", document.identity), hash64("validation", document.identity)))
                text_bytes += len(document.text.encode())
                identities += bytes.fromhex(document.identity)
                source_numbers.append(sources.setdefault(document.source, len(sources)))
    numpy.save(beside / "ends.npy", numpy.array(ends, dtype=END_TYPE))
    numpy.save(beside / "keys.npy", numpy.array(keys, dtype=END_TYPE).reshape(-1, 2))
    numpy.save(beside / "identities.npy", numpy.frombuffer(identities, dtype=numpy.uint8).reshape(-1, 32))
    numpy.save(beside / "sources.npy", numpy.array(source_numbers, dtype=SOURCE_TYPE))
    write_json(beside / "piece.json", {"tokens": position, "text_bytes": text_bytes, "sources": list(sources)})
    for path in beside.iterdir():
        sync(path)
    beside.rename(directory)


def read_tokenized(directory: Path, dtype: str) -> TokenizedDocuments:
    """Opens what `write_piece` wrote."""
    description = read_json(directory / "piece.json")
    keys = numpy.load(directory / "keys.npy")
    kind, length = TOKEN_TYPES[dtype], description["tokens"]
    mapped = numpy.memmap(directory / "tokens", kind, mode="r") if length else numpy.empty(0, kind)
    ends = numpy.load(directory / "ends.npy")
    return TokenizedDocuments(
        mapped,
        ends,
        keys[:, 0],
        keys[:, 1],
        description["text_bytes"],
        numpy.load(directory / "identities.npy"),
        numpy.load(directory / "sources.npy"),
        description["sources"],
    )

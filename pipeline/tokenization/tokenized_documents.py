"""The tokens of one document file, as the tokenize stage keeps them in its state until all files are tokenized.

A folder appears whole or not at all, so that an interrupted stage goes on with the first file that has none.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy
from datatrove.data import Document
from datatrove.utils.batching import batched
from tokenizers import Tokenizer

from pipeline.core.files import read_json, sync, write_json
from pipeline.tokenization.document_ids import keyed_hash64
from pipeline.tokenization.shards import END_TYPE, SOURCE_TYPE, TOKEN_TYPES

DESCRIPTION = "piece.json"


@dataclass(frozen=True)
class TokenizedDocuments:
    """The tokens of one file in its order, and what decides each document's place and split. One row a document."""

    tokens: numpy.ndarray
    """Token ids of all documents, memory-mapped, each document ending with `<|end_of_text|>`."""
    document_ends: numpy.ndarray
    """The position after each document's last token, uint64, ascending."""
    order_keys: numpy.ndarray
    """Hash of each document's id by which the domain is sorted, uint64."""
    split_keys: numpy.ndarray
    """Another hash of the id, by which validation documents are chosen, uint64."""
    text_bytes: int
    """UTF-8 bytes of all texts."""
    document_ids: numpy.ndarray
    """The SHA-256 that is each document's id, of shape (documents, 32) and type uint8."""
    source_numbers: numpy.ndarray
    """The place in `sources` of the dataset that each document came from."""
    sources: list[str]
    """Names of datasets."""


@dataclass(frozen=True)
class EncodedDocument:
    """The tokens of one document, with its end."""

    tokens: numpy.ndarray
    id: str
    """SHA-256 in hexadecimal."""
    source: str
    """Name of the dataset that it comes from."""
    text_bytes: int = 0
    """UTF-8 bytes of its text, if that is known."""


def write_tokenized(
    directory: Path,
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    end_of_text: int,
    dtype: str,
    batch_documents: int,
) -> None:
    """Tokenizes documents into a folder; returns at once, without reading a document, if the folder is there.

    Args:
        directory: that is written.
        documents: with ids that are SHA-256 in hexadecimal.
        tokenizer: without special tokens, see `tokenizer.document_tokenizer`.
        end_of_text: id of the token that is put after each document.
        dtype: of token ids, a key of `TOKEN_TYPES`.
        batch_documents: documents encoded in one call, which the tokenizer spreads over the processor's cores.
    """

    def encoded() -> Iterator[EncodedDocument]:
        for batch in batched(documents, batch_documents):
            encodings = tokenizer.encode_batch_fast([each.text for each in batch], add_special_tokens=False)
            for document, encoding in zip(batch, encodings, strict=True):
                tokens = numpy.array([*encoding.ids, end_of_text], dtype=TOKEN_TYPES[dtype])
                source = document.metadata.get("source", "")
                yield EncodedDocument(tokens, document.id, source, len(document.text.encode()))

    write_encoded(directory, encoded(), dtype)


def write_encoded(directory: Path, documents: Iterable[EncodedDocument], dtype: str) -> None:
    """Writes the tokens of documents into a folder; returns at once, without taking one, if the folder is there.

    Args:
        directory: that is written.
        documents: whose ids are hashed for their place and split.
        dtype: of token ids, a key of `TOKEN_TYPES`.
    """
    if directory.exists():
        return
    temporary = directory.with_name(f".{directory.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    ends: list[int] = []
    keys: list[tuple[int, int]] = []
    document_ids = bytearray()
    sources: dict[str, int] = {}
    source_numbers: list[int] = []
    position = text_bytes = 0
    with (temporary / "tokens").open("wb") as file:
        for document in documents:
            file.write(document.tokens.astype(TOKEN_TYPES[dtype]).tobytes())
            position += len(document.tokens)
            ends.append(position)
            keys.append((keyed_hash64("order", document.id), keyed_hash64("validation", document.id)))
            text_bytes += document.text_bytes
            document_ids += bytes.fromhex(document.id)
            source_numbers.append(sources.setdefault(document.source, len(sources)))
    numpy.save(temporary / "ends.npy", numpy.array(ends, dtype=END_TYPE))
    numpy.save(temporary / "keys.npy", numpy.array(keys, dtype=END_TYPE).reshape(-1, 2))
    numpy.save(temporary / "identities.npy", numpy.frombuffer(document_ids, dtype=numpy.uint8).reshape(-1, 32))
    numpy.save(temporary / "sources.npy", numpy.array(source_numbers, dtype=SOURCE_TYPE))
    write_json(temporary / DESCRIPTION, {"tokens": position, "text_bytes": text_bytes, "sources": list(sources)})
    for path in temporary.iterdir():
        sync(path)
    temporary.rename(directory)


def read_tokenized(directory: Path, dtype: str) -> TokenizedDocuments:
    """Opens the folder that `write_tokenized` wrote with the same `dtype`; its tokens are mapped, not read."""
    description = read_json(directory / DESCRIPTION)
    keys = numpy.load(directory / "keys.npy")
    token_dtype = TOKEN_TYPES[dtype]
    # An empty file cannot be mapped.
    tokens = (
        numpy.memmap(directory / "tokens", token_dtype, mode="r")
        if description["tokens"]
        else numpy.empty(0, token_dtype)
    )
    return TokenizedDocuments(
        tokens=tokens,
        document_ends=numpy.load(directory / "ends.npy"),
        order_keys=keys[:, 0],
        split_keys=keys[:, 1],
        text_bytes=description["text_bytes"],
        document_ids=numpy.load(directory / "identities.npy"),
        source_numbers=numpy.load(directory / "sources.npy"),
        sources=description["sources"],
    )

"""Bits per byte: how many bits a model needs for a byte of text, whatever its tokenizer.

Loss in nats per token depends on how long tokens are, so that it compares models of one tokenizer only. Here the loss
of a whole document, in bits, is divided by its UTF-8 bytes: the size that the document would have if it were compressed
with the model's predictions (arithmetic coding), beside which gzip and xz have compressed the same text.
"""

import gzip
import lzma
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from pipeline.evaluation.bench import Bench, Measured
from pipeline.evaluation.config import TextConfig
from pipeline.evaluation.loss import passes, summed_loss
from pipeline.evaluation.outside_text import cut, read_text
from pipeline.pretraining.data.stream import IGNORE_INDEX, Batch, domains_with_validation
from pipeline.tokenization.shards import TokenShard
from pipeline.tokenization.tokenizer import document_ids

OUTSIDE = "outside"
"""Before the names of texts from outside: `bits_per_byte/outside/<name>`."""


@dataclass(frozen=True)
class Document:
    """A document to be measured."""

    text_name: str
    """Domain, or `outside/<name>`."""
    text: str


def measure(bench: Bench) -> Measured:
    """`bits_per_byte/<text>` beside `gzip_bits_per_byte/<text>` and `xz_bits_per_byte/<text>`; a collective.

    There is no mean over texts: it would hide that one of them became worse.

    Raises:
        DataError: for a text from outside that is not there.
    """
    settings = bench.config.text
    assert settings is not None
    documents = [
        Document(f"{OUTSIDE}/{name}", text)
        for name, outside in settings.outside.items()
        for text in read_text(name, outside, settings.maximum_bytes)
    ]
    if settings.held_out and bench.tokens is not None:
        documents += held_out_documents(bench, settings, bench.tokens)
    found = bench.shared(
        "text", documents, lambda document: list(document_bits(bench, document.text)), "documents", "bits per byte"
    )
    texts: dict[str, list[tuple[str, float, int]]] = {}
    for document, (bits, tokens) in zip(documents, found, strict=True):
        texts.setdefault(document.text_name, []).append((document.text, bits, tokens))
    metrics: dict[str, float] = {}
    for name, each in texts.items():
        whole = "".join(text for text, _, _ in each).encode()
        metrics[f"bits_per_byte/{name}"] = sum(bits for _, bits, _ in each) / len(whole)
        metrics[f"gzip_bits_per_byte/{name}"] = 8 * len(gzip.compress(whole, 9, mtime=0)) / len(whole)
        metrics[f"xz_bits_per_byte/{name}"] = 8 * len(lzma.compress(whole, preset=9)) / len(whole)
    return Measured(metrics, sum(tokens for each in texts.values() for _, _, tokens in each))


def held_out_documents(bench: Bench, settings: TextConfig, tokens: Path) -> list[Document]:
    """Held-out documents of each domain as text, up to the limit of bytes; decoded by the tokenizer that encoded them.

    One of a tokenizer that cannot write a byte sequence as text, inside a character, gives U+FFFD there.
    """
    tokenizer: Any = bench.loaded.tokenizer
    if bench.tokenizer is not None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(bench.tokenizer, local_files_only=True)
    documents = []
    for domain in domains_with_validation(tokens):
        shard = TokenShard.open(tokens / domain / "validation.ds")
        texts, left = [], settings.maximum_bytes
        for number in range(shard.documents):
            # No token has fewer than one byte, and the last one ends the document.
            ids = shard.document(number)[:-1][: left + 1].tolist()
            texts.append(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
            left -= len(texts[-1].encode())
            if left <= 0:
                break
        documents += [Document(domain, text) for text in cut(texts, settings.maximum_bytes)]
    return documents


def document_bits(bench: Bench, text: str) -> tuple[float, int]:
    """The bits that a model needs for a document, and the tokens that it has.

    Windows share one token, which the next one begins with (as in lm-evaluation-harness's rolling log-likelihood). What
    a tokenizer puts before every text, such as Llama's <s>, is read and not counted; without such a token nothing
    predicts the first one, which then costs log2(ids of the tokenizer) bits.
    """
    config, settings, tokenizer = bench.config, bench.config.text, bench.loaded.tokenizer
    assert settings is not None
    ids = document_ids(tokenizer, text)
    start = beginning(tokenizer)
    sequence = start + ids
    rows = windows(sequence, settings.context)
    bits = 0.0 if start else math.log2(len(tokenizer))
    for part in passes(rows, config.batch_tokens) if rows is not None else ():
        bits += summed_loss(bench.loaded.model, part, config.loss_chunk_tokens)[0] / math.log(2)
    return bits, len(ids)


def beginning(tokenizer: Any) -> list[int]:
    """The token that a tokenizer puts before every text, if it does; none otherwise."""
    begun = tokenizer.encode("a")
    return begun[:1] if begun and begun[0] == tokenizer.bos_token_id else []


def windows(sequence: list[int], context: int) -> Batch | None:
    """A sequence as windows of up to `context` tokens, each of whose labels is the token after; None of a single one.

    The last window is filled up with tokens whose labels do not count.
    """
    count = -(-(len(sequence) - 1) // context)
    if count < 1:
        return None
    width = min(context, len(sequence) - 1)
    tokens = numpy.zeros((count, width), dtype=numpy.int64)
    labels = numpy.full((count, width), IGNORE_INDEX, dtype=numpy.int64)
    for row in range(count):
        part = sequence[row * context : (row + 1) * context + 1]
        tokens[row, : len(part) - 1] = part[:-1]
        labels[row, : len(part) - 1] = part[1:]
    positions = numpy.broadcast_to(numpy.arange(width), (count, width)).copy()
    return Batch(tokens, positions, labels)

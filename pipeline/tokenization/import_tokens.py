"""The stage `import_tokens`: datatrove's token shards and their tokenizer → the shards that phases read."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
from datatrove.pipeline.tokens.merger import load_doc_ends

from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import DataError, Requeue
from pipeline.core.files import write_json
from pipeline.tokenization.config import ImportTokensConfig, index_of
from pipeline.tokenization.shard_writer import merge_domain
from pipeline.tokenization.shards import INDEX, TOKEN_TYPES, token_type
from pipeline.tokenization.tokenized_documents import EncodedDocument, read_tokenized, write_encoded
from pipeline.tokenization.tokenizer import tokenizer_fingerprint

TYPE_OF_SIZE = {each.itemsize: each for each in TOKEN_TYPES.values()}
"""By bytes of a token, the type that datatrove writes it in."""


def run(context: StageContext[ImportTokensConfig]) -> StageResult:
    """Writes `tokenizer/`, and `tokens/` in the form of the tokenize stage, so that a phase takes both from here.

    Every document is checked, and gets the tokenizer's end-of-text token where it has none. Its id, which decides its
    place and whether it is held out, is the SHA-256 of its tokens in 32 bits, little-endian.

    Raises:
        DataError: for shards that are cut short, whose documents do not end where they do, or that have ids which the
            tokenizer has not; for a tokenizer without an end-of-text token, or with more ids than the model.
        Requeue: after a stop signal, between two shards.
    """
    config = context.config
    tokenizer = _load_tokenizer(config)
    tokenizer.save_pretrained(context.output / "tokenizer")
    dtype = token_type(config.vocab_size)
    shards = {domain: config.shards(domain) for domain in config.domains}
    context.progress.start(sum(map(len, shards.values())), unit="shards", label="reading")
    for domain, paths in shards.items():
        for number, path in enumerate(paths):
            documents = read_shard(path, tokenizer.eos_token_id, len(tokenizer))
            write_encoded(context.state / domain / f"{number:06}", documents, dtype)
            context.progress.advance()
            if context.stop_requested():
                raise Requeue(f"{context.stage}: stopped after {path}")

    tokens = context.output / "tokens"
    shutil.rmtree(tokens, ignore_errors=True)
    context.progress.start(len(shards), unit="domains", label="merging")
    index: dict[str, Any] = {}
    for domain, paths in shards.items():
        found = [read_tokenized(context.state / domain / f"{number:06}", dtype) for number in range(len(paths))]
        if not any(len(each.document_ends) for each in found):
            raise DataError(f"domains.{domain}={config.domains[domain]}: its shards hold no documents")
        index[domain] = merge_domain(found, tokens / domain, config.validation_share, dtype)
        context.progress.advance()
    write_json(
        tokens / INDEX,
        {
            "dtype": dtype,
            "vocab_size": config.vocab_size,
            "end_of_text": tokenizer.eos_token_id,
            "tokenizer": tokenizer_fingerprint(context.output / "tokenizer"),
            "domains": index,
        },
    )
    metrics = {}
    for domain, splits in index.items():
        metrics[f"tokens/{domain}"] = float(splits["train"]["tokens"])
        metrics[f"validation_tokens/{domain}"] = float(splits["validation"]["tokens"])
    return StageResult(
        metrics=metrics, tokens=sum(split["tokens"] for each in index.values() for split in each.values())
    )


def _load_tokenizer(config: ImportTokensConfig) -> Any:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(config.tokenizer, local_files_only=True)
    if tokenizer.eos_token_id is None:
        raise DataError(f"{config.tokenizer}: has no end-of-text token, name it as eos_token in tokenizer_config.json")
    if len(tokenizer) > config.vocab_size:
        raise DataError(
            f"{config.tokenizer}: has {len(tokenizer):,} ids, vocab_size is {config.vocab_size:,}; set "
            "model.vocab_size to theirs or more"
        )
    return tokenizer


def read_shard(path: Path, end_of_text: int, ids: int) -> Iterator[EncodedDocument]:
    """The documents of one of datatrove's shards, each with its end-of-text token.

    Args:
        path: the file with the tokens, whose `.index` lies beside it.
        end_of_text: id that ends a document.
        ids: number of the tokenizer's ids.

    Raises:
        DataError: if tokens and index do not fit each other, or the tokens not the tokenizer.
    """
    size = path.stat().st_size
    if index_of(path).stat().st_size % 8:
        raise DataError(f"{index_of(path)}: cut short, its size is no multiple of 8 bytes; copy it again")
    ends = load_doc_ends(index_of(path).open("rb"))
    if not len(ends) and not size:
        return
    width = size / int(ends[-1]) if len(ends) and ends[-1] > 0 else 0
    if width not in TYPE_OF_SIZE or (numpy.diff(ends, prepend=0) < 0).any():
        last = int(ends[-1]) if len(ends) else 0
        raise DataError(
            f"{path}: has {size:,} bytes, but by its index documents end at token {last:,}, and a token has 2 or 4 "
            "bytes; copy both files again"
        )
    tokens = numpy.memmap(path, TYPE_OF_SIZE[int(width)], mode="r")
    start = 0
    for number, end in enumerate(ends.tolist()):
        document = tokens[start:end].astype(numpy.uint32)
        start = end
        if not len(document):
            continue
        if (largest := int(document.max())) >= ids:
            raise DataError(
                f"{path}: document {number} has the token {largest:,}, the tokenizer has {ids:,} ids; set tokenizer to "
                "the one that the shards were made with"
            )
        if document[-1] != end_of_text:
            document = numpy.append(document, numpy.uint32(end_of_text))
        yield EncodedDocument(document, hashlib.sha256(document.astype("<u4").tobytes()).hexdigest(), path.parent.name)

"""The tokenize stage: documents and a tokenizer → token shards, one per domain and split."""

import shutil

from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import DataError, Requeue
from pipeline.core.files import write_json
from pipeline.tokenization.config import DOCUMENT_ROLES, LONG, TokenizeConfig
from pipeline.tokenization.documents import (
    document_files,
    documents_directories,
    domains_of,
    read_identified,
)
from pipeline.tokenization.shard_writer import merge_domain
from pipeline.tokenization.shards import INDEX, token_type
from pipeline.tokenization.token_budget import check_token_budget
from pipeline.tokenization.tokenized_documents import read_tokenized, write_tokenized
from pipeline.tokenization.tokenizer import document_tokenizer, tokenizer_fingerprint, vocabulary_of


def run(context: StageContext[TokenizeConfig]) -> StageResult:
    """Writes the token shards of every configured domain and `tokens/index.json`.

    Each document file is tokenized into a folder of the stage's state, which later attempts find; then each domain's
    files are merged. `long_documents` writes the long documents of a domain once more, as a domain of their own.

    Inputs: `tokenizer`; `corpus` and `synthetic`, of which one may be missing.

    Raises:
        DataError: for a domain without documents or tokens, a damaged document file, a corpus with fewer tokens than
            the phases' budget, or a tokenizer that does not encode as it should.
        Requeue: after a stop signal, between two files.
    """
    config = context.config
    artifacts = documents_directories(context.inputs)
    folder = context.inputs["tokenizer"].directory / "tokenizer"
    vocabulary = vocabulary_of(folder, config.vocab_size)
    tokenizer = document_tokenizer(folder)
    dtype = token_type(vocabulary.size)
    files = {domain: document_files(artifacts, domain) for domain in config.domains}
    for domain, found in files.items():
        if not found:
            present = ", ".join(domains_of(artifacts)) or "none"
            raise DataError(f"domain {domain} has no documents, only {present} have; add a recipe for it")
    corpus = [context.inputs[role] for role in DOCUMENT_ROLES if role in context.inputs]
    check_token_budget(config.demand, corpus, context.inputs["tokenizer"], config.validation_share)

    context.progress.start(sum(map(len, files.values())), counted="files", label="tokenizing")
    for domain, found in files.items():
        for number, file in enumerate(found):
            folder_of_file = context.state / domain / f"{number:06}"
            documents = read_identified(file)
            write_tokenized(folder_of_file, documents, tokenizer, vocabulary, dtype, config.batch_documents)
            context.progress.advance()
            if context.stop_requested():
                raise Requeue(f"{context.stage}: stopped after {file}")

    tokens = context.output / "tokens"
    shutil.rmtree(tokens, ignore_errors=True)
    context.progress.start(len(files), counted="domains", label="merging")
    index = {}
    text_bytes = 0
    for domain, found in files.items():
        tokenized = [read_tokenized(context.state / domain / f"{number:06}", dtype) for number in range(len(found))]
        index[domain] = merge_domain(tokenized, tokens / domain, config.validation_share, dtype)
        if index[domain]["train"]["tokens"] == 0:
            raise DataError(f"domain {domain} has no tokens: its {len(found)} files hold no documents")
        text_bytes += sum(each.text_bytes for each in tokenized)
        if (least := config.long_documents.get(domain)) is not None:
            long = merge_domain(tokenized, tokens / (domain + LONG), config.validation_share, dtype, least)
            if long["train"]["tokens"] == 0:
                raise DataError(f"long_documents.{domain}: no document has {least:,} tokens, set fewer or leave it out")
            index[domain + LONG] = long
        context.progress.advance()
    write_json(
        tokens / INDEX,
        {
            "dtype": dtype,
            "vocab_size": vocabulary.size,
            "end_of_text": vocabulary.end_of_text,
            "tokenizer": tokenizer_fingerprint(folder),
            "domains": index,
        },
    )
    total = sum(split["tokens"] for domain in files for split in index[domain].values())
    metrics = {f"tokens/{domain}": float(splits["train"]["tokens"]) for domain, splits in index.items()}
    for domain, splits in index.items():
        metrics[f"validation_tokens/{domain}"] = float(splits["validation"]["tokens"])
    metrics["bytes_per_token"] = text_bytes / total
    return StageResult(metrics=metrics, tokens=total)

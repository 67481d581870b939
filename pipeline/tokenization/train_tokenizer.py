"""The tokenizer stage: a sample of the corpus → a tokenizer in the form of a Hugging Face folder."""

import shutil

from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import DataError
from pipeline.tokenization.config import TokenizerConfig
from pipeline.tokenization.documents import document_files, documents_directories, domains_of, read_identified
from pipeline.tokenization.sampling import choose_files, sample_documents
from pipeline.tokenization.tokenizer import check_tokenizer, document_tokenizer, save_tokenizer, train_tokenizer


def run(context: StageContext[TokenizerConfig]) -> StageResult:
    """Trains the tokenizer on a sample of every domain and writes `tokenizer/`.

    The sample takes the same number of bytes of each domain, of files and documents chosen by hash. Its bytes per
    token in each domain go into the metrics, by which the tokenize stage estimates the corpus.

    Inputs: `corpus` and `synthetic`, of which one may be missing.

    Raises:
        DataError: if there are no documents, or too few for the size of the vocabulary.
    """
    config = context.config
    artifacts = documents_directories(context.inputs)
    domains = domains_of(artifacts)
    if not domains:
        raise DataError(f"{', '.join(map(str, artifacts))}: no documents to train the tokenizer on")
    seed = context.derive_seed("sample")
    context.progress.start(len(domains), counted="domains", label="sampling text")
    samples: dict[str, list[str]] = {}
    for domain in domains:
        files = choose_files(document_files(artifacts, domain), config.maximum_files_per_domain, seed)
        documents = (document for file in files for document in read_identified(file))
        samples[domain] = list(sample_documents(documents, config.sample_bytes_per_domain, seed))
        context.progress.advance()
    sizes = {domain: sum(len(text.encode()) for text in texts) for domain, texts in samples.items()}
    context.progress.doing("training")
    tokenizer = train_tokenizer([text for texts in samples.values() for text in texts], config.vocab_size)
    directory = context.output / "tokenizer"
    shutil.rmtree(directory, ignore_errors=True)
    save_tokenizer(tokenizer, directory)
    check_tokenizer(directory, config.vocab_size)
    trained = document_tokenizer(directory)
    counts = {domain: sum(map(len, trained.encode_batch_fast(texts))) for domain, texts in samples.items()}
    sample_bytes, tokens = sum(sizes.values()), sum(counts.values())
    return StageResult(
        metrics={
            "sample_bytes": sample_bytes,
            "domains": len(domains),
            "vocab_size": config.vocab_size,
            "bytes_per_token": sample_bytes / tokens,
            **{f"bytes_per_token/{domain}": sizes[domain] / counts[domain] for domain in domains if counts[domain]},
        },
        measure="bytes per token",
        before=1.0,
        after=sample_bytes / tokens,
        tokens=tokens,
    )

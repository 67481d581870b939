"""What a model makes of more context than it was pretrained on: loss far into long documents, needles in haystacks."""

from typing import Any

from pipeline.evaluation.bench import Bench, Measured
from pipeline.evaluation.long_documents import long_document_batch
from pipeline.evaluation.loss import mean_of, passes, summed_loss
from pipeline.evaluation.needle import NeedleMetrics, evaluate_needles, held_out_text, needle_examples


def measure(bench: Bench) -> Measured:
    """`long_range_loss/<context>` and `needle_*/<context>`, on held-out tokens; a collective.

    Raises:
        DataError: if no held-out document is long enough, or a context too short for a needle.
    """
    config, settings = bench.config, bench.config.long_context
    assert settings is not None
    assert bench.tokens is not None
    text = held_out_text(bench.tokens, settings.domains)
    metrics: dict[str, float] = {}
    tokens_read = 0
    model = bench.loaded.model
    for length in settings.contexts:
        if length > settings.beyond:
            batch = long_document_batch(bench.tokens, settings.domains, length, settings.windows)
            sums = bench.shared(
                f"long_range_{length}",
                passes(batch, config.batch_tokens),
                lambda part: summed_loss(model, part, config.loss_chunk_tokens, settings.beyond),
                counted="batches",
                label=f"long-range loss, {length} tokens",
            )
            metrics[f"long_range_loss/{length}"] = mean_of(sums)[0]
            tokens_read += batch.tokens.size
        examples = needle_examples(
            text, bench.loaded.tokenizer, length, settings.needles, settings.value_digits, bench.seed
        )
        found = bench.shared(
            f"needles_{length}",
            examples,
            lambda example: _values(evaluate_needles(model, [example])),
            counted="needles",
            label=f"needles, {length} tokens",
        )
        needles = NeedleMetrics(*(sum(each) / len(examples) for each in zip(*found, strict=True)))
        metrics[f"needle_exact/{length}"] = needles.exact
        metrics[f"needle_loss/{length}"] = needles.loss
        metrics[f"needle_gain/{length}"] = needles.gain
        tokens_read += 2 * length * settings.needles
    return Measured(metrics, tokens_read)


def _values(needle: NeedleMetrics) -> list[Any]:
    return [needle.exact, needle.loss, needle.loss_without_needle]

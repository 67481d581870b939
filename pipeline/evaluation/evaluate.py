"""The evaluate stage: held-out loss, long context and verified answers of one checkpoint."""

from pathlib import Path

from pipeline.core.config import nearest
from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import ConfigError
from pipeline.core.files import write_json
from pipeline.evaluation.accuracy import accuracy_metrics, answer_all, sample_answers
from pipeline.evaluation.config import EvaluateConfig
from pipeline.evaluation.long_range import long_batch
from pipeline.evaluation.loss import domain_loss, mean_loss
from pipeline.evaluation.model import LoadedModel, load_model
from pipeline.evaluation.needle import held_out_text, make_haystacks, retrieve
from pipeline.pretraining.data.stream import domains_with_validation

EARLIER = "before"
"""Role of the evaluation whose headline is shown as `before`."""


def run(context: StageContext[EvaluateConfig]) -> StageResult:
    """Measures the `model` input and writes `evaluation.json`.

    Every evaluate stage of a run draws its sequences, needles and prompts from the run's seed alone, not from
    a stream of its own: only then does a difference between two of them come from the models.

    Raises:
        ConfigError: on more than one rank, or for a headline that is not measured.
        DataError: where the tokens hold no document long enough.
    """
    config = context.config
    if context.world_size > 1:
        raise ConfigError(f"stages.{context.stage}.resources: evaluation runs on one rank, set one process")
    loaded = load_model(context.inputs["model"].checkpoint, config.precision, config.attention)
    tokens = context.inputs["tokens"].directory / "tokens"
    metrics: dict[str, float] = {}
    samples: list[dict[str, str]] = []
    read = 0
    if config.loss is not None:
        read += _held_out_loss(context, loaded, tokens, metrics)
    if config.long_context is not None:
        read += _long_context(context, loaded, tokens, metrics)
    if config.accuracy is not None:
        total = len(config.accuracy.environments) * config.accuracy.problems_per_environment
        context.progress.start(total, unit="prompts", label="verified answers")
        answers = answer_all(loaded, config.accuracy, context.seed, context.progress.advance)
        metrics |= accuracy_metrics(answers)
        samples = sample_answers(answers, config.accuracy.samples)
    if config.headline not in metrics:
        raise ConfigError(
            f"stages.{context.stage}.config.headline={config.headline}: not measured, "
            f"{nearest(config.headline, metrics)}"
        )
    write_json(context.output / "evaluation.json", {"metrics": metrics, "samples": samples})
    earlier = context.inputs.get(EARLIER)
    return StageResult(
        metrics=metrics,
        measure=config.headline,
        before=earlier.manifest.metrics.get(config.headline) if earlier else None,
        after=metrics[config.headline],
        tokens=read,
        samples=samples,
    )


def _held_out_loss(
    context: StageContext[EvaluateConfig], loaded: LoadedModel, tokens: Path, metrics: dict[str, float]
) -> int:
    """Adds `loss/<domain>` and their mean; gives the tokens read."""
    config = context.config
    assert config.loss is not None
    domains = domains_with_validation(tokens)
    context.progress.start(len(domains), unit="domains", label="held-out loss")
    read = 0
    for domain in domains:
        measured = domain_loss(
            loaded.model,
            tokens,
            domain,
            config.loss.context,
            config.loss.sequences_per_domain,
            config.batch_tokens,
            config.loss_chunk_tokens,
        )
        if measured is not None:
            metrics[f"loss/{domain}"], count = measured
            read += count
        context.progress.advance()
    losses = [value for name, value in metrics.items() if name.startswith("loss/")]
    if not losses:
        raise ConfigError(
            f"stages.{context.stage}.config.loss.context={config.loss.context}: no domain has that many "
            "held-out tokens, set a shorter context"
        )
    metrics["loss/mean"] = sum(losses) / len(losses)
    return read


def _long_context(
    context: StageContext[EvaluateConfig], loaded: LoadedModel, tokens: Path, metrics: dict[str, float]
) -> int:
    """Adds `long_range_loss/<context>` and `needle_*/<context>`; gives the tokens read."""
    config = context.config
    settings = config.long_context
    assert settings is not None
    text = held_out_text(tokens, settings.domains)
    context.progress.start(len(settings.contexts), unit="contexts", label="long context")
    read = 0
    for length in settings.contexts:
        if length > settings.beyond:
            batch = long_batch(tokens, settings.domains, length, settings.windows)
            metrics[f"long_range_loss/{length}"], _ = mean_loss(
                loaded.model, batch, config.batch_tokens, config.loss_chunk_tokens, settings.beyond
            )
            read += batch.tokens.size
        haystacks = make_haystacks(
            text, loaded.tokenizer, length, settings.needles, settings.value_digits, context.seed
        )
        retrieval = retrieve(loaded.model, haystacks)
        metrics[f"needle_exact/{length}"] = retrieval.exact
        metrics[f"needle_loss/{length}"] = retrieval.loss
        metrics[f"needle_gain/{length}"] = retrieval.gain
        read += 2 * length * settings.needles
        context.progress.advance()
    return read

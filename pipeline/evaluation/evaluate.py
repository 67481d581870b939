"""The evaluate stage: held-out loss, long context and accuracy of one checkpoint."""

from dataclasses import asdict
from pathlib import Path

from pipeline.core.config import nearest
from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import ConfigError
from pipeline.core.files import read_json, write_json
from pipeline.evaluation.accuracy import Accuracy, asked_problems, example_answers, measure_accuracy
from pipeline.evaluation.answers import read_answers, write_answers
from pipeline.evaluation.comparison import Compared, compare
from pipeline.evaluation.config import AccuracyConfig, EvaluateConfig, HeldOutLossConfig, LongContextConfig
from pipeline.evaluation.floors import Floor
from pipeline.evaluation.gates import check_gates, losses_beyond
from pipeline.evaluation.long_documents import long_document_batch
from pipeline.evaluation.loss import domain_loss, mean_loss
from pipeline.evaluation.needle import evaluate_needles, held_out_text, needle_examples
from pipeline.inference.loading import LoadedModel, load_model
from pipeline.pretraining.data.stream import domains_with_validation

PREVIOUS = "before"
"""Role of the input that is an earlier evaluation; its value of the headline metric is reported as `before`."""


def run(context: StageContext[EvaluateConfig]) -> StageResult:
    """Measures the checkpoint of the input `model` and writes `evaluation.json`, and `samples.jsonl` for answers.

    All evaluate stages of a run draw their sequences, needles and problems from the run's seed alone, not from a
    stream of their own stage: they ask every model the same, and a difference between two of them comes from the
    models.

    Raises:
        ConfigError: if there is more than one rank, or the headline is a metric that is not measured.
        CheckpointError: if the checkpoint cannot be loaded.
        DataError: if the held-out tokens have no document that is long enough.
        GateError: if the gates find a loss and are to stop the stage.
    """
    config = context.config
    if context.world_size > 1:
        raise ConfigError(f"stages.{context.stage}.resources: evaluation runs on one rank, set one process")
    context.progress.doing("loading the model")
    loaded = load_model(context.inputs["model"].checkpoint, config.precision, config.attention)
    tokens = _tokens(context)
    metrics: dict[str, float] = {}
    samples: list[dict[str, str]] = []
    tokens_read = 0
    if config.loss is not None:
        measured, count = _held_out_loss(context, config.loss, loaded, tokens)
        metrics |= measured
        tokens_read += count
    if config.long_context is not None:
        measured, count = _long_context(context, config.long_context, loaded, tokens)
        metrics |= measured
        tokens_read += count
    accuracy: Accuracy | None = None
    if config.accuracy is not None:
        accuracy = _accuracy(context, config.accuracy, loaded)
        metrics |= accuracy.metrics
        samples = example_answers(accuracy.answers, config.accuracy.samples)
    if config.headline not in metrics:
        raise ConfigError(
            f"stages.{context.stage}.config.headline={config.headline}: not measured, "
            f"{nearest(config.headline, metrics)}"
        )
    previous = context.inputs.get(PREVIOUS)
    _write(context, metrics, samples, accuracy, vocabulary=loaded.model.config.vocab_size)
    return StageResult(
        metrics=metrics,
        measure=config.headline,
        before=previous.manifest.metrics.get(config.headline) if previous else None,
        after=metrics[config.headline],
        tokens=tokens_read,
        samples=samples,
    )


def _write(
    context: StageContext[EvaluateConfig],
    metrics: dict[str, float],
    samples: list[dict[str, str]],
    accuracy: Accuracy | None,
    vocabulary: int,
) -> None:
    """Writes `samples.jsonl` and `evaluation.json`: metrics, floors, what changed against the evaluation before, and
    what the gates say of it.

    Raises:
        GateError: where the gates stop the stage.
    """
    previous = context.inputs.get(PREVIOUS)
    compared: list[Compared] = []
    if accuracy is not None:
        write_answers(context.output, accuracy.answers)
        if previous is not None and (answers := read_answers(previous.directory)) is not None:
            compared = compare(answers, accuracy.answers)
    gates = context.config.gates
    before = previous.manifest.metrics if previous else {}
    said = losses_beyond(gates, metrics, before, compared, vocabulary) if gates else []
    write_json(
        context.output / "evaluation.json",
        {
            "metrics": metrics,
            "samples": samples,
            "floors": {name: asdict(floor) for name, floor in (accuracy.floors if accuracy else {}).items()},
            "changes": {each.name: each.record() for each in compared},
            "warnings": said,
        },
    )
    if gates:
        check_gates(context.stage, gates, said)


def _tokens(context: StageContext[EvaluateConfig]) -> Path:
    """The folder of tokens; an empty path where nothing that is measured reads any.

    Raises:
        ConfigError: if tokens are needed and no stage is named that makes them.
    """
    config = context.config
    if "tokens" in context.inputs:
        return context.inputs["tokens"].directory / "tokens"
    if config.loss is not None or config.long_context is not None:
        raise ConfigError(
            f"stages.{context.stage}.inputs.tokens: missing, and loss or long_context is measured on tokens; set it to "
            "a stage that tokenizes, or both to null"
        )
    return Path()


def _held_out_loss(
    context: StageContext[EvaluateConfig], settings: HeldOutLossConfig, loaded: LoadedModel, tokens: Path
) -> tuple[dict[str, float], int]:
    """`loss/<domain>` and `loss/mean` in nats per token, and the number of tokens they are over."""
    config = context.config
    domains = domains_with_validation(tokens)
    context.progress.start(len(domains), counted="domains", label="held-out loss")
    losses: dict[str, float] = {}
    tokens_read = 0
    for domain in domains:
        measured = domain_loss(
            loaded.model,
            tokens,
            domain,
            settings.context,
            settings.sequences_per_domain,
            config.batch_tokens,
            config.loss_chunk_tokens,
        )
        if measured is not None:
            losses[domain], count = measured
            tokens_read += count
        context.progress.advance()
    if not losses:
        raise ConfigError(
            f"stages.{context.stage}.config.loss.context={settings.context}: no domain has that many "
            "held-out tokens, set a shorter context"
        )
    mean = sum(losses.values()) / len(losses)
    return {**{f"loss/{domain}": loss for domain, loss in losses.items()}, "loss/mean": mean}, tokens_read


def _long_context(
    context: StageContext[EvaluateConfig], settings: LongContextConfig, loaded: LoadedModel, tokens: Path
) -> tuple[dict[str, float], int]:
    """`long_range_loss/<context>` and `needle_*/<context>`, and the number of tokens the model read."""
    config = context.config
    text = held_out_text(tokens, settings.domains)
    context.progress.start(len(settings.contexts), counted="contexts", label="long context")
    metrics: dict[str, float] = {}
    tokens_read = 0
    for length in settings.contexts:
        if length > settings.beyond:
            batch = long_document_batch(tokens, settings.domains, length, settings.windows)
            metrics[f"long_range_loss/{length}"], _ = mean_loss(
                loaded.model, batch, config.batch_tokens, config.loss_chunk_tokens, settings.beyond
            )
            tokens_read += batch.tokens.size
        examples = needle_examples(
            text, loaded.tokenizer, length, settings.needles, settings.value_digits, context.seed
        )
        needles = evaluate_needles(loaded.model, examples)
        metrics[f"needle_exact/{length}"] = needles.exact
        metrics[f"needle_loss/{length}"] = needles.loss
        metrics[f"needle_gain/{length}"] = needles.gain
        tokens_read += 2 * length * settings.needles
        context.progress.advance()
    return metrics, tokens_read


def _accuracy(context: StageContext[EvaluateConfig], settings: AccuracyConfig, loaded: LoadedModel) -> Accuracy:
    """What the model replies. Floors of the same prompts are taken from the evaluation before, where it has them."""
    total = sum(map(len, asked_problems(settings, context.seed).values()))
    context.progress.start(total, counted="prompts", label="verified answers")
    previous = context.inputs.get(PREVIOUS)
    path = previous.directory / "evaluation.json" if previous else None
    floors = read_json(path).get("floors", {}) if path is not None and path.is_file() else {}
    known = {name: Floor(**floor) for name, floor in floors.items()}
    return measure_accuracy(loaded, settings, context.seed, context.progress.advance, known=known)

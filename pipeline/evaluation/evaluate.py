"""The evaluate stage: what a suite of settings measures of one checkpoint of a run."""

from pathlib import Path

from pipeline.core.artifact import Artifact, input_folder
from pipeline.core.context import StageContext, StageResult
from pipeline.core.files import write_json
from pipeline.evaluation.bench import Bench
from pipeline.evaluation.config import EvaluateConfig
from pipeline.evaluation.parts import measure_parts
from pipeline.evaluation.ranks import join_ranks
from pipeline.inference.loading import load_model
from pipeline.pretraining.engine.distributed import barrier, requeue_if_stopped

PREVIOUS = "before"
"""Role of the input that is an earlier evaluation; its value of the headline metric is reported as `before`."""


def run(context: StageContext[EvaluateConfig]) -> StageResult:
    """Measures the checkpoint of the input `model` and writes `evaluation.json`; a collective.

    All evaluate stages of a run draw their sequences, needles and problems from the run's seed alone, not from a
    stream of their own stage: they ask every model the same, and a difference between two of them comes from the
    models. Ranks share the work of each part. What is finished stays when the stage is ended, at any moment.

    Raises:
        ConfigError: if the headline is a metric that is not measured, or for what the model cannot be asked.
        CheckpointError: if the checkpoint cannot be loaded.
        DataError: if the held-out tokens have no document that is long enough.
        Requeue: after a stop signal.
    """
    config = context.config
    join_ranks(context.world_size)
    context.progress.doing("loading the model")
    checkpoint = context.inputs["model"].checkpoint
    tokens = context.inputs.get("tokens")
    bench = Bench(
        where=f"stages.{context.stage}.config",
        config=config,
        loaded=load_model(checkpoint, config.precision, config.attention),
        folder=checkpoint,
        tokens=tokens.directory / "tokens" if tokens else None,
        tokenizer=tokenizer_of(tokens) if tokens else None,
        seed=context.seed,
        progress=context.progress,
        state=context.state / "parts",
        between=lambda: requeue_if_stopped(context, "the evaluation; what was measured is kept"),
    )
    measured = measure_parts(bench)
    if context.rank == 0:
        write_json(context.output / "evaluation.json", {"metrics": measured.metrics, "samples": measured.samples})
    barrier()
    previous = context.inputs.get(PREVIOUS)
    return StageResult(
        metrics=measured.metrics,
        measure=config.headline,
        before=previous.manifest.metrics.get(config.headline) if previous else None,
        after=measured.metrics[config.headline],
        tokens=measured.tokens,
        samples=measured.samples,
    )


def tokenizer_of(tokens: Artifact) -> Path | None:
    """The folder of the tokenizer that a stage's tokens were made with; None where it is not there any more."""
    read = tokens.manifest.inputs.get("tokenizer")
    stage = input_folder(tokens.directory.parent, read) if read else tokens.directory
    folder = stage / "tokenizer"
    return folder if (folder / "tokenizer.json").is_file() else None

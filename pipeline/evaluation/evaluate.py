"""The evaluate stage: what a suite of settings measures of one checkpoint of a run."""

from pathlib import Path

from pipeline.core.artifact import Artifact, input_folder
from pipeline.core.context import StageContext, StageResult
from pipeline.core.files import read_json, write_json
from pipeline.evaluation.accuracy import ANSWERS, FLOORS
from pipeline.evaluation.answers import Answer, read_answers, write_answers
from pipeline.evaluation.bench import Bench, Measured
from pipeline.evaluation.comparison import Compared, compare
from pipeline.evaluation.config import EvaluateConfig
from pipeline.evaluation.gates import check_gates, losses_beyond
from pipeline.evaluation.parts import measure_parts
from pipeline.evaluation.ranks import join_ranks
from pipeline.inference.loading import load_model
from pipeline.pretraining.engine.distributed import barrier, requeue_if_stopped

PREVIOUS = "before"
"""Role of the input that is an earlier evaluation; its value of the headline metric is reported as `before`, its
answers are compared and its floors taken over."""


def run(context: StageContext[EvaluateConfig]) -> StageResult:
    """Measures the checkpoint of the input `model` into `evaluation.json`, answers into `samples.jsonl`; a collective.

    All evaluate stages of a run draw their sequences, needles and problems from the run's seed alone, not from a
    stream of their own stage: they ask every model the same, and a difference between two of them comes from the
    models. Ranks share the work of each part. What is finished stays when the stage is ended, at any moment.

    Raises:
        ConfigError: if the headline is a metric that is not measured, or for what the model cannot be asked.
        CheckpointError: if the checkpoint cannot be loaded.
        DataError: if the held-out tokens have no document that is long enough.
        GateError: if the gates find a loss and are to stop the stage.
        Requeue: after a stop signal.
    """
    config = context.config
    join_ranks(context.world_size)
    context.progress.doing("loading the model")
    checkpoint = context.inputs["model"].checkpoint
    tokens, previous = context.inputs.get("tokens"), context.inputs.get(PREVIOUS)
    earlier = previous.directory / "evaluation.json" if previous else None
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
        floors=read_json(earlier).get(FLOORS, {}) if earlier is not None and earlier.is_file() else {},
        between=lambda: requeue_if_stopped(context, "the evaluation; what was measured is kept"),
    )
    measured = measure_parts(bench)
    _conclude(context, measured, bench.loaded.model.config.vocab_size)
    barrier()
    return StageResult(
        metrics=measured.metrics,
        measure=config.headline,
        before=previous.manifest.metrics.get(config.headline) if previous else None,
        after=measured.metrics[config.headline],
        tokens=measured.tokens,
        samples=measured.samples,
    )


def _conclude(context: StageContext[EvaluateConfig], measured: Measured, vocabulary: int) -> None:
    """Writes, on the first rank, metrics, floors, what changed against the evaluation before, and what the gates say.

    Raises:
        GateError: where the gates stop the stage, on all ranks.
    """
    previous, gates = context.inputs.get(PREVIOUS), context.config.gates
    compared: list[Compared] = []
    answers = [Answer(**each) for each in measured.details.get(ANSWERS, ())]
    if previous is not None and answers and (theirs := read_answers(previous.directory)) is not None:
        compared = compare(theirs, answers)
    before = previous.manifest.metrics if previous else {}
    said = losses_beyond(gates, measured.metrics, before, compared, vocabulary) if gates else []
    if context.rank == 0:
        if answers:
            write_answers(context.output, answers)
        write_json(
            context.output / "evaluation.json",
            {
                "metrics": measured.metrics,
                "samples": measured.samples,
                FLOORS: measured.details.get(FLOORS, {}),
                "changes": {each.name: each.record() for each in compared},
                "warnings": said,
            },
        )
    if gates:
        check_gates(context.stage, gates, said)


def tokenizer_of(tokens: Artifact) -> Path | None:
    """The folder of the tokenizer that a stage's tokens were made with; None where it is not there any more."""
    read = tokens.manifest.inputs.get("tokenizer")
    stage = input_folder(tokens.directory.parent, read) if read else tokens.directory
    folder = stage / "tokenizer"
    return folder if (folder / "tokenizer.json").is_file() else None

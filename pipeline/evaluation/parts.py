"""The parts of an evaluation, each a module with one function from a bench to what it measured."""

from collections.abc import Callable
from typing import Any

from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError
from pipeline.evaluation import accuracy, harness, long_context, loss, text
from pipeline.evaluation.bench import Bench, Measured
from pipeline.evaluation.config import METRICS, PARTS
from pipeline.evaluation.limits import check_model
from pipeline.evaluation.probes import probes

Part = Callable[[Bench], Measured]
MEASURES: dict[str, Part] = {
    "loss": loss.measure,
    "long_context": long_context.measure,
    "text": text.measure,
    "probes": probes.measure,
    "accuracy": accuracy.measure,
    "harness": harness.measure,
}
assert tuple(MEASURES) == PARTS


def measure_parts(bench: Bench) -> Measured:
    """All parts that the settings have, together; a collective. What an attempt before finished is not done again.

    Raises:
        UserError: for what the model cannot be asked, before anything is measured; for a headline that was not
            measured.
    """
    check_model(bench)
    metrics: dict[str, float] = {}
    samples: list[dict[str, str]] = []
    details: dict[str, Any] = {}
    tokens = 0
    for name in bench.config.parts:
        measured = bench.once(name, MEASURES[name])
        # By which a headline is checked before anything is measured.
        assert {each.partition("/")[0] for each in measured.metrics} <= set(METRICS[name]), name
        metrics |= measured.metrics
        samples += measured.samples
        details |= measured.details
        tokens += measured.tokens
    if bench.config.headline not in metrics:
        raise ConfigError(
            f"{bench.where}.headline={bench.config.headline}: not measured, {nearest(bench.config.headline, metrics)}"
        )
    return Measured(metrics, tokens, samples, details)

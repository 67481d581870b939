"""The plan of an evaluation: how many floating-point operations it takes, about how long, and what cannot be measured.

A forward pass over n tokens in windows of C takes n·(2·parameters + 2·layers·hidden·C) operations: two for each weight
that a token passes, and attention over half the window on average, scores and values (as in
`pipeline.control.planning`, whose numbers are of forward and backward together).
"""

from collections.abc import Mapping
from typing import Any

from pipeline.core.config import ResourcesConfig
from pipeline.core.errors import ConfigError
from pipeline.core.stage_plan import StagePlan
from pipeline.evaluation.config import EvaluateConfig
from pipeline.evaluation.outside_text import check_texts
from pipeline.evaluation.task_files import check_tasks
from pipeline.pretraining.model_config import ModelConfig

H100_FLOPS = 989e12
"""Dense bf16 FLOP/s by the maker's data sheet."""
UTILIZATION = 0.4
"""Share of the peak that long forward passes are taken to reach: an assumption, not a measurement."""
BYTES_PER_TOKEN = 4
"""Of text, about."""
PROMPT_TOKENS = 256
"""Of a problem, about."""
SAID_FROM = 60.0
"""Seconds from which the time is said: a small evaluation needs no estimate."""
SECONDS_OF_DAY = 86_400


def plan_evaluation(
    config: EvaluateConfig,
    resources: ResourcesConfig,
    models: Mapping[str, ModelConfig | None],
    upstream: Mapping[str, Mapping[str, Any]],
) -> StagePlan:
    """The plan of a stage; see `EvaluateConfig.plan`.

    Raises:
        ConfigError: for a part that needs tokens where no stage makes any, a context beyond that of the phase that made
            the model, and a task that does not exist.
        DataError: for a text from outside that is not there.
    """
    if config.reads_tokens and "tokens" not in upstream:
        raise ConfigError(
            f"{config.reads_tokens[0]}: measured on tokens, and inputs.tokens names no stage that makes them; set it, "
            f"or {' and '.join(f'{each}=null' for each in config.reads_tokens)}"
        )
    _check_contexts(config, upstream.get("model", {}))
    if config.text is not None:
        check_texts(config.text.outside)
    said = check_tasks(config.harness) if config.harness is not None else None
    warnings = [said] if said else []
    lines: list[str] = []
    if (shape := models.get("model")) is not None:
        domains = upstream.get("tokens", {}).get("domains") or ()
        needed = flops(config, shape, len(domains))
        seconds = sum(needed.values()) / (H100_FLOPS * UTILIZATION * resources.ranks)
        if seconds >= SAID_FROM:
            parts = ", ".join(f"{name} {value:.1e}" for name, value in needed.items() if value)
            lines.append(
                f"{sum(needed.values()):.1e} FLOPs ({parts}): about {_time(seconds)} on {resources.ranks} H100 at "
                f"{UTILIZATION:.0%} of the peak" + (", without tasks of the harness" if config.harness else "")
            )
        if seconds > (limit := _seconds(resources.time)):
            warnings.append(
                f"about {_time(seconds)} do not fit the limit of {_time(limit)} (resources.evaluation.time); set more "
                "ranks (resources.evaluation.processes_per_node), fewer needles, or more time. What is measured is kept"
            )
    return StagePlan(lines=tuple(lines), warnings=tuple(warnings))


def flops(config: EvaluateConfig, shape: ModelConfig, domains: int) -> dict[str, float]:
    """Floating-point operations of each part, by name; the harness's are not known.

    Args:
        config: what is measured.
        shape: of the model.
        domains: with held-out documents.
    """

    def read(tokens: float, context: float) -> float:
        return tokens * (2 * shape.active_parameters + 2 * shape.layers * shape.hidden_size * context)

    found: dict[str, float] = {}
    if config.loss is not None:
        found["loss"] = read(domains * config.loss.sequences_per_domain * config.loss.context, config.loss.context)
    if (long := config.long_context) is not None:
        beyond = [length for length in long.contexts if length > long.beyond]
        found["windows"] = sum(read(long.windows * length, length) for length in beyond)
        # Each needle is asked twice: with it and without.
        found["needles"] = sum(read(2 * long.needles * length, length) for length in long.contexts)
    if (text := config.text) is not None:
        texts = len(text.outside) + (domains if text.held_out else 0)
        found["text"] = read(texts * text.maximum_bytes / BYTES_PER_TOKEN, text.context)
    if (probes := config.probes) is not None:
        tasks = probes.examples * len(probes.families)
        found["probes"] = sum(read(tasks * length, length) for length in probes.lengths)
    if (accuracy := config.accuracy) is not None:
        answers = len(accuracy.environments) * len(accuracy.splits) * accuracy.problems_per_environment
        longest = PROMPT_TOKENS + accuracy.maximum_new_tokens
        found["accuracy"] = read(answers * longest, longest)
    return found


def _check_contexts(config: EvaluateConfig, model: Mapping[str, Any]) -> None:
    """Of what measures a model within its context; windows and needles of long_context go beyond it on purpose."""
    reach = model.get("context")
    if not isinstance(reach, int):
        return
    for key, tokens in (
        ("text.context", config.text.context if config.text else 0),
        ("probes.lengths", max(config.probes.lengths) if config.probes else 0),
    ):
        if tokens > reach:
            raise ConfigError(f"{key}={tokens}: the model's phase trains {reach} tokens, set at most {reach}")


def _seconds(limit: str) -> float:
    """Seconds of HH:MM:SS or D-HH:MM:SS."""
    days, _, clock = limit.rpartition("-")
    hours, minutes, seconds = (int(each) for each in clock.split(":"))
    return int(days or 0) * SECONDS_OF_DAY + 3600 * hours + 60 * minutes + seconds


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"

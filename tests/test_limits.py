"""Every kind of stage answers a value beyond its limit in one line that names stage, key, value and limit."""

import re
from typing import Any

import pytest

from pipeline.core.config import build
from pipeline.core.errors import ConfigError
from pipeline.curation.config import ExecutorConfig
from pipeline.synthesis.config import LanguageModelConfig
from tests.settings import language_model_settings, stage_config, stage_settings

POSITIVE = {
    "curate": ("tasks", "workers", "documents_per_file"),
    "synthesize": ("environment_problems", "chains", "calls", "cpu_seconds", "memory_bytes", "workers", "difficulty"),
    "tokenizer": ("sample_bytes_per_domain", "maximum_files_per_domain"),
    "tokenize": ("vocab_size", "batch_documents", "validation_share"),
    "phase1": (
        "tokens", "context", "sequences_per_step", "sequences_per_rank", "sequence_parallel", "mlp_tiles",
        "save_every_steps", "keep_checkpoints", "keep_every_steps", "peak_flops", "validation.sequences_per_domain",
        "validation.every_steps", "skip.sigmas", "skip.window", "skip.maximum_in_a_row", "model.layers",
    ),
    "evaluate_phase4": (
        "batch_tokens", "loss_chunk_tokens", "loss.context", "loss.sequences_per_domain", "long_context.beyond",
        "long_context.windows", "long_context.needles", "long_context.value_digits", "text.context",
        "text.maximum_bytes", "probes.examples",
    ),
    "evaluate_sft": (
        "accuracy.problems_per_environment", "accuracy.maximum_new_tokens", "accuracy.batch_prompts",
        "accuracy.problems.difficulty",
    ),
    "sft": (
        "epochs", "sequences_per_step", "sequences_per_device", "max_length", "max_completion_length",
        "learning_rate", "max_grad_norm", "save_every_steps", "log_every_steps", "probe.prompts_per_domain",
        "probe.samples_per_prompt", "probe.batch_size",
    ),
    "reward_model": ("epochs", "pairs_per_step", "pairs_per_device", "max_length"),
    "rl_math": (
        "prompts", "prompts_per_step", "samples_per_prompt", "completions_per_device", "max_prompt_length", "steps",
    ),
    "release": ("maximum_new_tokens", "timeout_seconds"),
}  # fmt: skip
"""By stage, keys that refuse 0."""
BEYOND: tuple[tuple[str, str, Any], ...] = (
    ("curate", "maximum_bad_share", 1.5),
    ("curate", "maximum_bad_files", -0.1),
    ("synthesize", "difficulty", 4),
    ("tokenizer", "vocab_size", 100),
    ("tokenize", "validation_share", 0.6),
    ("tokenize", "long_documents.books", 0),
    ("phase1", "z_loss", -1),
    ("phase1", "mixture.code", -1),
    ("phase3", "learning_rate.end_ratio", 1.1),
    ("phase2", "fill_in_the_middle.rate", 2),
    ("phase5_32k", "merge.short_loss_tolerance", -0.1),
    ("sft_data", "faulty_share", 2),
    ("sft_data", "validation_share", -1),
    ("sft_data", "domain_weights.math", -1),
    ("sft", "warmup_fraction", 1.1),
    ("sft", "adam_beta2", -0.5),
    ("rl_math", "samples_per_prompt", 1),
    ("rl_math", "beta", -1),
)
EMPTY = (
    ("tokenize", "domains", []),
    ("phase1", "mixture", {}),
    ("phase5_32k", "merge.weights", []),
    ("evaluate_phase4", "long_context.contexts", []),
    ("evaluate_phase4", "long_context.domains", []),
    ("evaluate_phase4", "probes.families", []),
    ("evaluate_phase4", "probes.lengths", []),
    ("evaluate_sft", "accuracy.environments", []),
    ("sft", "deepspeed", {}),
    ("release", "sample_environments", []),
)


def refusal(stage: str, key: str, value: Any) -> str:
    """What is said of smoke's settings with one key changed."""
    settings = stage_settings(stage)
    *places, last = key.split(".")
    inside = settings
    for place in places:
        inside = inside.setdefault(place, {})
    inside[last] = value
    with pytest.raises(ConfigError) as caught:
        stage_config(stage, **settings)
    return str(caught.value)


@pytest.mark.parametrize(("stage", "key"), [(stage, key) for stage, keys in POSITIVE.items() for key in keys])
def test_nothing_is_too_few(stage: str, key: str) -> None:
    said = re.escape(f"stages.{stage}.config.{key}=0: set ")
    assert re.fullmatch(rf"{said}(it above 0(\.0)?|[124] or more)", refusal(stage, key, 0))


@pytest.mark.parametrize(("stage", "key", "value"), BEYOND)
def test_values_beyond_a_limit_are_refused(stage: str, key: str, value: object) -> None:
    said = re.escape(f"stages.{stage}.config.{key}={value!r}: set ")
    assert re.fullmatch(rf"{said}(it above \S+|\S+ or more|at most \S+)", refusal(stage, key, value))


@pytest.mark.parametrize(("stage", "key", "value"), EMPTY)
def test_lists_that_must_name_something_are_refused_when_empty(stage: str, key: str, value: object) -> None:
    assert refusal(stage, key, value) == f"stages.{stage}.config.{key} is empty, set it"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": "localhost"}, "^endpoint: url is localhost, set one such as http"),
        ({"concurrency": 0}, "^endpoint.concurrency=0: set it above 0$"),
        ({"maximum_tokens": 0}, "^endpoint.maximum_tokens=0: set it above 0$"),
        ({"retries": -1}, "^endpoint.retries=-1: set 0 or more$"),
        ({"maximum_failed_share": 2}, "^endpoint.maximum_failed_share=2: set at most 1"),
    ],
)
def test_settings_of_a_language_model_are_held_to_their_limits(changes: dict[str, Any], message: str) -> None:
    good = {"url": "http://localhost:1/v1", "model": "m"}
    with pytest.raises(ConfigError, match=message):
        build(LanguageModelConfig, language_model_settings(**{**good, **changes}), "endpoint")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "slurm"}, "needs a partition, set executor.partition to one that sinfo lists"),
        ({"kind": "slurm", "partition": "any"}, "kind=slurm needs time, set executor.time"),
        ({"kind": "ray", "cpus_per_task": 1}, "kind=ray needs memory_gb_per_cpu, set executor.memory_gb_per_cpu"),
        ({"kind": "ray", "cpus_per_task": -1}, "cpus_per_task=-1: set 0 or more"),
    ],
)
def test_a_cluster_needs_to_know_what_a_job_takes(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        build(ExecutorConfig, settings, "executor")

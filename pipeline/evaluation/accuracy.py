"""Accuracy: greedy completions of held-out problems, scored by the environments' own verifiers."""

from collections.abc import Callable, Sequence

from pipeline.environments.registry import problems
from pipeline.evaluation.bench import Bench, Measured
from pipeline.evaluation.config import AccuracyConfig
from pipeline.inference.completions import Completion, complete_problems, group_by_environment
from pipeline.inference.loading import LoadedModel
from pipeline.pretraining.engine.distributed import world_size


def complete_held_out(
    loaded: LoadedModel,
    config: AccuracyConfig,
    seed: int,
    report: Callable[[int], None],
    between: Callable[[], None] = lambda: None,
) -> list[Completion]:
    """The model's greedy completions of `problems_per_environment` held-out problems of each environment; a collective.

    Args:
        loaded: a chat model.
        config: settings.
        seed: of the problems; the same seed asks every model the same.
        report: is told the number of problems whenever a batch of them is done.
        between: called by all ranks after each batch; may raise.
    """
    held_out = [
        problem
        for environment in config.environments
        for problem in problems(environment, config.problems_per_environment, seed, "held_out", config.problems)
    ]
    return complete_problems(
        loaded, held_out, config.batch_prompts, config.maximum_new_tokens, report=report, between=between
    )


def accuracy_metrics(completions: Sequence[Completion]) -> dict[str, float]:
    """`accuracy/<environment>` and `in_format/<environment>`, each from 0 to 1, and the mean of either.

    A completion that was cut off at the limit of tokens can be accurate, as a reader would find the answer in it, but
    it is not well formed. Reinforcement learning is stricter: see `posttraining.common.rewards`.
    """
    metrics: dict[str, float] = {}
    groups = group_by_environment(completions)
    for environment, own in groups.items():
        metrics[f"accuracy/{environment}"] = sum(completion.verdict.score for completion in own) / len(own)
        metrics[f"in_format/{environment}"] = sum(completion.well_formed for completion in own) / len(own)
    for name in ("accuracy", "in_format"):
        metrics[f"{name}/mean"] = sum(metrics[f"{name}/{environment}"] for environment in groups) / len(groups)
    return metrics


def example_answers(completions: Sequence[Completion], count: int) -> list[dict[str, str]]:
    """For the report: the first completion of each of the first `count` environments, with its score and the reason."""
    first = [own[0] for own in group_by_environment(completions).values()][:count]
    return [
        {
            "domain": completion.problem.environment,
            "prompt": completion.problem.prompt,
            "answer": completion.text,
            "score": f"{completion.verdict.score:g} ({completion.verdict.reason})",
        }
        for completion in first
    ]


def measure(bench: Bench) -> Measured:
    """`accuracy/*` and `in_format/*`, with some of the answers; a collective."""
    settings = bench.config.accuracy
    assert settings is not None
    total = len(settings.environments) * settings.problems_per_environment
    bench.progress.start(-(-total // world_size()), counted="prompts", label="verified answers")
    completions = complete_held_out(bench.loaded, settings, bench.seed, bench.progress.advance, bench.between)
    return Measured(accuracy_metrics(completions), samples=example_answers(completions, settings.samples))

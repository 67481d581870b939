"""Tasks of lm-evaluation-harness, run on the loaded model and read back as metrics.

The package is an extra without its own extra `math`, whose antlr is not the one that Hydra can work with. Each task is
a unit: ranks share them, and a task that was finished before a kill is not asked again.
"""

import os
from typing import Any

from pipeline.core.errors import DataError
from pipeline.core.extras import require
from pipeline.evaluation.bench import Bench, Measured
from pipeline.evaluation.config import HarnessConfig
from pipeline.evaluation.task_files import EXTRA, PACKAGE, check_tasks, task_manager

OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")


def measure(bench: Bench) -> Measured:
    """`harness/<task>/<metric>` and `harness/<task>/<metric>_stderr`; a collective.

    A metric behind a filter other than the harness's `none` is called `<metric>,<filter>`.

    Raises:
        UserError: if the package is not installed.
        ConfigError: for a task that does not exist.
        DataError: for a task whose data are not there.
    """
    settings = bench.config.harness
    assert settings is not None
    require(EXTRA, PACKAGE)
    check_tasks(settings)
    if settings.offline:
        _stay_offline()
    found = bench.shared(
        "harness", settings.tasks, lambda task: _results(bench, settings, task), "tasks", "lm-evaluation-harness"
    )
    return Measured({name: value for each in found for name, value in each.items()})


def _stay_offline() -> None:
    """Has the hub's libraries use what is on this machine; those that are loaded already look at their own copy."""
    import datasets.config
    import huggingface_hub.constants

    for name in OFFLINE:
        os.environ[name] = "1"
        for module in (huggingface_hub.constants, datasets.config):
            if hasattr(module, name):
                setattr(module, name, True)


def _results(bench: Bench, settings: HarnessConfig, task: str) -> dict[str, float]:
    from lm_eval import simple_evaluate  # pyright: ignore[reportMissingImports]
    from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]

    model: Any = HFLM(
        pretrained=bench.loaded.model,
        tokenizer=bench.loaded.tokenizer,
        batch_size=settings.batch_size,
        backend="causal",
    )
    try:
        found: Any = simple_evaluate(
            model=model,
            tasks=[task],
            task_manager=task_manager(settings),
            num_fewshot=settings.few_shot,
            limit=settings.limit,
            apply_chat_template=settings.chat,
            log_samples=False,
            bootstrap_iters=100_000,
            random_seed=bench.seed,
            numpy_random_seed=bench.seed,
            torch_random_seed=bench.seed,
            fewshot_random_seed=bench.seed,
        )
    except (OSError, ValueError) as error:
        raise DataError(
            f"{bench.where}.harness.tasks: {task} cannot be asked ({type(error).__name__}: "
            f"{' '.join(str(error).split())}); "
            + ("its data must be on this machine, or set harness.offline=false" if settings.offline else "correct it")
        ) from error
    return {
        f"harness/{name}/{_metric(key)}": float(value)
        for name, metrics in found["results"].items()
        for key, value in metrics.items()
        if isinstance(value, int | float) and "," in key
    }


def _metric(key: str) -> str:
    """`acc_stderr,none` as `acc_stderr`, and a metric of a filter with its name."""
    metric, _, by = key.partition(",")
    return metric if by == "none" else key

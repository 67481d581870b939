"""Tasks on a Ray cluster, through datatrove's Ray executor."""

from collections.abc import Callable
from pathlib import Path

from datatrove.executor import RayPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from pipeline.core.errors import ConfigError, LaunchError
from pipeline.curation.config import ExecutorConfig


def run_on_ray(
    steps: list[PipelineStep],
    tasks: int,
    folder: Path,
    config: ExecutorConfig,
    workers: int | None,
    stop_requested: Callable[[], bool],
) -> None:
    """Runs those of the tasks that datatrove has not marked done in `folder`, and comes back when none runs any more.

    Joins the cluster that RAY_ADDRESS names, or starts one on this machine.

    Raises:
        ConfigError: if Ray is not installed.
        LaunchError: if a task did not end well.
    """
    try:
        import ray  # type: ignore[import-not-found]
    except ImportError:
        raise ConfigError("executor=ray: Ray is not installed, pip install 'ray>=2.40'") from None
    ray.init(ignore_reinit_error=True)
    executor = RayPipelineExecutor(
        steps,
        tasks=tasks,
        workers=workers or -1,
        cpus_per_task=config.cpus_per_task,
        mem_per_cpu_gb=config.memory_gb_per_cpu,
        logging_dir=str(folder),
    )
    executor.run()
    if missing := executor.get_incomplete_ranks():
        raise LaunchError(
            f"{len(missing)} of {tasks} tasks on Ray did not end well, the first is {missing[0]}; see {folder}/logs, "
            "then run again: what is done stays done"
        )

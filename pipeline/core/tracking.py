"""Metrics to Weights & Biases: one of its runs for each stage, grouped by the pipeline's run. Nothing reads it back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.config import TrackingConfig


class Tracker:
    """Logs the metrics of one stage to Weights & Biases, or nowhere. Ranks other than 0 log nowhere."""

    def __init__(
        self, config: TrackingConfig | None, run: str, stage: str, directory: Path, settings: Any = None
    ) -> None:
        """Opens the stage's run at Weights & Biases, or reopens that of an attempt before this one.

        Args:
            config: where to log; None or the mode `off` logs nowhere.
            run: name of the pipeline's run, which becomes the group.
            stage: name of the stage, which becomes the job type; the id is `<run>-<stage>`.
            directory: folder for the files of the mode `offline`.
            settings: the stage's frozen configuration, logged as well.
        """
        self._run = None
        if config is None or config.mode == "off":
            return
        import wandb

        self._run = wandb.init(
            project=config.project,
            entity=config.entity,
            mode=config.mode,
            id=f"{run}-{stage}",
            name=stage,
            group=run,
            job_type=stage,
            resume="allow",
            dir=directory,
            config=settings,
            settings=wandb.Settings(console="off", silent=True, x_disable_stats=True, disable_git=True),
        )
        # Tokens are the axis: steps that are repeated after a resume fall on each other, and phases line up.
        self._run.define_metric("*", step_metric="tokens")

    def log(self, metrics: Mapping[str, float], tokens: int) -> None:
        """Logs metrics at a number of tokens; a stage that trains on none gives another count that grows."""
        if self._run is not None:
            self._run.log({**metrics, "tokens": tokens})

    def finish(self, metrics: Mapping[str, float], manifest: Path) -> None:
        """Logs the final metrics and the manifest of a stage that finished, and closes its run."""
        if self._run is None:
            return
        import wandb

        self._run.summary.update(dict(metrics))
        artifact = wandb.Artifact(name=f"{self._run.id}-manifest", type="manifest")
        artifact.add_file(str(manifest))
        self._run.log_artifact(artifact)
        self._run.finish()

    def fail(self) -> None:
        """Closes the run of a stage that did not finish, marked as failed; the next attempt reopens it."""
        if self._run is not None:
            self._run.finish(exit_code=1)

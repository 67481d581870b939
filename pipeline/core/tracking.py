"""Weights & Biases: one run per stage, grouped by the name of the whole run. Manifests stay the truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.core.config import TrackingConfig


class Tracker:
    """Logs a stage's metrics to Weights & Biases, or nowhere."""

    def __init__(
        self, config: TrackingConfig | None, run: str, stage: str, directory: Path, settings: Any = None
    ) -> None:
        """Opens the stage's run.

        Args:
            config: where to; None, or mode `off`, logs nowhere (ranks other than 0).
            run: name of the whole run: the group.
            stage: name of the stage: the job type. `<run>-<stage>` is the identity on every attempt.
            directory: folder for the offline files.
            settings: the stage's frozen configuration, logged with the run.
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
        # Our own axis: replaying steps after a resume is harmless, and phases line up.
        self._run.define_metric("*", step_metric="tokens")

    def log(self, metrics: Mapping[str, float], tokens: int) -> None:
        """Logs metrics at a number of tokens (or, where no tokens are trained on, of units of work)."""
        if self._run is not None:
            self._run.log({**metrics, "tokens": tokens})

    def finish(self, metrics: Mapping[str, float], manifest: Path) -> None:
        """Logs the stage's final metrics and its manifest, and closes the run."""
        if self._run is None:
            return
        import wandb

        self._run.summary.update(dict(metrics))
        artifact = wandb.Artifact(name=f"{self._run.id}-manifest", type="manifest")
        artifact.add_file(str(manifest))
        self._run.log_artifact(artifact)
        self._run.finish()

    def abandon(self) -> None:
        """Closes the run of a stage that did not finish."""
        if self._run is not None:
            self._run.finish(exit_code=1)

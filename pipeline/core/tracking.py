"""Metrics of a stage: written to a file of the attempt, and sent from there to Weights & Biases by another process.

The file is what counts. A dead or hanging process of Weights & Biases, a server that does not answer and a signal to
all processes of a job (as Slurm's preemption sends it) cost nothing but a line in the log: what was not sent is sent by
the next process that is started, in this attempt or the next. Nothing reads it back.
"""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.core.config import TrackingConfig
from pipeline.core.errors import ConfigError
from pipeline.core.files import write_json
from pipeline.core.installation import python_path

METRICS = "metrics.jsonl"
"""File of an attempt with one JSON object per call of `Tracker.log`."""
DESCRIPTION = "tracking.json"
"""File of an attempt that says which run of Weights & Biases its metrics belong to and, at the end, how it ended."""
SENDER_LOG = "tracking.log"
"""File of an attempt with what the sending process printed; the last line says why it failed."""
FINISH_SECONDS = 30.0
"""Longest time that a finished stage waits for the rest of its metrics to be sent."""
FAIL_SECONDS = 10.0
"""The same for a stage that failed or was stopped: a preempted job has little time, and a next attempt."""
RETRY_SECONDS = 300.0
"""Shortest time between two starts of the sending process while the stage runs."""


class Tracker:
    """Logs the metrics of one stage. No method raises, or waits longer than the limits above.

    With the mode `off` they are written to the attempt's file and sent nowhere. Ranks other than 0 are given no
    configuration and log nothing.
    """

    def __init__(
        self, config: TrackingConfig | None, run: str, stage: str, attempt: Path, settings: Any = None
    ) -> None:
        """Starts the process that sends what is logged: to the stage's run at Weights & Biases, new or reopened.

        Args:
            config: where to send; None logs nothing.
            run: name of the pipeline's run, which becomes the group.
            stage: name of the stage, which becomes the job type; the id is `<run>-<stage>`.
            attempt: folder `<run>/<stage>/attempts/<number>`, which takes the metrics.
            settings: the stage's frozen configuration, sent as well.
        """
        self._attempt = attempt
        self._sender: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._warned: set[str] = set()
        self._records = config is not None
        self._sends = config is not None and config.mode != "off"
        if config is None or not self._sends:
            return
        self._description: dict[str, Any] = {
            "run": {
                "project": config.project,
                "entity": config.entity,
                "mode": config.mode,
                "id": f"{run}-{stage}",
                "name": stage,
                "group": run,
                "job_type": stage,
                "config": settings,
            },
            "end": None,
        }
        with self._harmless():
            (attempt / METRICS).touch()
            write_json(attempt / DESCRIPTION, self._description)
            self._start()

    def log(self, metrics: Mapping[str, float], tokens: int, step: int | None = None) -> None:
        """Logs metrics of a step at a number of tokens.

        Args:
            metrics: by name.
            tokens: trained on until then; a stage that trains on none gives another count that grows.
            step: of the stage, from 1. Which steps are logged must depend on the step alone (`pipeline.core.history`).
        """
        if not self._records:
            return
        with self._harmless():
            row = {**metrics, "tokens": tokens, **({} if step is None else {"step": step})}
            with (self._attempt / METRICS).open("a") as file:
                file.write(json.dumps(row, default=float) + "\n")
            if self._sends and not self._sending() and time.monotonic() > self._started + RETRY_SECONDS:
                self._start()

    def finish(self, metrics: Mapping[str, float], manifest: Path) -> None:
        """Logs the final metrics and the manifest, a file of the stage's folder, and waits until all is sent."""
        self._end({"exit_code": 0, "summary": dict(metrics), "manifest": manifest.name}, FINISH_SECONDS)

    def fail(self) -> None:
        """Marks the run of a stage that did not finish as failed; the next attempt reopens it."""
        self._end({"exit_code": 1, "summary": {}, "manifest": None}, FAIL_SECONDS)

    def _end(self, end: dict[str, Any], seconds: float) -> None:
        if not self._sends:
            return
        deadline = time.monotonic() + seconds
        with self._harmless():
            write_json(self._attempt / DESCRIPTION, {**self._description, "end": end})
            if not self._sent_before(deadline):
                # A process that died is given one successor, which sends everything again.
                self._start()
                self._sent_before(deadline)
        if self._sender is not None and self._sender.poll() is None:
            # Its own child, wandb-core, ends when it finds its parent gone.
            self._sender.kill()
            self._warn("late", f"Weights & Biases did not take all of it within {seconds:.0f} s")

    def _start(self) -> None:
        """Starts the process that sends, in a session of its own: signals to this one's group do not reach it."""
        self._started = time.monotonic()
        with (self._attempt / SENDER_LOG).open("ab") as log:
            self._sender = subprocess.Popen(
                [sys.executable, "-P", "-m", "pipeline.core.send_metrics", self._attempt, f"--follow={os.getpid()}"],
                env={**os.environ, "PYTHONPATH": python_path()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _sending(self) -> bool:
        """Whether the process is there; warns if it is not. It is not to end before the stage does."""
        if self._sender is None:
            return False
        code = self._sender.poll()
        if code:
            self._warn(*self._cause(code))
        return code is None

    def _sent_before(self, deadline: float) -> bool:
        """Whether the process ended well, or has not ended in time; warns if it ended otherwise."""
        if self._sender is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._sender.wait(max(0.0, deadline - time.monotonic()))
        return self._sending() or (self._sender is not None and self._sender.returncode == 0)

    def _cause(self, code: int) -> tuple[str, str]:
        """Kind and text of what ended the process."""
        if code < 0:
            name = signal.Signals(-code).name
            return name, f"the process that sends metrics was ended by {name}"
        lines = (self._attempt / SENDER_LOG).read_text(errors="replace").splitlines()
        last = lines[-1][:300] if lines else f"exit code {code}"
        return last.split(":")[0], last

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """Turns an exception into a warning: metrics are not worth a stage."""
        try:
            yield
        except Exception as error:
            self._warn(type(error).__name__, f"{type(error).__name__}: {error}")

    def _warn(self, kind: str, text: str) -> None:
        """Prints one line per kind of trouble, on the standard error that the launcher keeps as `rank-0.log`."""
        if kind in self._warned:
            return
        self._warned.add(kind)
        command = [sys.executable, "-m", "pipeline.core.send_metrics", str(self._attempt)]
        print(
            f"tracking: {text}; the stage goes on. Metrics are in {self._attempt / METRICS}; what is not sent by the "
            f"end of the stage, `{shlex.join(command)}` sends",
            file=sys.stderr,
            flush=True,
        )


def check_login(config: TrackingConfig) -> None:
    """Makes sure that this machine has a login for Weights & Biases, if metrics are to be sent there at once.

    wandb looks for it, in its environment variables, settings and netrc file, without asking a server or a person. It
    does so in a process of its own: the control plane imports no wandb.

    Raises:
        ConfigError: if it finds none, or one that cannot be right.
    """
    if config.mode != "online":
        return
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", "import wandb; wandb.login(verify=False)"],
        env={**environment, "WANDB_SILENT": "true"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no login"])[-1].split(": ", 1)[-1]
        raise ConfigError(
            f"tracking.mode=online: Weights & Biases: {why} Run `wandb login`, set WANDB_API_KEY, or set "
            "tracking=offline"
        )

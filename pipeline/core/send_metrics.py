"""Sends the metrics of an attempt to Weights & Biases: `python -m pipeline.core.send_metrics <attempt>`.

A stage's tracker starts it with `--follow=<process>`, to send what is logged as it comes. By hand it sends what was
left over: all of an attempt `<run>/<stage>/attempts/<number>`, and of those before it that were not sent whole.
"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.files import read_json, write_json
from pipeline.core.tracking import DESCRIPTION, METRICS

SENT = "sent.json"
"""File of an attempt: in which of wandb's folders its metrics are, and whether all of them are there or sent."""
POLL_SECONDS = 0.5
ORPHAN_SECONDS = 60
"""Time to send the rest after the stage's process is gone; then this process ends, whatever hangs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Sends what was not sent yet, and returns the exit code: 0 if all was taken.

    Otherwise it is 1, and the last line that is printed says why.

    Args:
        arguments: those of the command line, without the program's name; None takes sys.argv.
    """
    parser = argparse.ArgumentParser(prog="python -m pipeline.core.send_metrics", description=__doc__)
    parser.add_argument("attempt", type=Path, help="folder of an attempt, e.g. runs/first/phase1/attempts/1")
    parser.add_argument("--follow", type=int, metavar="PROCESS", help="go on until the stage or this process ends")
    options = parser.parse_args(arguments)
    attempt = options.attempt.resolve()
    if not (attempt / DESCRIPTION).exists():
        print(f"{attempt / DESCRIPTION}: missing; name a folder <run>/<stage>/attempts/<number>", file=sys.stderr)
        return 2
    if options.follow is not None:
        # A batch system signals all processes of a job. The stage saves and ends, then this one does.
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=_end_soon_after, args=[options.follow], daemon=True).start()
    try:
        if unsent := _unsent(attempt):
            _send(unsent, options.follow)
    except Exception as error:
        print(f"{type(error).__name__}: {error}".splitlines()[0], flush=True)
        # wandb's exit handlers would add their own, or wait for a process that hangs.
        os._exit(1)
    return 0


def _end_soon_after(parent: int) -> None:
    """Waits, in a thread, for the stage's process to end, and then for the rest to be sent, but not for ever."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    signal.alarm(ORPHAN_SECONDS)


def _unsent(attempt: Path) -> list[Path]:
    """The attempt and those before it, in order, without those that were sent whole."""
    known = sorted((int(path.parent.name), path.parent) for path in attempt.parent.glob(f"*/{DESCRIPTION}"))
    return [each for number, each in known if number <= int(attempt.name) and not _sent(each)["whole"]]


def _sent(attempt: Path) -> dict[str, Any]:
    return read_json(attempt / SENT) if (attempt / SENT).exists() else {"folder": None, "whole": False}


def _send(attempts: list[Path], parent: int | None) -> None:
    """Opens the stage's run at Weights & Biases and sends all metrics of these attempts, the last as they come.

    What an attempt before this process sent in part is sent again: rows with the same number of tokens fall on each
    other.
    """
    last = attempts[-1]
    folder = last.parents[2]
    # Whatever wandb writes is to lie in the run, unless the user has chosen another place; a service that another
    # program has started is none of ours.
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "wandb"))
    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "wandb" / "cache"))
    os.environ.pop("WANDB_SERVICE", None)
    import wandb

    for attempt in attempts:
        _remove_broken_record(folder, _sent(attempt)["folder"])
    run = wandb.init(
        **read_json(last / DESCRIPTION)["run"],
        resume="allow",
        dir=folder,
        settings=wandb.Settings(console="off", silent=True, x_disable_stats=True, disable_git=True),
    )
    sent = {"folder": Path(run.dir).parent.name, "whole": False}
    write_json(last / SENT, sent)
    # Tokens are the axis: steps that are repeated after a resume fall on each other, and phases line up.
    run.define_metric("*", step_metric="tokens")
    for attempt in attempts:
        for metrics in _rows(attempt, parent if attempt == last else None):
            # wandb counts steps by itself; the axis are the tokens.
            run.log({name: value for name, value in metrics.items() if name != "step"})
    end = read_json(last / DESCRIPTION)["end"] or {"exit_code": 1, "summary": {}, "manifest": None}
    run.summary.update(end["summary"])
    if end["manifest"] is not None:
        artifact = wandb.Artifact(name=f"{run.id}-manifest", type="manifest")
        artifact.add_file(str(last.parents[1] / end["manifest"]))
        run.log_artifact(artifact)
    run.finish(exit_code=end["exit_code"])
    # The last first: the next process removes what is not whole, which must never hold what is.
    for attempt in reversed(attempts):
        write_json(attempt / SENT, {**sent, "whole": True})


def _remove_broken_record(run: Path, folder: str | None) -> None:
    """Removes an offline record that was not finished, at which `wandb sync` stops; all in it is sent again."""
    if folder is not None and folder.startswith("offline-run-"):
        shutil.rmtree(run / "wandb" / folder, ignore_errors=True)


def _rows(attempt: Path, parent: int | None) -> Iterator[dict[str, Any]]:
    """The metrics of an attempt; with a parent process, also those that it adds until it ends its attempt, or ends."""
    at = 0
    while True:
        # Looked at before the rows, so that none comes between.
        over = parent is None or os.getppid() != parent or read_json(attempt / DESCRIPTION)["end"] is not None
        with (attempt / METRICS).open("rb") as file:
            file.seek(at)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                at += len(line)
                # A full disk can have cut one short.
                with contextlib.suppress(ValueError):
                    yield json.loads(line)
        if over:
            return
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())

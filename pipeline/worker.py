"""One rank of one stage: `python -m pipeline.worker <run>/<stage>`.

Reads only the frozen configuration. RANK, LOCAL_RANK and WORLD_SIZE come from the environment, whoever set
them: the local launcher, torchrun, srun or a test. Absent, it is a single rank.
"""

import datetime
import fcntl
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from pipeline.control.run import FROZEN, FrozenStage, is_done, next_attempt
from pipeline.core.artifact import Manifest, describe_environment, finish_publishing, load, publish
from pipeline.core.config import TrackingConfig, build
from pipeline.core.context import ATTEMPT, PARENT_PIPE, StageContext, StageResult, StopFlag
from pipeline.core.errors import (
    EXIT_DONE,
    EXIT_REQUEUE,
    EXIT_USER_ERROR,
    ArtifactError,
    ConfigError,
    Requeue,
    as_user_error,
)
from pipeline.core.files import read_json, write_json
from pipeline.core.progress import Progress
from pipeline.core.tracking import Tracker
from pipeline.stages import load_symbol, stage_type


def main(arguments: list[str] | None = None) -> int:
    """Runs one rank and returns its exit code: 0 done, 2 user error, 75 saved on request; others raise."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        print("usage: python -m pipeline.worker <run>/<stage>", file=sys.stderr)
        return EXIT_USER_ERROR
    directory = Path(arguments[0]).resolve()
    if os.environ.get(PARENT_PIPE):
        threading.Thread(target=_die_with_parent, daemon=True).start()
    stop = StopFlag()
    stop.listen()
    rank = int(os.environ.get("RANK", "0"))
    number = int(os.environ.get(ATTEMPT) or next_attempt(directory))
    attempt = directory / "attempts" / str(number)
    attempt.mkdir(parents=True, exist_ok=True)
    try:
        _run(directory, attempt, stop)
    except Requeue as saved:
        print(f"{directory.name}: {saved}", file=sys.stderr)
        return EXIT_REQUEUE
    except Exception as error:
        user_error = as_user_error(error, where=str(directory))
        traceback.print_exc()
        if user_error is None:
            raise
        write_json(attempt / f"error-{rank}.json", {"type": type(user_error).__name__, "message": str(user_error)})
        print(f"{directory.name}: {user_error}", file=sys.stderr)
        return EXIT_USER_ERROR
    return EXIT_DONE


def _run(directory: Path, attempt: Path, stop: StopFlag) -> None:
    if not (directory / FROZEN).exists():
        raise ConfigError(f"{directory / FROZEN}: missing; `fivephase run` or `fivephase plan --freeze` writes it")
    frozen = FrozenStage(**read_json(directory / FROZEN))
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if rank == 0:
        with _only_writer(directory):
            finish_publishing(directory)
            if not is_done(frozen, directory.parent.parent):
                _work(frozen, directory, attempt, stop, rank, world_size)
    elif not is_done(frozen, directory.parent.parent):
        _work(frozen, directory, attempt, stop, rank, world_size)


def _work(frozen: FrozenStage, directory: Path, attempt: Path, stop: StopFlag, rank: int, world_size: int) -> None:
    started, clock = _now(), time.monotonic()
    kind = stage_type(frozen.kind, frozen.stage)
    config = build(load_symbol(kind.config), frozen.config, where=f"stages.{frozen.stage}.config")
    inputs = {
        role: load(
            directory.parent / each["stage"],
            each["fingerprint"],
            # One rank hashes; the others wait for it at their first collective.
            hashes=frozen.verify_hashes and rank == 0,
        )
        for role, each in frozen.inputs.items()
    }
    tracking = build(TrackingConfig, frozen.tracking, where="tracking") if rank == 0 else None
    tracker = Tracker(tracking, frozen.run, frozen.stage, directory.parent, frozen.config)
    context = StageContext(
        stage=frozen.stage,
        config=config,
        inputs=inputs,
        directory=directory,
        seed=frozen.seed,
        rank=rank,
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        world_size=world_size,
        progress=Progress(attempt / "progress.json" if rank == 0 else None),
        tracker=tracker,
        stop=stop,
    )
    try:
        result: StageResult = load_symbol(kind.entry)(context)
    except BaseException:
        tracker.abandon()
        raise
    if rank != 0:
        return
    manifest = Manifest(
        stage=frozen.stage,
        kind=frozen.kind,
        fingerprint=frozen.fingerprint,
        inputs=frozen.inputs,
        files={},
        metrics=result.metrics,
        measure=result.measure,
        before=result.before,
        after=result.after,
        tokens=result.tokens,
        counts=result.counts,
        samples=result.samples,
        started=started,
        finished=_now(),
        seconds=time.monotonic() - clock,
        peak_memory_bytes=_peak_memory_bytes(),
        attempt=int(attempt.name),
        world_size=world_size,
        **describe_environment(),
    )
    publish(directory, manifest)
    tracker.finish(result.metrics, directory / "manifest.json")


@contextmanager
def _only_writer(directory: Path) -> Iterator[None]:
    """Holds the stage's lock.

    Raises:
        ArtifactError: if another process works on the stage.
    """
    with (directory / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArtifactError(
                f"{directory}: another process works on this stage; wait for it, or stop it first"
            ) from None
        yield


def _die_with_parent() -> None:
    """Ends this process and its children when the launcher is gone, however it went."""
    # Not sys.stdin: a forked child closes that, and would wait for ever for the lock this thread holds.
    while os.read(0, 1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _peak_memory_bytes() -> int:
    usage = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(usage) * (1 if sys.platform == "darwin" else 1024)


def exit_rank(code: int) -> NoReturn:
    """Ends the process; one of several ranks ends at once, when all it wrote is where it belongs.

    DeepSpeed's ZeRO-3 holds process groups, also after `destroy`, until the interpreter takes itself apart; gloo's
    threads then meet sockets whose other side is gone, and now and then abort a rank that has done all its work.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    exit_rank(main())

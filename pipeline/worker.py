"""One rank of one stage: `python -m pipeline.worker <run>/<stage>`.

It reads nothing but the stage's frozen configuration and the inputs that this names. RANK, LOCAL_RANK and WORLD_SIZE
come from the environment, whether the local launcher, torchrun, srun or a test set them; without them it is a single
rank.
"""

import datetime
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import NoReturn

from pipeline.control.failures import record_error
from pipeline.control.frozen_stages import FrozenStage, read_frozen
from pipeline.control.stage_folders import is_done, is_done_or_publishing, next_attempt
from pipeline.core.artifact import (
    PARTIAL,
    STATE,
    Artifact,
    Manifest,
    finish_publishing,
    input_folder,
    load,
    provenance,
    publish,
    remedy,
    remove_temporaries,
)
from pipeline.core.config import TrackingConfig, build
from pipeline.core.context import (
    ATTEMPT_VARIABLE,
    FINGERPRINT_VARIABLE,
    PARENT_PIPE_VARIABLE,
    StageContext,
    StageResult,
    StopFlag,
)
from pipeline.core.errors import (
    EXIT_DONE,
    EXIT_FAILURE,
    EXIT_REQUEUE,
    EXIT_USER_ERROR,
    ArtifactError,
    ConfigError,
    Requeue,
)
from pipeline.core.files import read_json, write_json
from pipeline.core.history import USAGE, write_history
from pipeline.core.installation import code_hash
from pipeline.core.lock import StageLock, stage_lock
from pipeline.core.memory import PeakMemory
from pipeline.core.progress import Progress
from pipeline.core.tracking import Tracker
from pipeline.core.usage import UsageMeter
from pipeline.stages import load_symbol, stage_type


def main(arguments: list[str] | None = None) -> int:
    """Runs one rank and returns its exit code.

    In order: it arranges to end when the launcher does, listens for stop signals, finds the number of the attempt (the
    launcher or batch script gives the same one to all ranks), and runs the stage unless it is finished already. An
    error is written as `error-<rank>.json` too: from those of all ranks the launcher takes the line that it prints.

    Args:
        arguments: the stage's folder; None takes those of the command line.

    Returns:
        0 if the stage is finished, 2 after a user's error, 75 if the stage saved its state after a stop signal, 1 after
        whatever else went wrong, which is a fault of the program. The traceback is printed.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1:
        print("usage: python -m pipeline.worker <run>/<stage>", file=sys.stderr)
        return EXIT_USER_ERROR
    # Libraries tell their makers nothing: TRL (by huggingface_hub) which model is trained and where its data is from,
    # vLLM on which machine it runs. To be set before they are imported.
    os.environ["DO_NOT_TRACK"] = "1"
    directory = Path(arguments[0]).resolve()
    if os.environ.get(PARENT_PIPE_VARIABLE):
        threading.Thread(target=_end_with_launcher, daemon=True).start()
    stop = StopFlag()
    stop.listen()
    rank = int(os.environ.get("RANK", "0"))
    number = int(os.environ.get(ATTEMPT_VARIABLE) or next_attempt(directory))
    attempt = directory / "attempts" / str(number)
    try:
        attempt.mkdir(parents=True, exist_ok=True)
        _run_unless_finished(directory, attempt, stop)
    except Requeue as saved:
        print(f"{directory.name}: {saved}", file=sys.stderr)
        return EXIT_REQUEUE
    except Exception as error:
        user_error = record_error(attempt, rank, error, directory)
        traceback.print_exc()
        if user_error is None:
            return EXIT_FAILURE
        print(f"{directory.name}: {user_error}", file=sys.stderr)
        return EXIT_USER_ERROR
    return EXIT_DONE


def _run_unless_finished(directory: Path, attempt: Path, stop: StopFlag) -> None:
    """Reads the frozen configuration and runs the stage if it has no artifact of this configuration yet.

    Rank 0 alone writes the manifest, so it alone holds the lock, and it first completes a publishing that a kill
    interrupted. The other ranks only look whether the stage is finished.
    """
    frozen = read_frozen(directory)
    _check_launched(frozen, directory)
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if rank != 0:
        if not is_done_or_publishing(frozen, directory):
            _run_stage(frozen, directory, attempt, stop, rank, world_size, None)
        return
    with stage_lock(directory, [each["stage"] for each in frozen.inputs.values()]) as lock:
        finish_publishing(directory)
        if not is_done(frozen, directory):
            _empty_outputs(frozen, directory)
            _run_stage(frozen, directory, attempt, stop, rank, world_size, lock)


def _check_launched(frozen: FrozenStage, directory: Path) -> None:
    """Makes sure that the stage is the one that was launched, and of the kind that this code has; notes other code.

    Raises:
        ConfigError: if the stage was frozen anew between launch and start, or by a code with another version of it.
    """
    launched = os.environ.get(FINGERPRINT_VARIABLE, frozen.fingerprint)
    if launched != frozen.fingerprint:
        raise ConfigError(
            f"{directory}: frozen with another configuration since this was launched (fingerprint "
            f"{frozen.fingerprint[:8]}, launched {launched[:8]}); launch it again, or take another name with run="
        )
    version = stage_type(frozen.kind, frozen.stage).version
    if frozen.version not in (None, version):
        raise ConfigError(
            f"{directory}: frozen for version {frozen.version} of {frozen.kind}, this code has version {version}; "
            "launch it again, or with the code that froze it"
        )
    if frozen.code not in (None, code_hash()):
        print(f"{directory.name}: the code changed since this stage was frozen (same version of it)", file=sys.stderr)


def _empty_outputs(frozen: FrozenStage, directory: Path) -> None:
    """Removes what an attempt before this one left in `partial/`, except finished outputs that the stage keeps."""
    if stage_type(frozen.kind, frozen.stage).keeps_outputs:
        remove_temporaries(directory / PARTIAL)
    else:
        shutil.rmtree(directory / PARTIAL, ignore_errors=True)


def _check_inputs(directory: Path, inputs: dict[str, Artifact]) -> None:
    """Remembers which files the stage reads, so that a later attempt continues with the same ones.

    Raises:
        ArtifactError: if an attempt before this one read others.
    """
    path = directory / STATE / "inputs.json"
    contents = {role: artifact.manifest.content for role, artifact in inputs.items()}
    if path.exists():
        for role, content in read_json(path).items():
            if contents.get(role) != content:
                raise ArtifactError(
                    f"{directory}: its unfinished state was made from other files of {inputs[role].directory.name} "
                    f"than there are now; {remedy(directory)}"
                )
    else:
        write_json(path, contents)


def _run_stage(
    frozen: FrozenStage,
    directory: Path,
    attempt: Path,
    stop: StopFlag,
    rank: int,
    world_size: int,
    lock: StageLock | None,
) -> None:
    """Runs the function of the stage's kind in this rank and, on rank 0, publishes what it made.

    The kind names its function as a string; importing it here is what loads torch. All ranks check the sizes of the
    inputs, and share the hashing: one that finds damage ends the stage before training begins. There is a manifest only
    after the function returned: a rank that raises or is killed leaves `partial/` and `state/` for the next attempt.
    Rank 0 publishes as soon as its own call returns, so a function whose other ranks write files must end with a
    collective.

    Args:
        frozen: the stage.
        directory: its folder.
        attempt: folder of the attempt.
        stop: the signals that came.
        rank: of this process.
        world_size: number of ranks.
        lock: held by rank 0 alone, which publishes.
    """
    started, clock, memory = _now(), time.monotonic(), PeakMemory()
    usage = UsageMeter(attempt / USAGE if rank == 0 else None, _nodes(world_size))
    progress = Progress(attempt / "progress.json" if rank == 0 else None)
    progress.doing("checking what it reads")
    kind = stage_type(frozen.kind, frozen.stage)
    config = build(load_symbol(kind.config), frozen.config, where=f"stages.{frozen.stage}.config")
    inputs = {
        role: load(
            input_folder(directory.parent, each),
            each["fingerprint"],
            frozen.verify_hashes,
            rank,
            world_size,
        )
        for role, each in frozen.inputs.items()
    }
    if rank == 0:
        _check_inputs(directory, inputs)
    tracking = build(TrackingConfig, frozen.tracking, where="tracking") if rank == 0 else None
    tracker = Tracker(tracking, directory.parent.name, frozen.stage, attempt, frozen.config)
    context = StageContext(
        stage=frozen.stage,
        config=config,
        inputs=inputs,
        directory=directory,
        seed=frozen.seed,
        rank=rank,
        local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        world_size=world_size,
        progress=progress,
        tracker=tracker,
        stop=stop,
    )
    if not kind.saves_in_between:
        print(f"{frozen.stage} saves nothing in between: it may be ended at any moment, and begins anew", flush=True)
    progress.doing("loading the program")
    try:
        result: StageResult = load_symbol(kind.entry)(context)
    except BaseException as error:
        # Now: ending the tracker takes seconds, and of ranks that failed the first speaks.
        if isinstance(error, Exception) and not isinstance(error, Requeue):
            record_error(attempt, rank, error, directory)
        usage.stop()
        tracker.fail()
        raise
    if lock is None:
        return
    manifest = Manifest(
        stage=frozen.stage,
        kind=frozen.kind,
        fingerprint=frozen.fingerprint,
        inputs={role: {**each, "content": inputs[role].manifest.content} for role, each in frozen.inputs.items()},
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
        peak_memory_bytes=memory.peak_bytes(),
        attempt=int(attempt.name),
        world_size=world_size,
        code=code_hash(),
        **provenance(),
    )
    lock.check()
    progress.doing("publishing")
    usage.stop()
    write_history(directory)
    publish(directory, manifest)
    tracker.finish(result.metrics, directory / "manifest.json")


def _nodes(world_size: int) -> int:
    """Machines that the ranks are on, if there are equally many on each."""
    return max(1, world_size // int(os.environ.get("LOCAL_WORLD_SIZE") or world_size))


def _end_with_launcher() -> None:
    """Waits, in a thread, for the launcher to end, then kills this process and its children.

    Standard input is a pipe whose other end the launcher holds: reading returns nothing when the launcher is gone, even
    after a SIGKILL, on every system. (`curation.executors.child_processes` ties forked children to their parent, which
    a pipe could not, as forks share its ends.)
    """
    # Not sys.stdin: a forked child closes that, and would wait forever for the lock that this thread holds.
    while os.read(0, 1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def exit_rank(code: int) -> NoReturn:
    """Ends the process with a code; one of several ranks skips the interpreter's shutdown.

    DeepSpeed's ZeRO-3 keeps process groups alive, even after they are destroyed, until the interpreter shuts down.
    gloo's threads then find sockets whose other side is gone, and now and then abort a rank that finished its work.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    exit_rank(main())

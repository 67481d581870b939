"""Why an attempt of a stage failed: every rank that fails leaves a record, and the one that explains the others speaks.

A rank that fails takes others with it, which then lose their connection or are ended by the launcher. Those are
consequences, and whoever is numbered 0 may be one of them.
"""

import contextlib
import math
import re
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import EXIT_DONE, EXIT_REQUEUE, EXIT_SIGNAL, EXIT_USER_ERROR, UserError, as_user_error
from pipeline.core.files import read_json, write_json
from pipeline.core.terminal import one_line

USER_ERROR, KILLED, FAULT, PEER_LOST = "user error", "killed", "fault", "peer lost"
"""Classes of failures: the user must change something; ended by a signal; the program's; another rank was gone."""
ORDER = (USER_ERROR, KILLED, FAULT, PEER_LOST)
"""Classes by how much they explain; within a class, who failed earlier speaks."""
CONSEQUENCES = (signal.SIGABRT, signal.SIGTERM)
"""Libraries abort a process that lost another one, and the launcher ends those that are still starting."""
MESSAGE_WIDTH = 300
PEER_ERRORS = {
    "ConnectionResetError",
    "ConnectionRefusedError",
    "ConnectionAbortedError",
    "BrokenPipeError",
    "DistError",
}
"""Classes of errors, or of their parents, that say that a connection was lost; `DistError` is torch.distributed's."""
PEER_MESSAGE = re.compile(r"gloo/|Connection (closed|reset) by peer|Socket closed|NCCL (error|communicator)")
"""What gloo and NCCL say, as RuntimeErrors, when another rank is gone."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How a rank failed: its class, and what it says of it."""

    rank: int
    kind: str
    """One of the classes of `ORDER`."""
    message: str
    time: float = math.inf
    """Seconds since 1970, if the rank recorded it."""


def record_error(attempt: Path, rank: int, error: Exception, directory: Path) -> UserError | None:
    """Writes the error that ends a rank as `error-<rank>.json` beside the logs of the attempt, unless it has one.

    Args:
        attempt: the folder of the attempt.
        rank: the rank that raised it.
        error: what it raised.
        directory: the stage's folder, which the message names if the error names no file.

    Returns:
        The user's error behind it, or None if it is a fault of the program.
    """
    user_error = as_user_error(error, where=str(directory))
    said = user_error or error
    names = {cls.__name__ for cls in type(error).__mro__}
    if user_error is not None:
        kind = USER_ERROR
    elif names & PEER_ERRORS or PEER_MESSAGE.search(str(error)):
        kind = PEER_LOST
    else:
        kind = FAULT
    path = attempt / f"error-{rank}.json"
    # The disk may be what is wrong; the log then has to do.
    with contextlib.suppress(OSError):
        if not path.exists():
            content = {"class": kind, "type": type(said).__name__, "message": str(said), "time": time.time()}
            write_json(path, content)
    return user_error


def first_failure(attempt: Path, codes: Mapping[int, int]) -> Failure:
    """The failure that explains those of the other ranks.

    Args:
        attempt: the folder of the attempt.
        codes: exit code by rank of those that did not end well; 128 + n, or -n, stands for signal n.
    """
    failures = [_failure(attempt, rank, code) for rank, code in codes.items()]
    return min(failures, key=lambda failure: (ORDER.index(failure.kind), failure.time, failure.rank))


def _failure(attempt: Path, rank: int, code: int) -> Failure:
    """How a rank failed: what it recorded, or else what its exit code and the last line of its log say."""
    try:
        record = read_json(attempt / f"error-{rank}.json")
        message = record["message"]
        if record["class"] != USER_ERROR:
            lines = [line for line in message.splitlines() if line.strip()] or ["no message"]
            message = f"{record['type']}: {one_line(lines[0].strip(), MESSAGE_WIDTH)}"
        return Failure(rank=rank, kind=record["class"], message=message, time=record["time"])
    except (OSError, ValueError, KeyError):
        pass
    number = -code if code < 0 else code - EXIT_SIGNAL
    if number > 0:
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        kind = PEER_LOST if number in CONSEQUENCES else KILLED
        cause = ", as by the system when memory runs out" if number == signal.SIGKILL else ""
        return Failure(rank=rank, kind=kind, message=f"ended by {name}{cause}")
    return Failure(rank=rank, kind=FAULT, message=f"exit code {code}: {_last_line(attempt, rank)}")


def _last_line(attempt: Path, rank: int) -> str:
    with contextlib.suppress(OSError):
        lines = (attempt / f"rank-{rank}.log").read_text(errors="replace").splitlines()
        for line in reversed(lines):
            if line.strip():
                return one_line(line.strip(), MESSAGE_WIDTH)
    return "no output"


def failure_line(directory: Path, attempt: Path, codes: Mapping[int, int]) -> str:
    """One line that says which rank failed, of what class the failure is, and what to do."""
    failure = first_failure(attempt, codes)
    if failure.kind == USER_ERROR:
        return f"{directory.name}: {failure.message}"
    log = attempt / f"rank-{failure.rank}.log"
    return (
        f"{directory.name} failed in rank {failure.rank} ({failure.kind}): {failure.message}; see {log}, "
        "or run again to retry"
    )


def failed_ranks(codes: Mapping[int, int]) -> dict[int, int]:
    """The exit codes, by rank, of those that neither finished nor saved."""
    return {rank: code for rank, code in codes.items() if code not in (EXIT_DONE, EXIT_REQUEUE)}


def exit_code(attempt: Path, codes: Mapping[int, int]) -> int:
    """The exit code of a stage: that of the rank whose failure explains the others', 75 if some saved and none failed.

    Args:
        attempt: the folder of the attempt.
        codes: exit code by rank; 128 + n, or -n, stands for signal n.
    """
    failed = failed_ranks(codes)
    if not failed:
        return EXIT_REQUEUE if any(codes.values()) else EXIT_DONE
    failure = first_failure(attempt, failed)
    if failure.kind == USER_ERROR:
        return EXIT_USER_ERROR
    code = failed[failure.rank]
    return code if code > 0 else EXIT_SIGNAL - code


def main() -> None:
    """Prints the line for a batch job: `python -m pipeline.control.failures <stage folder> <attempt folder>`.

    The exit codes are in files `exit-<rank>` of the attempt's folder. A rank that the batch system has killed leaves
    none; if no rank left one, the log of the job says what happened.
    """
    directory, attempt = map(Path, sys.argv[1:])
    codes = {int(path.name.removeprefix("exit-")): int(path.read_text()) for path in attempt.glob("exit-*")}
    failed = failed_ranks(codes)
    print(failure_line(directory, attempt, failed) if failed else f"{directory.name}: no rank said why it failed")


if __name__ == "__main__":
    main()

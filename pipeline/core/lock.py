"""The lock of a stage's folder: a file beside the folder, which its owner renews while it works.

flock is not enough: on many shared file systems it holds on one machine alone, and it moves with the folder that it is
in. Creating a file that must not exist is atomic everywhere. What remains is to tell a working owner from one that was
killed: on the same machine by its process, in the same batch job by the job's restart count, elsewhere by the time of
the file's last renewal, which is compared with the clock of the file system, never with that of a machine.
"""

import contextlib
import dataclasses
import errno
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.core.errors import BusyError
from pipeline.core.terminal import say

LOCKS = "locks"
"""Folder of a run with the locks of its stages."""
HEARTBEAT_SECONDS = 15.0
"""Time between two renewals."""
STALE_SECONDS = 120.0
"""Time without a renewal after which an owner on another machine counts as dead."""
POLL_SECONDS = 0.5
WITHOUT_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
"""What a file system says that has no links."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who holds a lock, as its file says."""

    token: str
    """Random, so that an owner recognizes its own file."""
    host: str
    machine: str
    """Identifies the running system and, in containers, the namespace that process ids belong to."""
    pid: int
    started: float
    """When the process started, on a clock of the machine: a pid is given again after its process has ended."""
    job: str | None
    """Batch job, if the process is in one."""
    restarts: int
    """How often that job had been requeued."""
    reads: list[str]
    """Stages of the run that the owner reads, whose folders must stay where they are."""
    path: str = ""
    """The lock's file, where the owner made it: a run that is copied takes its locks along."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f", job {self.job}" if self.job else "")


def this_process(reads: Sequence[str] = (), environment: Mapping[str, str] = os.environ) -> Owner:
    """This process as the owner of a lock.

    Args:
        reads: names of the stages that it reads.
        environment: where Slurm's variables are looked up.
    """
    return Owner(
        token=secrets.token_hex(8),
        host=socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        started=_ticks(psutil.Process()),
        job=environment.get("SLURM_JOB_ID"),
        restarts=int(environment.get("SLURM_RESTART_COUNT", "0")),
        reads=list(reads),
    )


def lock_path(directory: Path) -> Path:
    """Where the lock of a stage's folder lies: beside the folder, so that it stays when the folder moves."""
    return directory.parent / LOCKS / f"{directory.name}.json"


class StageLock:
    """A lock that this process holds."""

    def __init__(self, path: Path, owner: Owner) -> None:
        self._path, self._owner = path, owner
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        self._heart.start()

    def check(self) -> None:
        """Makes sure that the lock is still this process's: to be called before what must not be done twice.

        Raises:
            BusyError: if another process took it over, because this one had stood still too long to renew it.
        """
        found = read_owner(self._path)
        if found is None or found.token != self._owner.token:
            raise BusyError(f"{self._path}: lost to {found or 'nobody'}, since it was not renewed in time; run again")

    def release(self) -> None:
        """Gives the lock back, unless another process has it by now."""
        self._released.set()
        self._heart.join()
        found = read_owner(self._path)
        if found is not None and found.token == self._owner.token:
            self._path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._released.wait(HEARTBEAT_SECONDS):
            # A file system that does not answer for a while is no reason to end; `check` finds a lock that was lost.
            with contextlib.suppress(OSError):
                os.utime(self._path)


@contextmanager
def stage_lock(directory: Path, reads: Sequence[str] = ()) -> Iterator[StageLock]:
    """Holds the lock of a stage's folder.

    Waits only to find out whether an owner on another machine still renews the lock: at most STALE_SECONDS.

    Args:
        directory: the stage's folder; it need not exist.
        reads: stages of the run whose folders must stay meanwhile.

    Raises:
        BusyError: if another process holds the lock.
    """
    path = lock_path(directory)
    owner = dataclasses.replace(this_process(reads), path=str(path.absolute()))
    path.parent.mkdir(parents=True, exist_ok=True)
    while not _create(path, owner):
        found = read_owner(path)
        if is_alive(path, found):
            raise BusyError(f"{directory}: {found or 'another process'} works on this stage")
        if _take_over(path, found, owner):
            break
    lock = StageLock(path, owner)
    try:
        yield lock
    finally:
        lock.release()


def readers(directory: Path) -> list[Owner]:
    """The owners of locks in a run that work, and read the stage with this folder."""
    found = _locks(directory.parent)
    return [owner for path, owner in found if owner and directory.name in owner.reads and is_alive(path, owner)]


def others_at_work(run: Path, held: Path) -> list[Owner]:
    """The owners of locks in a run that work, but for the lock of `held`, which this process holds."""
    return [owner for path, owner in _locks(run) if owner and path != lock_path(held) and is_alive(path, owner)]


def _locks(run: Path) -> list[tuple[Path, Owner | None]]:
    return [(path, read_owner(path)) for path in sorted((run / LOCKS).glob("*.json"))]


def read_owner(path: Path) -> Owner | None:
    """The owner that a lock's file names; None if there is no file, or a crash left one that names nobody."""
    try:
        return Owner(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def is_alive(path: Path, owner: Owner | None) -> bool:
    """Whether the owner of a lock still works. Watches the file for up to STALE_SECONDS if only that can tell.

    It says whom it waits for; Ctrl-C ends the waiting unless the caller has taken that signal.

    Args:
        path: the lock's file.
        owner: whom it names; None if it names nobody.
    """
    mine = this_process()
    if owner is not None and owner.machine == mine.machine:
        return _is_running(owner) and not _is_copied(path, owner)
    if owner is not None and owner.job is not None and owner.job == mine.job and owner.restarts != mine.restarts:
        # Slurm starts a job again only when nothing of it runs any more.
        return False
    seen = _renewed(path)
    if seen is not None and _now(path) - seen < STALE_SECONDS:
        say(f"{path}: held by {owner or 'nobody known'}; waiting up to {STALE_SECONDS:.0f} s to see whether it works")
    while seen is not None and _now(path) - seen < STALE_SECONDS:
        time.sleep(POLL_SECONDS)
        renewed = _renewed(path)
        if renewed is not None and renewed != seen:
            return True
        seen = renewed
    return False


def _create(path: Path, owner: Owner) -> bool:
    """Creates the lock's file, if there is none; whether it did. The owner's name appears together with the file."""
    temporary = _written(path, owner)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        return _create_empty(path, owner)
    finally:
        temporary.unlink()
    return True


def _create_empty(path: Path, owner: Owner) -> bool:
    """As `_create`, where file systems have no links: for a moment the file names nobody, and counts as renewed."""
    try:
        with path.open("x") as file:
            json.dump(dataclasses.asdict(owner), file)
    except FileExistsError:
        return False
    return True


def _written(path: Path, owner: Owner) -> Path:
    """A file beside the lock that names the owner, to become the lock."""
    temporary = path.with_name(f"{path.stem}.{owner.token}.new")
    temporary.write_text(json.dumps(dataclasses.asdict(owner)))
    return temporary


def _take_over(path: Path, dead: Owner | None, owner: Owner) -> bool:
    """Puts this owner in the place of a dead one, or of a file that a crash left without a name; whether it did.

    Several processes may find the same owner dead. Each must first create a file with the dead owner's token, which
    one of them can; whoever comes later finds another owner in the lock.
    """
    claim = path.with_name(f"{path.stem}.{dead.token if dead else 'unnamed'}.claim")
    try:
        claim.touch(exist_ok=False)
    except FileExistsError:
        claimed = _renewed(claim)
        if claimed is not None and _now(path) - claimed > STALE_SECONDS:
            claim.unlink(missing_ok=True)
        time.sleep(POLL_SECONDS)
        return False
    try:
        if not path.exists() or read_owner(path) != dead:
            return False
        _written(path, owner).rename(path)
        return True
    finally:
        claim.unlink(missing_ok=True)


def _is_copied(path: Path, owner: Owner) -> bool:
    """Whether the lock that the owner made is still where it made it, and this is another file.

    A run that was renamed has no lock there any more; one that is seen under two paths has the same file.
    """
    made = Path(owner.path)
    found = read_owner(made) if owner.path else None
    return found is not None and found.token == owner.token and path.exists() and not path.samefile(made)


def _is_running(owner: Owner) -> bool:
    try:
        process = psutil.Process(owner.pid)
        return _ticks(process) == owner.started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _ticks(process: psutil.Process) -> float:
    """When a process started: since the machine was booted on Linux, where the clock may be set meanwhile."""
    try:
        # The 22nd field; the second, the program's name in parentheses, may have spaces in it.
        return float(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        # No /proc, or a process that has ended; the second is what a file says that was open by then.
        return process.create_time()


def _machine() -> str:
    """The boot id and process namespace on Linux; elsewhere the host's name and the time it was booted."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"{socket.gethostname()} {psutil.boot_time():.0f}"


def _renewed(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def _now(path: Path) -> float:
    """The time by the clock of the file system that a file is on."""
    probe = path.with_name(f".{path.stem}.{secrets.token_hex(8)}")
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()

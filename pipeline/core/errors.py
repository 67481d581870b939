"""Exit codes, and the errors that a user can cause, which all print as one line and end with exit code 2.

The line names file, key, value and remedy. Any other exception is a fault of the program and shows its traceback.
"""

import errno
import os

EXIT_DONE = 0
EXIT_FAILURE = 1
EXIT_USER_ERROR = 2
EXIT_REQUEUE = 75
EXIT_SIGNAL = 128
"""Added to the number of the signal that ended a process, as shells do."""

DENIED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
"""What the system says of a file that may not be read or written, as on a read-only file system."""


class UserError(Exception):
    """Something that only the user can change. The message is one line; the process exits with code 2."""


class ConfigError(UserError):
    """A configuration key or value that cannot be used."""


class RecipeError(UserError):
    """A data recipe that cannot be used, or whose source is missing."""


class DataError(UserError):
    """Data that are missing, cut short, or not what their index says; also a service that does not answer."""


class ArtifactError(UserError):
    """A stage's output that is missing, changed since it was made, or cut short."""


class BusyError(ArtifactError):
    """A stage's folder that another process works on or reads."""


class CheckpointError(ArtifactError):
    """A checkpoint that is incomplete or belongs to another model."""


class GateError(UserError):
    """A trained model that lost more than its stage's settings allow."""


class LaunchError(UserError):
    """A job of Slurm or Ray, or a process of a pool that did not end well."""


class DiskFullError(UserError):
    """The file system has no room for what a stage writes."""


class AccessError(UserError):
    """A file or folder that this user, or this file system, does not let be read or written."""


class DamagedFileError(ArtifactError, ValueError):
    """A file of a run that cannot be read as what it is: empty, or cut short by a crash or a copy."""


class Requeue(Exception):
    """The stage saved its state after a stop signal and wants to be run again; the process exits with code 75."""


def as_user_error(error: BaseException, where: str) -> UserError | None:
    """The user's error behind an exception, or None: itself or one of its causes, which may be what the system said.

    That is a full disk, a file that may not be read or written, or a path through something that is no folder.

    Args:
        error: what was raised.
        where: file or folder to name if the exception names none.
    """
    seen: BaseException | None = error
    caused = True
    while seen is not None:
        if isinstance(seen, UserError):
            return seen
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            path = seen.filename or where
            return DiskFullError(
                f"{path}: no space left on the disk; free some or set root=<another file system>, "
                "then run again: it continues where it stopped"
            )
        if caused and isinstance(seen, OSError) and seen.errno in DENIED:
            return AccessError(
                f"{seen.filename or where}: {os.strerror(seen.errno).lower()}; change that, or name another folder "
                "(root=<folder> for the runs)"
            )
        if seen.__cause__ is None:
            # What was being handled when this was raised: it may be looked past, but a full disk is seldom.
            caused = False
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return None

"""Exit codes, and the errors that a user can cause, which all print as one line and end with exit code 2.

The line names file, key, value and remedy. Any other exception is a fault of the program and shows its traceback.
"""

import errno

EXIT_DONE = 0
EXIT_USER_ERROR = 2
EXIT_REQUEUE = 75


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


class LaunchError(UserError):
    """A job of a cluster or a process of a pool that did not end well."""


class DiskFullError(UserError):
    """The file system has no room for what a stage writes."""


class Requeue(Exception):
    """The stage saved its state after a stop signal and wants to be run again; the process exits with code 75."""


def as_user_error(error: BaseException, where: str) -> UserError | None:
    """The user's error behind an exception: itself or one of its causes, a full disk included; None if there is none.

    Args:
        error: what was raised.
        where: file or folder to name for a full disk, if the exception names none.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, UserError):
            return seen
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            path = seen.filename or where
            return DiskFullError(
                f"{path}: no space left on the disk; free some or set root=<another file system>, "
                "then run again: it continues where it stopped"
            )
        seen = seen.__cause__ or seen.__context__
    return None

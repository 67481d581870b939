"""What a user can cause, as one family: one line that names file, key, value and remedy; exit code 2."""

import errno

EXIT_DONE = 0
EXIT_USER_ERROR = 2
EXIT_REQUEUE = 75


class UserError(Exception):
    """Something only the user can change. The message is one line; the process exits with code 2."""


class ConfigError(UserError):
    """A configuration key or value that cannot be used."""


class RecipeError(UserError):
    """A data recipe that cannot be used, or whose source is missing."""


class DataError(UserError):
    """Data that is missing, cut short, or not what its index says."""


class ArtifactError(UserError):
    """A stage's output that is missing, changed since it was made, or cut short."""


class CheckpointError(ArtifactError):
    """A checkpoint that is incomplete or belongs to another model."""


class LaunchError(UserError):
    """Work on a cluster that did not end well."""


class DiskFullError(UserError):
    """The file system has no room for what a stage writes."""


class Requeue(Exception):
    """The stage saved its state after a stop signal; the process exits with code 75."""


def as_user_error(error: BaseException, where: str) -> UserError | None:
    """The user error behind an exception, if there is one: itself, or a full disk met anywhere below."""
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

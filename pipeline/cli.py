"""The entry point of `fivephase COMMAND [options] [Hydra overrides]`: what becomes of errors, signals and pipes."""

import os
import signal
import sys
import traceback
from collections.abc import Sequence

from pipeline.core.errors import EXIT_FAILURE, EXIT_SIGNAL, EXIT_USER_ERROR, as_user_error
from pipeline.core.terminal import replace_unencodable, say


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of `fivephase`; ends the process.

    The exit code is 0 if all went well, 2 if the user must change something (one line says what), 75 if a stage saved
    its state and wants to be run again, 128 + n if signal n ended it (13 where the reader of a pipe is gone), and
    another number for a failure.

    Args:
        arguments: those of the command line, without the program's name; None takes sys.argv.
    """
    for stream in (sys.stdout, sys.stderr):
        replace_unencodable(stream)
    options = None
    try:
        # The import takes a second, in which Ctrl-C is to be answered as it is later.
        from pipeline.commands.command_line import dispatch, parsed

        options = parsed(list(sys.argv[1:] if arguments is None else arguments))
        code = dispatch(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough, as `head`. What is left in the buffer must not be written at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_SIGNAL + signal.SIGPIPE
    except KeyboardInterrupt:
        code = EXIT_SIGNAL + signal.SIGINT
    except Exception as error:
        user_error = as_user_error(error, where=".")
        if user_error is None or getattr(options, "debug", False):
            traceback.print_exc()
        if user_error is None:
            sys.exit(EXIT_FAILURE)
        say(f"fivephase: {user_error}")
        code = EXIT_USER_ERROR
    sys.exit(code)

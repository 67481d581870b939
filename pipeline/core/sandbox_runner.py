"""The sandboxed process: reads one JSON job, executes its code under restrictions, prints one JSON result.

`sandbox.execute` starts it by path. It imports the standard library alone, so that it works in Python's isolated mode,
in which this package cannot be imported.
"""

import contextlib
import ctypes
import importlib
import io
import json
import os
import resource
import sys
import warnings
from typing import Any

BLOCKED_EVENTS = (
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink",
    "os.truncate", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.kill",
    "os.utime", "shutil.", "socket.", "subprocess.", "pty.", "signal.pthread_kill", "ctypes.", "webbrowser.",
    "tempfile.", "urllib.", "ftplib.", "http.", "smtplib.", "resource.", "syslog.", "sqlite3.",
)  # fmt: skip
"""Beginnings of the names of audit events that are blocked: changes of files, new processes, connections."""
READ_EVENTS = ("open", "os.listdir", "os.scandir")
"""Audit events of reading. Programs may read modules of Python alone: they need no files, and what they print is
trained on. Doctests of installed modules may read other files as well."""
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
"""Flags of `open` of which none may be set."""
MAXIMUM_OUTPUT_CHARACTERS = 20_000
"""Most characters that one example or program may print."""
MAXIMUM_RESULT_BYTES = 1 << 26
"""Most bytes of a result, and of what is written to standard error."""


NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000
"""Flags of Linux's `unshare`: without rights of its own a process may have a network of its own only as a user of its
own."""


def _leave_network() -> None:
    """Takes this process out of the machine's network where the kernel lets it, into one with nothing in it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).unshare(NEW_USER | NEW_NETWORK)


def restrict_process(cpu_seconds: int, memory_bytes: int, reads_files: bool) -> None:
    """Takes from this process, for the rest of its life, what computing does not need.

    Resource limits bound CPU time, address space, and what is written to the files of result and errors. An audit hook,
    which cannot be taken off again, raises PermissionError for every blocked event. It sees what goes through Python;
    an extension module could go past it, which is why a model's program is checked before it comes here
    (`restricted_code`). Where the kernel lets it, programs are in a network with nothing in it as well.

    Args:
        cpu_seconds: most CPU time, in seconds.
        memory_bytes: most address space, in bytes.
        reads_files: allow any file to be read; if false, only files of this interpreter's installation.
    """
    if not reads_files:
        _leave_network()
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAXIMUM_RESULT_BYTES, MAXIMUM_RESULT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    roots = tuple(f"{os.path.realpath(root)}{os.sep}" for root in {sys.prefix, sys.base_prefix})

    def readable(path: Any) -> bool:
        return isinstance(path, str | bytes) and f"{os.path.realpath(os.fsdecode(path))}{os.sep}".startswith(roots)

    def reject(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITE_FLAGS
        reads = not reads_files and event in READ_EVENTS and not readable(arguments[0])
        if writes or reads or event.startswith(BLOCKED_EVENTS):
            raise PermissionError(f"{event} is refused in the sandbox")

    sys.addaudithook(reject)


class _BoundedOutput(io.StringIO):
    def write(self, text: str) -> int:
        if self.tell() + len(text) > MAXIMUM_OUTPUT_CHARACTERS:
            raise MemoryError("too much output")
        return super().write(text)


def run_example(source: str, scope: dict[str, Any]) -> tuple[str, str]:
    """Executes one interactive statement; returns what it printed, and the exception it raised as one line, else ""."""
    output = _BoundedOutput()
    # An example may raise anything, SystemExit included; it is reported and ends nothing.
    try:
        with contextlib.redirect_stdout(output):
            exec(compile(source, "<example>", "single"), scope)
    except BaseException as error:
        return output.getvalue(), f"{type(error).__name__}: {error}".splitlines()[0]
    return output.getvalue(), ""


def doctests(module_name: str) -> list[dict[str, Any]]:
    """Executes a module's doctests; a row for each example that states an output, or raises without saying so.

    A row has the example's source, the statements before it, what it printed, what it states with the flags of that
    comparison, and under `failure` why it failed: it raised, or it printed something else. After a failure the rest of
    that docstring is left out, as it depends on what failed.
    """
    import doctest

    module = importlib.import_module(module_name)
    checker = doctest.OutputChecker()
    rows: list[dict[str, Any]] = []
    for test in sorted(doctest.DocTestFinder().find(module, module_name), key=lambda each: each.name):
        before: list[str] = []
        scope = dict(test.globs)
        for example in test.examples:
            printed, raised = run_example(example.source, scope)
            flags = sum(flag for flag, on in example.options.items() if on)
            row = {"name": test.name, "before": before.copy(), "source": example.source, "printed": printed}
            if raised and example.exc_msg is None:
                rows.append({**row, "failure": f"raised: {raised}"})
                break
            if example.want and example.exc_msg is None:
                agrees = checker.check_output(example.want, printed, flags)
                failure = None if agrees else "output_differs"
                rows.append({**row, "want": example.want, "flags": flags, "failure": failure})
                if not agrees:
                    break
            before.append(example.source)
    return rows


def signatures(module_name: str) -> list[dict[str, Any]]:
    """Public functions that a module defines and documents: name, signature, first paragraph of the docstring."""
    import inspect

    module = importlib.import_module(module_name)
    rows = []
    for name, member in sorted(vars(module).items()):
        if name.startswith("_") or not inspect.isroutine(member):
            continue
        if getattr(member, "__module__", "") != module_name:
            continue
        summary = (inspect.getdoc(member) or "").partition("\n\n")[0].replace("\n", " ").strip()
        # Functions written in C may have no signature to show.
        with contextlib.suppress(ValueError, TypeError):
            signature = str(inspect.signature(member))
            if summary and " at 0x" not in signature and "<" not in signature:
                rows.append({"name": f"{module_name}.{name}", "signature": signature, "summary": summary})
    return rows


def programs(jobs: list[dict[str, str]]) -> list[dict[str, str]]:
    """Executes programs one after the other; a row for each with what it printed and how it failed, if it did."""
    rows = []
    for job in jobs:
        printed, raised = run_program(job["code"])
        rows.append({"printed": printed, "failure": raised})
    return rows


def run_program(code: str) -> tuple[str, str]:
    """Executes a program; returns what it printed, and the exception it raised as one line, else ""."""
    output = _BoundedOutput()
    try:
        with contextlib.redirect_stdout(output):
            exec(compile(code, "<program>", "exec"), {"__name__": "__main__"})
    except BaseException as error:
        return output.getvalue(), f"{type(error).__name__}: {error}".splitlines()[0]
    return output.getvalue(), ""


def values(code: str, calls: list[str]) -> dict[str, Any]:
    """Executes a program, then gives the values of expressions that use it, or how one of all these failed.

    Only what JSON can hold is a value.
    """
    scope: dict[str, Any] = {"__name__": "__main__"}
    try:
        with contextlib.redirect_stdout(_BoundedOutput()):
            exec(compile(code, "<program>", "exec"), scope)
            found = [json.dumps(eval(compile(call, "<call>", "eval"), scope), allow_nan=False) for call in calls]
    except BaseException as error:
        return {"failure": f"{type(error).__name__}: {error}".splitlines()[0]}
    return {"values": list(map(json.loads, found))}


def main() -> None:
    """Reads a job from standard input, executes it, and writes its result to standard output.

    Standard output is set aside for the result first, so that nothing that an example prints is taken for one by
    accident. Code that means to can still write there: a result is what was computed, never a verdict on it.
    """
    job = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    if "module" in job:
        # Before anything is forbidden; programs, which start by the thousand, need neither.
        for name in ("doctest", "inspect"):
            importlib.import_module(name)
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    restrict_process(job["cpu_seconds"], job["memory_bytes"], reads_files="module" in job)
    if "module" in job:
        result: Any = {"doctests": doctests(job["module"]), "signatures": signatures(job["module"])}
    elif "calls" in job:
        result = values(job["code"], job["calls"])
    else:
        result = programs(job["programs"])
    json.dump(result, channel)
    channel.flush()


if __name__ == "__main__":
    main()

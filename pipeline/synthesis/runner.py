"""Runs examples in a process that can harm nothing: reads one JSON job, prints one JSON result.

Started by `sandbox.run`. Imports the standard library alone, so that it needs nothing of this package.
"""

import contextlib
import doctest
import importlib
import inspect
import io
import json
import os
import resource
import sys
import warnings
from typing import Any

REFUSED = (
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink",
    "os.truncate", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.kill",
    "os.utime", "shutil.", "socket.", "subprocess.", "pty.", "signal.pthread_kill", "ctypes.", "webbrowser.",
    "tempfile.", "urllib.", "ftplib.", "http.", "smtplib.", "resource.", "syslog.", "sqlite3.",
)  # fmt: skip
"""Beginnings of audit events: whatever changes files, starts processes or opens connections."""
LOOKING = ("open", "os.listdir", "os.scandir")
"""Allowed to programs for modules alone: they need no files, and what they print is trained on."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
MAXIMUM_OUTPUT = 20_000
"""Characters that one example may print."""


def confine(cpu_seconds: int, memory_bytes: int, reads_files: bool) -> None:
    """Takes away what examples do not need: time, memory, files, processes, connections.

    Without `reads_files`, modules of this interpreter are all that can be read.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    roots = tuple(f"{os.path.realpath(root)}{os.sep}" for root in {sys.prefix, sys.base_prefix})

    def readable(path: Any) -> bool:
        return isinstance(path, str | bytes) and f"{os.path.realpath(os.fsdecode(path))}{os.sep}".startswith(roots)

    def reject(event: str, arguments: tuple[Any, ...]) -> None:
        writing = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        looking = not reads_files and event in LOOKING and not readable(arguments[0])
        if writing or looking or event.startswith(REFUSED):
            raise PermissionError(f"{event} is refused in the sandbox")

    sys.addaudithook(reject)


class _Output(io.StringIO):
    def write(self, text: str) -> int:
        if self.tell() + len(text) > MAXIMUM_OUTPUT:
            raise MemoryError("too much output")
        return super().write(text)


def run_example(source: str, scope: dict[str, Any]) -> tuple[str, str]:
    """What one interactive statement prints, and the exception it raises, as one line."""
    output = _Output()
    # An example may raise anything, SystemExit included; it is reported, never hidden.
    try:
        with contextlib.redirect_stdout(output):
            exec(compile(source, "<example>", "single"), scope)
    except BaseException as error:
        return output.getvalue(), f"{type(error).__name__}: {error}".splitlines()[0]
    return output.getvalue(), ""


def doctests(module_name: str) -> list[dict[str, Any]]:
    """Each example with a wanted output, with the statements before it and what it printed."""
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
                rows.append({**row, "failure": None if agrees else "output_differs"})
                if not agrees:
                    break
            before.append(example.source)
    return rows


def signatures(module_name: str) -> list[dict[str, Any]]:
    """Public functions of a module, with their signatures and the first lines of their documentation."""
    module = importlib.import_module(module_name)
    rows = []
    for name, member in sorted(vars(module).items()):
        if name.startswith("_") or not inspect.isroutine(member):
            continue
        if getattr(member, "__module__", "") != module_name:
            continue
        summary = (inspect.getdoc(member) or "").partition("\n\n")[0].replace("\n", " ").strip()
        # Functions written in C need not say how they are called.
        with contextlib.suppress(ValueError, TypeError):
            signature = str(inspect.signature(member))
            if summary and " at 0x" not in signature and "<" not in signature:
                rows.append({"name": f"{module_name}.{name}", "signature": signature, "summary": summary})
    return rows


def programs(jobs: list[dict[str, str]]) -> list[dict[str, str]]:
    """What each program prints, and how it failed, if it did."""
    rows = []
    for job in jobs:
        printed, raised = run_program(job["code"])
        rows.append({"printed": printed, "failure": raised})
    return rows


def run_program(code: str) -> tuple[str, str]:
    """What a program prints, and the exception it raises, as one line."""
    output = _Output()
    try:
        with contextlib.redirect_stdout(output):
            exec(compile(code, "<program>", "exec"), {"__name__": "__main__"})
    except BaseException as error:
        return output.getvalue(), f"{type(error).__name__}: {error}".splitlines()[0]
    return output.getvalue(), ""


def main() -> None:
    """Reads the job, does it, prints the result on what was the standard output."""
    job = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    confine(job["cpu_seconds"], job["memory_bytes"], reads_files="module" in job)
    if "module" in job:
        result: Any = {"doctests": doctests(job["module"]), "signatures": signatures(job["module"])}
    else:
        result = programs(job["programs"])
    json.dump(result, channel)
    channel.flush()


if __name__ == "__main__":
    main()

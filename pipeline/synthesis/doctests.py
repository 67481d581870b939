"""Questions about code from the doctests and signatures of installed modules, answered by executing them."""

import doctest
from collections.abc import Iterator
from typing import Any

from pipeline.core import sandbox
from pipeline.curation.readers.embedded.packages import module_name, python_files, read_source, shuffled
from pipeline.synthesis.sample import Sample

CHECKER = doctest.OutputChecker()
MAXIMUM_CHARACTERS = 1_500
"""Most characters of a sample: longer examples are data rather than code."""


def modules(packages: tuple[str, ...], limit: int | None) -> list[str]:
    """Names of at most `limit` public modules of the packages that have doctests, in an order that the names decide."""
    files = {name: path for package in packages for name, path in python_files(package).items()}
    names = [
        module_name(name)
        for name, path in files.items()
        if not any(part.startswith("_") for part in module_name(name).split(".")) and ">>> " in read_source(path)
    ]
    return shuffled(sorted(names), 0)[:limit]


def execute(module: str, cpu_seconds: int, memory_bytes: int) -> dict[str, Any]:
    """Executes a module's doctests in the sandbox and returns its name, the result and the failure, as plain values."""
    result, failure = sandbox.execute({"module": module}, cpu_seconds, memory_bytes)
    return {"module": module, "result": result, "failure": failure}


def samples(executed: dict[str, Any]) -> Iterator[Sample]:
    """The samples of a module from what `execute` returned: one for each doctest and signature, failed ones as well."""
    module = executed["module"]
    if executed["failure"] is not None:
        yield Sample(
            "synthetic", module, f"doctests of {module}", "executed", failure=executed["failure"].split(":")[0]
        )
        return
    for row in executed["result"]["doctests"]:
        code = "".join([*row["before"], row["source"]]).rstrip("\n")
        failure = row["failure"]
        # The sandboxed process looked to know whether to go on. Whether it was right is not left to it.
        if failure is None and not CHECKER.check_output(row["want"], row["printed"], row["flags"]):
            failure = "output_differs"
        # What a failed example prints is often different each time, and would make the audit differ.
        answer = row["printed"] if failure is None else ""
        text = f"Question: What does the last line of this code print?\n\n{code}\n\nAnswer:\n{answer}"
        if failure is None and len(text) > MAXIMUM_CHARACTERS:
            failure = "too_long"
        if failure is not None:
            failure = failure.partition(":")[0]
        yield Sample("synthetic", row["name"], text, "executed", failure=failure)
    for row in executed["result"]["signatures"]:
        text = (
            f"Instruction: Use a function that does this: {row['summary']}\n\n"
            f"Answer: import {module}, then call {row['name']}{row['signature']}\n"
        )
        failure = "too_long" if len(text) > MAXIMUM_CHARACTERS else None
        yield Sample("code_instructions", row["name"], text, "executed", failure=failure)

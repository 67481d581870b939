"""Questions about code from the doctests and signatures of installed modules, answered by running them."""

from collections.abc import Iterator
from typing import Any

from pipeline.curation.readers.embedded.packages import module_name, python_files, read_source, shuffled
from pipeline.synthesis import sandbox
from pipeline.synthesis.sample import Sample

MAXIMUM_CHARACTERS = 1_500
"""Longer examples are data rather than code."""


def modules(packages: tuple[str, ...], limit: int | None) -> list[str]:
    """Public modules with examples, in an order that their names decide."""
    files = {name: path for package in packages for name, path in python_files(package).items()}
    names = [
        module_name(name)
        for name, path in files.items()
        if not any(part.startswith("_") for part in module_name(name).split(".")) and ">>> " in read_source(path)
    ]
    return shuffled(sorted(names), 0)[:limit]


def run(module: str, cpu_seconds: int, memory_bytes: int) -> dict[str, Any]:
    """What the examples of a module printed."""
    result, failure = sandbox.run({"module": module}, cpu_seconds, memory_bytes)
    return {"module": module, "result": result, "failure": failure}


def samples(ran: dict[str, Any]) -> Iterator[Sample]:
    """The samples of a module that was run."""
    module = ran["module"]
    if ran["failure"] is not None:
        yield Sample("synthetic", module, f"doctests of {module}", "executed", failure=ran["failure"].split(":")[0])
        return
    for row in ran["result"]["doctests"]:
        code = "".join([*row["before"], row["source"]]).rstrip("\n")
        failure = row["failure"]
        # What a failed example prints is often another thing each time, and would be so in the account.
        answer = row["printed"] if failure is None else ""
        text = f"Question: What does the last line of this code print?\n\n{code}\n\nAnswer:\n{answer}"
        if failure is None and len(text) > MAXIMUM_CHARACTERS:
            failure = "too_long"
        if failure is not None:
            failure = failure.partition(":")[0]
        yield Sample("synthetic", row["name"], text, "executed", failure=failure)
    for row in ran["result"]["signatures"]:
        text = (
            f"Instruction: Use a function that does this: {row['summary']}\n\n"
            f"Answer: import {module}, then call {row['name']}{row['signature']}\n"
        )
        failure = "too_long" if len(text) > MAXIMUM_CHARACTERS else None
        yield Sample("code_instructions", row["name"], text, "executed", failure=failure)

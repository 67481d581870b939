"""Code with tests: kept when the tests pass, and fail without the solution."""

import ast
import re

from datatrove.data import Document

from pipeline.synthesis import sandbox
from pipeline.synthesis.language_model.prompts import CodeWithTests
from pipeline.synthesis.language_model.rollouts import Draft
from pipeline.synthesis.sample import Sample

BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)
IMPORTS = frozenset(
    {
        "abc", "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions",
        "functools", "heapq", "itertools", "json", "math", "numbers", "re", "statistics", "string", "textwrap",
        "typing", "unicodedata",
    }
)  # fmt: skip
"""What a program may import: nothing here reads files, starts processes, opens connections, or asks a clock's help."""
REFUSED_NAMES = frozenset(
    {
        "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "exit", "getattr", "globals", "help",
        "input", "locals", "memoryview", "open", "quit", "setattr", "vars",
    }
)  # fmt: skip
SPECIAL_ATTRIBUTES = frozenset({"__init__", "__name__", "__post_init__", "__eq__", "__hash__", "__repr__", "__str__"})


class _Refused(Exception):
    """A program that is not run; the message is the reason."""


def check_code(
    name: str, prompt: CodeWithTests, seed: Document, draft: Draft, cpu_seconds: int, memory_bytes: int
) -> Sample:
    """Runs the tests twice, each time in a process of its own: with the solution, and with nothing in its functions."""
    origin = f"language_model/{name}/{seed.id}"

    def failed(reason: str, value: float | None = None, threshold: float | None = None) -> Sample:
        return Sample(prompt.domain, origin, draft.text, "none", failure=reason, value=value, threshold=threshold)

    if draft.failure is not None:
        return failed(draft.failure, draft.value, draft.threshold)
    blocks = [block.strip() + "\n" for block in BLOCK.findall(draft.text)]
    if len(blocks) != 2:
        return failed("not_two_blocks", len(blocks), 2)
    solution, tests = blocks
    try:
        hollow = _hollow(_parsed(solution))
        assertions = sum(isinstance(node, ast.Assert) for node in ast.walk(_parsed(tests)))
    except _Refused as reason:
        return failed(str(reason))
    if assertions < prompt.minimum_assertions:
        return failed("too_few_assertions", assertions, prompt.minimum_assertions)
    if (end := _outcome(f"{solution}\n{tests}", cpu_seconds, memory_bytes)) is not None:
        return failed(end)
    if _outcome(f"{hollow}\n{tests}", cpu_seconds, memory_bytes) is None:
        return failed("tests_pass_without_the_solution")
    text = f"Instruction: {draft.instruction}\n\nAnswer:\n{solution}\nTests:\n{tests}"
    return Sample(prompt.domain, origin, text, "executed", prompts=(draft.instruction,))


def _outcome(code: str, cpu_seconds: int, memory_bytes: int) -> str | None:
    """How a program ended, None if well."""
    result, broken = sandbox.run({"programs": [{"code": code}]}, cpu_seconds, memory_bytes)
    if broken is not None:
        return broken.partition(":")[0]
    failure = result[0]["failure"]
    return f"raised_{failure.partition(':')[0]}" if failure else None


def _parsed(code: str) -> ast.Module:
    """A program that uses only what programs of this kind need.

    Raises:
        _Refused: for one that does not, or is none.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _Refused("does_not_parse") from None
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "." * node.level]
        for module in modules:
            if module.partition(".")[0] not in IMPORTS:
                raise _Refused("imports_what_it_may_not")
        if isinstance(node, ast.Name) and node.id in REFUSED_NAMES:
            raise _Refused(f"uses_{node.id}")
        if isinstance(node, ast.Attribute) and node.attr.startswith("__") and node.attr not in SPECIAL_ATTRIBUTES:
            raise _Refused("reaches_into_the_interpreter")
    return tree


def _hollow(tree: ast.Module) -> str:
    """The program with functions that do nothing.

    Raises:
        _Refused: if it has none.
    """
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    if not functions:
        raise _Refused("no_function")
    for node in functions:
        node.body = [ast.Pass()]
    return ast.unparse(tree)

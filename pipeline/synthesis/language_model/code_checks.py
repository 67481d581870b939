"""The check of code with tests: the tests pass with the solution, and fail when its functions do nothing."""

import ast
import re

from datatrove.data import Document

from pipeline.synthesis import sandbox
from pipeline.synthesis.language_model.prompts import CodeWithTests
from pipeline.synthesis.language_model.rollouts import UncheckedReply
from pipeline.synthesis.sample import Sample

CODE_BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)
ALLOWED_IMPORTS = frozenset(
    {
        "abc", "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions",
        "functools", "heapq", "itertools", "json", "math", "numbers", "re", "statistics", "string", "textwrap",
        "typing", "unicodedata",
    }
)  # fmt: skip
"""Modules that a program may import: none of them reads files, starts processes or opens connections."""
FORBIDDEN_NAMES = frozenset(
    {
        "__import__", "breakpoint", "compile", "delattr", "eval", "exec", "exit", "getattr", "globals", "help",
        "input", "locals", "memoryview", "open", "quit", "setattr", "vars",
    }
)  # fmt: skip
"""Built-in names that a program may not use, as they lead out of it."""
ALLOWED_SPECIAL_ATTRIBUTES = frozenset(
    {"__init__", "__name__", "__post_init__", "__eq__", "__hash__", "__repr__", "__str__"}
)
"""Attributes that begin with two underscores and that a program may use; the others lead into the interpreter."""


class _Rejected(Exception):
    """A program that is not run at all; the message is the reason in the removal row."""


def check_code(
    name: str, prompt: CodeWithTests, seed: Document, completion: UncheckedReply, cpu_seconds: int, memory_bytes: int
) -> Sample:
    """Turns a completion into a sample by running its tests twice, each time in a sandboxed process of its own.

    The first run has the solution, and must end well. In the second the solution's functions are empty, and the tests
    must fail: tests that pass without the solution test nothing.

    Args:
        name: the prompt's name, for the sample's origin.
        prompt: what was asked, with the limits of the check.
        seed: the page that the instruction was inspired by.
        completion: two blocks of Python, the solution and its tests.
        cpu_seconds: most CPU time of one run.
        memory_bytes: most address space of one run.
    """
    origin = f"language_model/{name}/{seed.id}"

    def failed(reason: str, value: float | None = None, threshold: float | None = None) -> Sample:
        return Sample(prompt.domain, origin, completion.text, "none", failure=reason, value=value, threshold=threshold)

    if completion.failure is not None:
        return failed(completion.failure, completion.value, completion.threshold)
    blocks = [block.strip() + "\n" for block in CODE_BLOCK.findall(completion.text)]
    if len(blocks) != 2:
        return failed("not_two_blocks", len(blocks), 2)
    solution, tests = blocks
    try:
        emptied = _without_bodies(_parse_restricted(solution))
        assertions = sum(isinstance(node, ast.Assert) for node in ast.walk(_parse_restricted(tests)))
    except _Rejected as rejected:
        return failed(str(rejected))
    if assertions < prompt.minimum_assertions:
        return failed("too_few_assertions", assertions, prompt.minimum_assertions)
    if (failure := _failure(f"{solution}\n{tests}", cpu_seconds, memory_bytes)) is not None:
        return failed(failure)
    if _failure(f"{emptied}\n{tests}", cpu_seconds, memory_bytes) is None:
        return failed("tests_pass_without_the_solution")
    text = f"Instruction: {completion.instruction}\n\nAnswer:\n{solution}\nTests:\n{tests}"
    return Sample(prompt.domain, origin, text, "executed", prompts=(completion.instruction,))


def _failure(code: str, cpu_seconds: int, memory_bytes: int) -> str | None:
    """The reason for which a program failed in the sandbox, or None if it ended well."""
    result, broken = sandbox.execute({"programs": [{"code": code}]}, cpu_seconds, memory_bytes)
    if broken is not None:
        return broken.partition(":")[0]
    failure = result[0]["failure"]
    return f"raised_{failure.partition(':')[0]}" if failure else None


def _parse_restricted(code: str) -> ast.Module:
    """The syntax tree of a program that imports and names only what computing needs.

    This rejects what would reach out of the program before it is run; the sandbox is the second wall.

    Raises:
        _Rejected: for one that does not parse, or uses something else.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _Rejected("does_not_parse") from None
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "." * node.level]
        for module in modules:
            if module.partition(".")[0] not in ALLOWED_IMPORTS:
                raise _Rejected("imports_what_it_may_not")
        if isinstance(node, ast.Name) and node.id in FORBIDDEN_NAMES:
            raise _Rejected(f"uses_{node.id}")
        if (
            isinstance(node, ast.Attribute)
            and node.attr.startswith("__")
            and node.attr not in ALLOWED_SPECIAL_ATTRIBUTES
        ):
            raise _Rejected("reaches_into_the_interpreter")
    return tree


def _without_bodies(tree: ast.Module) -> str:
    """The source of the program with `pass` as the body of each function. Changes the tree.

    Raises:
        _Rejected: if it has no function.
    """
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    if not functions:
        raise _Rejected("no_function")
    for node in functions:
        node.body = [ast.Pass()]
    return ast.unparse(tree)

"""The check of code with tests: calls give the values that the tests state, and others when its functions do nothing.

What a process says of the code that it runs can be forged by that code, and so can equality, by `__eq__`. So the tests
are taken apart: the sandboxed process is given the calls alone and answers with values, and this process compares them,
as JSON, with the literals that the tests state.
"""

import ast
import json
import re
from dataclasses import dataclass
from typing import Any

from datatrove.data import Document

from pipeline.core import sandbox
from pipeline.core.restricted_code import Rejected, parse_restricted
from pipeline.synthesis.language_model.prompt_templates import CodeWithTests
from pipeline.synthesis.language_model.rollouts import UncheckedReply
from pipeline.synthesis.sample import Sample

CODE_BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.DOTALL)
CONVERSIONS = frozenset(
    {"abs", "bool", "dict", "float", "int", "len", "list", "max", "min", "round", "sorted", "str", "sum", "tuple"}
)
"""Built-in functions that a test may put around a call of the solution. None of them asks whether values are equal."""


@dataclass(frozen=True)
class Expectation:
    """One test: an expression that calls the solution, and the value that it must have."""

    call: str
    """Source of the expression. All else in it are literals."""
    value: Any
    """Of JSON."""


def check_code(
    name: str, prompt: CodeWithTests, seed: Document, completion: UncheckedReply, cpu_seconds: int, memory_bytes: int
) -> Sample:
    """Turns a completion into a sample by running its code three times, each time in a sandboxed process of its own.

    The first run is the program with its tests as it stands, and must end well. In the second the calls in the tests
    must give the values that these state. In the third the solution's functions are empty, and the calls must give
    others: tests that hold without the solution test nothing.

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
        tree = parse_restricted(solution)
        emptied = _without_bodies(tree)
        expected = _expectations(parse_restricted(tests), tree)
    except Rejected as rejected:
        return failed(str(rejected))
    if len(expected) < prompt.minimum_assertions:
        return failed("too_few_assertions", len(expected), prompt.minimum_assertions)
    if (failure := _failure(f"{solution}\n{tests}", cpu_seconds, memory_bytes)) is not None:
        return failed(failure)
    if not _gives(solution, expected, cpu_seconds, memory_bytes):
        return failed("other_values")
    if _gives(emptied, expected, cpu_seconds, memory_bytes):
        return failed("tests_pass_without_the_solution")
    text = f"Instruction: {completion.instruction}\n\nAnswer:\n{solution}\nTests:\n{tests}"
    return Sample(prompt.domain, origin, text, "executed", prompts=(completion.instruction,))


def _failure(code: str, cpu_seconds: int, memory_bytes: int) -> str | None:
    """The reason for which a program failed in the sandbox, or None if it ended well."""
    result, broken = sandbox.execute({"programs": [{"code": code}]}, cpu_seconds, memory_bytes)
    match result:
        case [{"failure": ""}]:
            return None
        case [{"failure": str(failure)}]:
            return f"raised_{failure.partition(':')[0]}"
    return (broken or "no_result").partition(":")[0]


def _gives(code: str, expected: list[Expectation], cpu_seconds: int, memory_bytes: int) -> bool:
    """Whether each expression has its value with some code, as JSON. The sandboxed process is not told the values."""
    job = {"code": code, "calls": [each.call for each in expected]}
    result, _ = sandbox.execute(job, cpu_seconds, memory_bytes)
    match result:
        case {"values": list(values)}:
            return _same_json(values, [each.value for each in expected])
    return False


def _same_json(one: Any, other: Any) -> bool:
    """Whether two values of JSON are equal. Python alone would take true for 1."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same_json, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same_json(one[key], other[key]) for key in one)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _expectations(tests: ast.Module, solution: ast.Module) -> list[Expectation]:
    """What the tests expect of the solution.

    Raises:
        Rejected: if they are something else than assertions, each that a call has a certain value of JSON.
    """
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    defined = frozenset(node.name for node in solution.body if isinstance(node, functions))
    found = []
    for statement in tests.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            continue
        if not isinstance(statement, ast.Assert):
            raise Rejected("tests_are_not_assertions_alone")
        match statement.test:
            case ast.Compare(left=call, ops=[ast.Eq() | ast.Is()], comparators=[literal]):
                pass
            case ast.UnaryOp(op=ast.Not(), operand=call):
                literal = ast.Constant(False)
            case call:
                literal = ast.Constant(True)
        names = {node.id for node in ast.walk(call) if isinstance(node, ast.Name)}
        if not _is_call(call, defined) or not names & defined:
            raise Rejected("asserts_something_else_than_a_value")
        try:
            value = json.loads(json.dumps(ast.literal_eval(literal), allow_nan=False))
        except (TypeError, ValueError, RecursionError, MemoryError):
            raise Rejected("asserts_something_else_than_a_value") from None
        found.append(Expectation(ast.unparse(call), value))
    return found


def _is_call(node: ast.AST, defined: frozenset[str]) -> bool:
    """Whether an expression consists of calls of the solution, and literals: it compares nothing by itself."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            called = name in defined or name in CONVERSIONS
        case ast.Call(func=ast.Attribute(value=base), args=arguments, keywords=keywords):
            called = _is_call(base, defined)
        case ast.Attribute(value=base) | ast.Subscript(value=base, slice=ast.Constant()):
            return _is_call(base, defined)
        case _:
            return False
    values = [*arguments, *(keyword.value for keyword in keywords)]
    return called and all(_is_literal(value) or _is_call(value, defined) for value in values)


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return False
    return True


def _without_bodies(tree: ast.Module) -> str:
    """The source of the program with `pass` as the body of each function. Changes the tree.

    Raises:
        Rejected: if it has no function.
    """
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    if not functions:
        raise Rejected("no_function")
    for node in functions:
        node.body = [ast.Pass()]
    return ast.unparse(tree)

"""Programs that import and name only what computing needs, told by their syntax before anything of them is run.

It keeps out what has no place in a text to learn from, and most of what could harm. It is no proof: the sandbox is the
second wall, and no verdict is left to the code itself (`code_checks`).
"""

import ast
import importlib
import itertools
from collections import defaultdict
from collections.abc import Iterator
from types import ModuleType
from typing import Any

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
ALLOWED_SPECIAL_NAMES = frozenset(
    {"__init__", "__name__", "__post_init__", "__eq__", "__hash__", "__repr__", "__str__"}
)
"""Names and attributes that begin with two underscores and that a program may use; others lead into the interpreter."""
FORBIDDEN_ATTRIBUTES = frozenset(
    {
        "gi_frame", "gi_code", "cr_frame", "cr_code", "ag_frame", "ag_code", "tb_frame", "f_back", "f_builtins",
        "f_globals", "f_locals", "Formatter", "ForwardRef", "get_type_hints", "singledispatch", "singledispatchmethod",
    }
)  # fmt: skip
"""Attributes that lead to the code that called the program, take attributes by their names, or evaluate texts, as the
registration of `singledispatch` does with annotations."""
IMPORTS = (ast.Import, ast.ImportFrom)
SCOPES = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp,
)  # fmt: skip
"""Parts of a program with names of their own."""


class Rejected(Exception):
    """A program that is not run at all; the message is the reason in the removal row."""


def parse_restricted(code: str) -> ast.Module:
    """The syntax tree of a program that imports and names only what computing needs.

    Raises:
        Rejected: for one that does not parse, or uses something else.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Rejected("does_not_parse") from None
    for node in ast.walk(tree):
        modules: list[str] = []
        attributes: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [node.module or "." * node.level]
            attributes = [alias.name for alias in node.names]
        elif isinstance(node, ast.Attribute):
            attributes = [node.attr]
        elif isinstance(node, ast.MatchClass):
            attributes = node.kwd_attrs
        elif isinstance(node, ast.Name):
            if node.id in FORBIDDEN_NAMES:
                raise Rejected(f"uses_{node.id}")
            attributes = [node.id] if node.id.startswith("__") else []
        for module in modules:
            if module.partition(".")[0] not in ALLOWED_IMPORTS:
                raise Rejected("imports_what_it_may_not")
        for attribute in attributes:
            if attribute in FORBIDDEN_ATTRIBUTES or (
                attribute.startswith("__") and attribute not in ALLOWED_SPECIAL_NAMES
            ):
                raise Rejected("reaches_into_the_interpreter")
    try:
        reaches = _imports_in_a_class(tree) or _uses_module_of_module(tree)
    except RecursionError:
        raise Rejected("nested_too_deep") from None
    if reaches:
        raise Rejected("reaches_into_the_interpreter")
    return tree


def _imports_in_a_class(tree: ast.AST, in_class: bool = False) -> bool:
    """Whether a class body imports: what it imports is an attribute, which is not followed as names are."""
    if isinstance(tree, ast.Import | ast.ImportFrom):
        return in_class
    if isinstance(tree, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        in_class = isinstance(tree, ast.ClassDef)
    return any(_imports_in_a_class(node, in_class) for node in ast.iter_child_nodes(tree))


def _uses_module_of_module(tree: ast.Module) -> bool:
    """Whether a program takes from a module a private name, or another module that it may not import.

    `typing._eval_type` is one, `statistics.sys` the other. A module may only stand before a dot: given another name, it
    could no longer be told what is taken from it.
    """
    names_used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imported: defaultdict[str, list[ModuleType]] = defaultdict(list)
    # Nothing happens between the imports at the beginning, so the last of a name is what it stands for.
    leading = set(map(id, itertools.takewhile(lambda node: isinstance(node, IMPORTS), tree.body)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                imported[alias.asname or name].append(_module(name))
        elif isinstance(node, ast.ImportFrom):
            module = _module(str(node.module))
            names = {alias.asname or alias.name: alias.name for alias in node.names}
            if "*" in names:
                names = {name: name for name in getattr(module, "__all__", vars(module)) if not name.startswith("_")}
                if names.keys() & names_used & FORBIDDEN_ATTRIBUTES:
                    return True
            if any(name.startswith("_") for name in names.values()):
                return True
            for own, name in names.items():
                if isinstance(value := getattr(module, name, None), ModuleType):
                    imported[own].append(value)
                elif id(node) in leading:
                    imported.pop(own, None)
    local = _local_names(tree)

    def modules_of(node: ast.AST) -> list[ModuleType]:
        if isinstance(node, ast.Name) and id(node) not in local:
            return imported.get(node.id, [])
        if isinstance(node, ast.Attribute):
            values = [getattr(module, node.attr, None) for module in modules_of(node.value)]
            return [value for value in values if isinstance(value, ModuleType)]
        return []

    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    if any(node.attr.startswith("_") and modules_of(node.value) for node in attributes):
        return True
    before_a_dot = {id(node.value) for node in attributes}
    used = {id(node): modules for node in ast.walk(tree) if (modules := modules_of(node))}
    return not used.keys() <= before_a_dot or any(
        module.__name__.partition(".")[0] not in ALLOWED_IMPORTS
        for module in itertools.chain(*imported.values(), *used.values())
    )


def _local_names(tree: ast.Module) -> set[int]:
    """The `id` of each name in a function that is a parameter or variable of its own, and that nothing in it imports.

    Python decides for a function as a whole, too: in all of it such a name stands for no module imported outside of it.
    """
    declared = {name for node in ast.walk(tree) if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
    found: set[int] = set()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        body: list[Any] = function.body if isinstance(function.body, list) else [function.body]
        within = [node for statement in body for node in ast.walk(statement)]
        imports = {
            (alias.asname or alias.name).partition(".")[0]
            for node in within
            if isinstance(node, IMPORTS)
            for alias in node.names
        }
        if "*" in imports:
            continue
        parameters = function.args
        own = {each.arg for each in (*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs)}
        own |= {each.arg for each in (parameters.vararg, parameters.kwarg) if each is not None}
        own |= {name for statement in body for name in _bound(statement)}
        own -= imports | declared
        found |= {id(node) for node in within if isinstance(node, ast.Name) and node.id in own}
    return found


def _bound(node: ast.AST) -> Iterator[str]:
    """Names that the assignments and loops of a statement bind in its own scope."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    # A bare annotation in parentheses binds nothing.
    if not isinstance(node, SCOPES) and not (isinstance(node, ast.AnnAssign) and node.value is None):
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)


def _module(name: str) -> ModuleType:
    """An allowed module; an empty one for a name that does not exist, which the program will find out."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return ModuleType(name)

"""Every public name of the package has a docstring that says something, and every setting one under it.

Private names, inner functions and special methods other than `__call__` need none. What is counted are the words before
the first section such as `Raises:`. Settings are the fields of dataclasses called `*Config` and of recipes' steps;
other dataclasses may describe their fields in the docstring of the class.
"""

import ast
import re
from collections.abc import Iterable, Iterator

from tests import ROOT

MOST_WORDS_THAT_SAY_NOTHING = 4
SECTION = re.compile(r"^\s*[A-Z]\w*:\s*$", re.MULTILINE)
Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def is_public(name: str) -> bool:
    return not name.startswith("_") or name == "__call__"


def decorators(node: Definition) -> set[str]:
    """The names of what decorates a definition: `dataclass`, `setter`, `overload`."""
    plain = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
    return {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in plain}


def says_too_little(docstring: str | None) -> bool:
    return len(SECTION.split(docstring or "")[0].split()) <= MOST_WORDS_THAT_SAY_NOTHING


def definitions(body: Iterable[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Public classes, functions and methods of a module or class, also those below an `if`, a `with` and the like."""
    for node in body:
        if not isinstance(node, Definition):
            yield from definitions(statements_below(node), prefix)
        elif is_public(node.name) and not decorators(node) & {"overload", "setter"}:
            yield f"{prefix}{node.name}", node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node.body, f"{prefix}{node.name}.")


def statements_below(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements directly inside a compound one: of its branches, handlers and cases."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from statements_below(child)


def is_configuration(node: Definition) -> bool:
    """Whether a class is a dataclass of settings: one called so, or a step of recipes, which has a field `step`."""
    if not isinstance(node, ast.ClassDef) or "dataclass" not in decorators(node):
        return False
    return node.name.endswith("Config") or any(name == "step" for name, _ in fields(node))


def fields(node: ast.ClassDef) -> Iterator[tuple[str, int]]:
    """The public fields of a dataclass, each with its place among the statements of the class."""
    for place, each in enumerate(node.body):
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        if is_public(each.target.id) and not ast.unparse(each.annotation).startswith("ClassVar"):
            yield each.target.id, place


def has_docstring_below(node: ast.ClassDef, place: int) -> bool:
    """Whether the statement after a field is a string of more than one word."""
    below = node.body[place + 1] if place + 1 < len(node.body) else None
    constant = below.value if isinstance(below, ast.Expr) else None
    return isinstance(constant, ast.Constant) and isinstance(constant.value, str) and len(constant.value.split()) > 1


def offenders(source: str) -> Iterator[tuple[int, str]]:
    """Line and complaint of each name of a module that lacks what it must have."""
    tree = ast.parse(source)
    if says_too_little(ast.get_docstring(tree)):
        yield 1, "the module's docstring is missing or says nothing"
    for name, node in definitions(tree.body):
        if says_too_little(ast.get_docstring(node)):
            yield node.lineno, f"the docstring of {name} is missing or says nothing"
        if isinstance(node, ast.ClassDef) and is_configuration(node):
            for field, place in fields(node):
                # The name of a recipe's step says what it is.
                if field != "step" and not has_docstring_below(node, place):
                    yield node.body[place].lineno, f"the setting {name}.{field} has no docstring under it"


def test_every_public_name_has_a_docstring_that_says_something() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {complaint}"
        for path in sorted(ROOT.glob("pipeline/**/*.py"))
        for line, complaint in offenders(path.read_text())
    ]
    assert not found, f"{len(found)} names without a docstring that says something:\n" + "\n".join(found)


def test_the_check_finds_what_it_is_for() -> None:
    module = '''
"""Four words say nothing."""
def run():
    """Runs it.

    Raises:
        OSError: always, and many more words.
    """
    def inner(): pass
def _private(): pass
class Good:
    """A class that has enough words."""
    def __init__(self): pass
    def __call__(self): pass
    def method(self): pass
    @property
    def value(self):
        """The value that it was made with."""
    @value.setter
    def value(self, new): pass
@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The settings of some training."""
    scope: ClassVar[str] = "document"
    steps: int = 1
    rate: float = 0.1
    """Learning rate."""
    epochs: int = 1
    """Epochs."""
    seed: int = 0
    """"""
@dataclass
class Length:
    """A step of recipes with a limit."""
    step: Literal["length"]
    minimum: int
def main():
    """Does its work.

    Note:
        These words are of a section and say nothing of the function.
    """
with suppress(ImportError):
    for name in names:
        def inside(): pass
match name:
    case "a":
        class Inside: pass
'''
    assert [complaint for _, complaint in offenders(module)] == [
        "the module's docstring is missing or says nothing",
        "the docstring of run is missing or says nothing",
        "the docstring of Good.__call__ is missing or says nothing",
        "the docstring of Good.method is missing or says nothing",
        "the setting TrainingConfig.steps has no docstring under it",
        "the setting TrainingConfig.epochs has no docstring under it",
        "the setting TrainingConfig.seed has no docstring under it",
        "the setting Length.minimum has no docstring under it",
        "the docstring of main is missing or says nothing",
        "the docstring of inside is missing or says nothing",
        "the docstring of Inside is missing or says nothing",
    ]

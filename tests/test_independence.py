"""Test modules stand alone: what several of them need is in a module that is no test, such as tests/runs.py."""

import ast
from collections.abc import Iterator

from tests import ROOT


def imported(source: str) -> Iterator[str]:
    """All that a module imports, with dots; of `from a import b`, both `a` and `a.b`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_no_module_imports_a_test_module() -> None:
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "tests").rglob("*.py")}
    tests = {name for path, name in names.items() if path.name.startswith("test_")}
    assert "tests.test_independence" in tests
    found = {name: sorted(tests & set(imported(path.read_text()))) for path, name in names.items()}
    assert {name: imports for name, imports in found.items() if imports} == {}


def test_imports_are_found() -> None:
    source = "import tests.test_cli\n\ndef f():\n    from tests.launch import test_slurm\n"
    assert {"tests.test_cli", "tests.launch.test_slurm"} <= set(imported(source))

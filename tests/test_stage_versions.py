"""What each kind of stage is made of, held against its version, so that a changed result is never taken for an old one.

A stage's fingerprint has its kind's version in it and nothing of its source: a comment must not rerun ten trillion
tokens. So whoever changes the source says here whether the result changes. `python -m tests.test_stage_versions`
writes `stage_versions.json` anew.
"""

import ast
import hashlib
import json
import re
from functools import cache
from pathlib import Path

import grimp
import pytest

from pipeline.stages import STAGE_TYPES, StageType
from tests import ROOT

GOLDEN = Path(__file__).with_name("stage_versions.json")
LOADED_BY_NAME = ("pipeline.curation.filters", "pipeline.curation.readers.embedded", "pipeline.evaluation.probes")
"""Packages whose modules are named by strings in recipes: whoever imports the package may load all of them."""
IN_NO_STAGE = {
    # What starts stages: all that a stage gets of it is its frozen configuration.
    "__init__.py", "__main__.py", "cli.py", "stages.py", "worker.py", "control/*", "core/lock.py",
    "core/memory.py", "core/send_metrics.py", "core/history.py", "core/usage.py",
    # What shows a finished stage, and what a person calls.
    "curation/audit/funnel.py", "pretraining/data/trace.py", "pretraining/stored_shape.py", "evaluation/report.py",
    "evaluation/standalone.py", "evaluation/model_source.py", "evaluation/table.py",
    "evaluation/contamination.py", "evaluation/contamination_search.py", "evaluation/training_texts.py",
    "curation/decontamination/held_prompts.py",
    "reporting/*", "reporting/*/*",
    "curation/quality/train.py", "curation/recipes/steps/table.py", "model_import/template_report.py",
    "commands/*", "export/*", "starter/*", "starter/*/*", "starter/*/*/*", "environments/testing.py",
    "posttraining/calibration/*",
    # In the fingerprint of a stage that asks for one of its tasks, beside the version of the package.
    "environments/reasoning_gym_tasks.py",
    "inference/chat_model.py", "inference/conversation.py", "inference/serving.py", "inference/terminal_chat.py",
}  # fmt: skip
"""Patterns of the package's files that no stage's result is made by."""
GRAPH = grimp.build_graph("pipeline", cache_dir=None)


def code_of(source: str) -> str:
    """A module's syntax tree without docstrings: comments and layout do not count, indentation and strings do.

    It is written out here, as `ast.dump` and `ast.unparse` give another text in another version of Python.
    """

    def plain(node: object) -> object:
        if isinstance(node, list):
            return [plain(each) for each in node if not is_docstring(each)]
        if not isinstance(node, ast.AST):
            return repr(node)
        fields = [(name, plain(value)) for name, value in ast.iter_fields(node) if value is not None]
        return [type(node).__name__, *(each for each in fields if each[1] != [])]

    return str(plain(ast.parse(source)))


def is_docstring(node: object) -> bool:
    """Whether a statement is a string alone: of a module, class, function or field."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def file_of(module: str) -> Path:
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def named_beside(path: Path) -> frozenset[Path]:
    """Files in a module's folder that its source names: a program that it starts by path, a template that it reads."""
    strings = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    return frozenset(each for each in path.parent.iterdir() if each.is_file() and each.name in strings)


def modules_of(stage: StageType) -> set[str]:
    """The modules of this package that a stage of a kind can load or start, with the packages that they lie in."""
    found = {reference.partition(":")[0] for reference in (stage.config, stage.entry)}
    while True:
        more = found.union(*(GRAPH.find_upstream_modules(module) for module in found))
        more |= {module for package in LOADED_BY_NAME if package in more for module in GRAPH.find_descendants(package)}
        more |= {
            ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for module in more
            for path in named_beside(file_of(module))
            if path.suffix == ".py" and path.name != "__init__.py"
        }
        # Importing a module runs its packages first; `pipeline` itself holds the version of the release alone.
        more |= {package for module in more if (package := module.rpartition(".")[0]) not in ("pipeline", "")}
        if more == found:
            return found
        found = more


def files_of(stage: StageType) -> set[Path]:
    modules = {file_of(module) for module in modules_of(stage)}
    return modules.union(*(named_beside(path) for path in modules))


def hash_of(stage: StageType) -> str:
    """SHA-256 over the code of a kind's modules, and over the other files that they read."""
    digest = hashlib.sha256()
    for path in sorted(files_of(stage)):
        content = code_of(path.read_text()) if path.suffix == ".py" else path.read_text()
        digest.update(f"{path.relative_to(ROOT)} {content}\n".encode())
    return digest.hexdigest()


def described() -> dict[str, dict[str, object]]:
    return {name: {"version": stage.version, "sources": hash_of(stage)} for name, stage in STAGE_TYPES.items()}


@pytest.mark.parametrize("name", STAGE_TYPES)
def test_changed_sources_have_another_version_or_the_same_result(name: str) -> None:
    found = {"version": STAGE_TYPES[name].version, "sources": hash_of(STAGE_TYPES[name])}
    assert found == json.loads(GOLDEN.read_text()).get(name), (
        f"the sources of stages of kind {name} changed: raise the version in pipeline/stages.py, or refresh the hash "
        "(python -m tests.test_stage_versions): the result is the same"
    )


def test_every_file_is_in_a_hash_or_makes_no_result() -> None:
    package = ROOT / "pipeline"
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    hashed = set().union(*(files_of(stage) for stage in STAGE_TYPES.values()))
    missing = (path.relative_to(package) for path in files - hashed)
    unknown = sorted(str(path) for path in missing if not any(path.match(pattern) for pattern in IN_NO_STAGE))
    assert not unknown, f"no stage's hash has {', '.join(unknown)}; list in IN_NO_STAGE what makes no stage's result"


def test_comments_docstrings_and_layout_are_not_code() -> None:
    plain = 'class C:\n    x: int = 1\n    def f(self):\n        return self.x + "#"\n'
    told = (
        '"""Doc."""\n# why\nclass C:\n    """Doc\n    more."""\n\n    x: int = 1\n    """Doc."""\n\n    def f(self):\n'
        "        return (\n            self.x + '#'  # why\n        )\n"
    )
    assert code_of(told) == code_of(plain)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x + 1", "x - 1"),
        ("for x in y:\n    a += x\n    b += x", "for x in y:\n    a += x\nb += x"),
        ("for x in y:\n    a += x\nreturn a", "for x in y:\n    a += x\n    return a"),
        ("' '.join(x)", "''.join(x)"),
        ("x = 'Work out '", "x = 'Workout '"),
        ("f'{x} {y}'", "f'{x}{y}'"),
        ("x = 1", "x = 1.0"),
        ("x = True", "x = 1"),
        ("x = None", "x = 'None'"),
        ("not a in b", "not (a in (b,))"),
        ("@f\ndef g(): ...", "def g(): ..."),
    ],
)
def test_what_may_change_a_result_is_code(before: str, after: str) -> None:
    assert code_of(before) != code_of(after)


def test_the_changelog_has_each_version_once() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted((kind, str(stage.version)) for kind, stage in STAGE_TYPES.items())


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(described(), indent=2) + "\n")

"""What each kind of stage is made of, held against its version, so that a changed result is never taken for an old one.

A stage's fingerprint has its kind's version in it and nothing of its source: a comment must not rerun ten trillion
tokens. So whoever changes the source says here whether the result changes. `python -m tests.test_stage_versions`
writes `stage_versions.json` anew.
"""

import ast
import hashlib
import io
import json
import tokenize
from pathlib import Path

import grimp
import pytest

from pipeline.stages import STAGE_TYPES, StageType
from tests import ROOT

GOLDEN = Path(__file__).with_name("stage_versions.json")
LOADED_BY_NAME = ("pipeline.curation.filters", "pipeline.curation.readers.embedded")
"""Packages whose modules are named by strings in recipes: whoever imports the package may load all of them."""
GRAPH = grimp.build_graph("pipeline", cache_dir=None)


def code_of(source: str) -> str:
    """A module's source without docstrings, comments and white space: what can change a result."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    cut = [
        (starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1])
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    cut += [
        (starts[node.lineno - 1], starts[node.end_lineno or node.lineno])
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    for start, end in sorted(cut, reverse=True):
        source = source[:start] + source[end:]
    return "".join(source.split())


def modules_of(stage: StageType) -> set[str]:
    """The modules of this package that a stage of a kind can load."""
    found = {reference.partition(":")[0] for reference in (stage.config, stage.entry)}
    while True:
        more = found.union(*(GRAPH.find_upstream_modules(module) for module in found))
        more |= {module for package in LOADED_BY_NAME if package in more for module in GRAPH.find_descendants(package)}
        if more == found:
            return found
        found = more


def hash_of(stage: StageType) -> str:
    """SHA-256 over the code of a kind's modules, and over the other files in their folders."""
    digest = hashlib.sha256()
    paths = {path for module in modules_of(stage) for path in [ROOT / module.replace(".", "/")]}
    files = {path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py" for path in paths}
    other = {each for path in files for each in path.parent.iterdir() if each.suffix in (".jinja", ".json", ".yaml")}
    for path in sorted(files):
        digest.update(f"{path.relative_to(ROOT)} {code_of(path.read_text())}\n".encode())
    for path in sorted(other):
        digest.update(path.read_bytes())
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


def test_comments_and_docstrings_are_not_code() -> None:
    plain = 'def f(x):\n    return x + "#"\n'
    assert code_of('"""Doc."""\n# why\ndef f(x):\n    """Doc\n    more."""\n    return x + "#"  # why\n') == code_of(
        plain
    )
    assert code_of(plain) != code_of(plain.replace("+", "-"))


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(described(), indent=2) + "\n")

"""Environments of one's own: found, named in errors, hashed with what they import, held to the properties of all."""

import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import ConfigError, DataError
from pipeline.environments import ProblemConfig, problems, split_of, testing, verify
from pipeline.environments.own import own_sources
from pipeline.environments.problem import RIGHT, WRONG, Environment, Problem, Verdict, malformed
from pipeline.environments.testing import check_environment
from tests.settings import EASY

MODULE = """
import random
from pipeline.environments.problem import RIGHT, WRONG, Environment, Problem, ProblemConfig, Verdict, malformed
from {words} import WORDS

def generate(draw: random.Random, config: ProblemConfig) -> Problem:
    word = "".join(draw.choices(WORDS, k=6))
    return Problem("reversal", f"Spell {{word}} backward.", word[::-1], word[::-1], {{}})

def grade(problem: Problem, completion: str) -> Verdict:
    if not completion.strip():
        return malformed("empty")
    return RIGHT if completion.strip() == problem.answer else WRONG

ENVIRONMENT = Environment("reversal", generate, grade)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a space in its name; modules that are imported from it are forgotten afterwards."""
    (tmp_path / "own work").mkdir()
    monkeypatch.chdir(tmp_path / "own work")
    before = set(sys.modules)
    yield tmp_path / "own work"
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_module_of_the_working_directory_is_found_without_its_folder_on_the_path(folder: Path) -> None:
    (folder / "own_reversal.py").write_text(MODULE.format(words="own_words"))
    (folder / "own_words.py").write_text("WORDS = 'abcdef'\n")
    script = (
        "import sys; from pipeline.environments import problems, verify, ProblemConfig\n"
        "config = ProblemConfig(difficulty=1, assistant='Ada')\n"
        "found = problems('own_reversal:ENVIRONMENT', 3, 0, 'train', config)\n"
        "assert verify(found[0].to_record(), found[0].solution).score == 1.0\n"
        "assert found[0].environment == 'own_reversal:ENVIRONMENT'\n"
        "assert not any(each in ('', '.', sys.argv[1]) for each in sys.path), sys.path"
    )
    # As workers run.
    root = Path(testing.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, str(folder)], env={"PYTHONPATH": str(root)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_hash_covers_what_the_module_imports_and_nothing_else(folder: Path) -> None:
    package = folder / "own_tasks"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "reversal.py").write_text(MODULE.format(words=".words"))
    (package / "words.py").write_text("import own_letters\nimport json\nWORDS = own_letters.LETTERS\n")
    (folder / "own_letters.py").write_text("LETTERS = 'abcdef'\n")
    (folder / "own_other.py").write_text("")
    found = own_sources(["own_tasks.reversal:ENVIRONMENT", "math"])
    assert {each: list(sources) for each, sources in found.items()} == {
        "own_tasks.reversal:ENVIRONMENT": ["own_letters", "own_tasks", "own_tasks.reversal", "own_tasks.words"]
    }


def test_what_cannot_be_loaded_says_why(folder: Path) -> None:
    (folder / "own_broken.py").write_text("ENVIRONMENT = 1 / 0\n")
    (folder / "own_needy.py").write_text("import no_such_package\n")
    (folder / "own_empty.py").write_text("ENVIRONMENTS = 7\n")
    (folder / "colorsys.py").write_text("ENVIRONMENT = 7\n")
    for reference, why in (
        ("own_missing:ENVIRONMENT", f"no module own_missing in {re.escape(str(folder))} or among installed packages"),
        ("own_broken:ENVIRONMENT", "cannot be imported .ZeroDivisionError"),
        ("own_needy:ENVIRONMENT", "it imports no_such_package, which is not installed"),
        ("own_empty:ENVIRONMENT", "has no ENVIRONMENT, did you mean ENVIRONMENTS?"),
        ("own_empty:ENVIRONMENTS", "a int, set it to a pipeline.environments.problem.Environment"),
        ("colorsys:ENVIRONMENT", "rename your module"),
    ):
        with pytest.raises(ConfigError, match=why) as refused:
            problems(reference, 1, 0, "train", EASY)
        assert "\n" not in str(refused.value)


def test_a_verifier_that_raises_costs_its_completion_and_not_the_run(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "own_fragile.py").write_text(
        MODULE.format(words="string").replace("WORDS", "ascii_lowercase").replace("completion.strip()", "completion[0]")
    )
    problem = problems("own_fragile:ENVIRONMENT", 1, 0, "train", EASY)[0]
    verdict = verify(problem, "")
    assert (verdict.score, verdict.in_format) == (0.0, False)
    assert "raised IndexError" in verdict.reason
    assert "check_environment finds such text" in capsys.readouterr().err


def generate(draw: random.Random, config: ProblemConfig) -> Problem:
    number = draw.randint(0, 500)
    return Problem("next", f"What follows {number}?", str(number + 1), str(number + 1), {"number": number})


def grade(problem: Problem, completion: str) -> Verdict:
    if not completion.strip():
        return malformed("empty")
    return RIGHT if completion.strip() == problem.answer else WRONG


def test_a_good_environment_passes() -> None:
    check_environment(Environment("next", generate, grade), texts=10)


def changed(**changes: Any) -> Callable[[random.Random, ProblemConfig], Problem]:
    def other(draw: random.Random, config: ProblemConfig) -> Problem:
        problem = generate(draw, config)
        return Problem(**{**vars(problem), **{key: change(problem) for key, change in changes.items()}})

    return other


def backtracking(problem: Problem, completion: str) -> Verdict:
    return WRONG if re.fullmatch(r"(a+)+b", completion) else grade(problem, completion)


def forgetful(problem: Problem, completion: str) -> Verdict:
    problem.spec["seen"] = True
    return grade(problem, completion)


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        (
            Environment("e", changed(prompt=lambda p: f"{p.prompt} {random.random()}"), grade),
            "the same seed gave other",
        ),
        (Environment("e", changed(solution=lambda p: "none"), grade), "scores .*, not 1.0"),
        (Environment("e", changed(prompt=lambda p: "Hm?"), grade), "none of the split"),
        (Environment("e", changed(spec=lambda p: {"pair": (1, 2)}), grade), "spec holds what JSON does not"),
        (Environment("e", generate, lambda problem, completion: RIGHT), "score 1.0: wrong answers do too"),
        (Environment("e", generate, lambda p, text: RIGHT if text == p.answer else WRONG), "said to be in format"),
        (Environment("e", generate, lambda p, text: grade(p, text.split()[0])), "the verifier raised IndexError"),
        (Environment("e", generate, backtracking), "of CPU time"),
        (Environment("e", generate, forgetful), "changed the problem"),
        (Environment("e", generate, lambda p, text: Verdict(float(text == p.answer) * 2, "twice")), "not from 0 to 1"),
    ],
)
def test_each_fault_is_found(environment: Environment, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The garbage collector's look at all objects of a process with many tests behind it counts as well.
    monkeypatch.setattr(testing, "CPU_SECONDS", 2.0)
    with pytest.raises(AssertionError, match=why):
        check_environment(environment, texts=10)


def test_an_environment_without_held_out_prompts_is_refused_and_does_not_hang(folder: Path) -> None:
    (folder / "own_single.py").write_text(MODULE.format(words="string").replace("import WORDS", "import ascii_letters")
        .replace('"".join(draw.choices(WORDS, k=6))', '"a"'))  # fmt: skip
    other = "train" if split_of("Spell a backward.") == "held_out" else "held_out"
    with pytest.raises(DataError, match="let it pose more different prompts"):
        problems("own_single:ENVIRONMENT", 1, 0, other, EASY)

"""Every check, with a reply that just passes and one that just does not."""

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from datatrove.data import Document

from pipeline.synthesis.language_model.checks import check
from pipeline.synthesis.language_model.code_checks import check_code
from pipeline.synthesis.language_model.prompts import CodeWithTests, Prompt, load_prompt
from pipeline.synthesis.language_model.rollouts import UncheckedReply
from pipeline.synthesis.sample import Sample
from tests.synthesis.language_model.model import write_prompts

PAGE = (
    "The bridge at Dunkeld was opened in 1809 after four years of work. Thomas Telford drew it with seven arches, and "
    "the duke of Atholl paid most of it. For 70 years people had to pay a toll, which they hated, until it was ended."
)
SOLUTION = "def double(x):\n    return 2 * x\n"
TESTS = "assert double(1) == 2\nassert double(2) == 4\nassert double(5) == 10\n"


def prompt(folder: Path, name: str, **changes: Any) -> Prompt:
    """A prompt with some settings changed."""
    return load_prompt(write_prompts(folder, (name,), **changes) / f"{name}.yaml")


def judged(folder: Path, name: str, reply: str, **changes: Any) -> Sample:
    """What the check says of a reply about the page."""
    return check(name, prompt(folder, name, **changes), Document(text=PAGE, id="0"), UncheckedReply(reply))


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        ("In 1809 the bridge of Dunkeld opened; Telford planned its seven arches and the duke of Atholl paid.", None),
        (
            "In 1810 the bridge of Dunkeld opened; Telford planned its seven arches and the duke paid.",
            "numbers_not_in_the_page",
        ),
        (
            "Long ago the bridge of Edinburgh opened; Telford planned its seven arches and the duke paid.",
            "names_not_in_the_page",
        ),
        (PAGE, "copied"),
        (
            PAGE + " It is a bridge, and many a bridge is like it, as one may see when one looks at bridges" * 3,
            "too_long",
        ),
        ("It opened in 1809.", "too_short"),
        ("Here is the text: in 1809 the bridge of Dunkeld opened; Telford planned it.", "speaks_of_the_task"),
        (
            "Die Brücke wurde 1809 eröffnet, und Telford hat sie mit sieben Bögen gezeichnet, die man sieht.",
            "another_language",
        ),
    ],
)
def test_a_rephrased_page(tmp_path: Path, reply: str, failure: str | None) -> None:
    assert judged(tmp_path, "rephrase", reply).failure == failure


@pytest.mark.parametrize(
    ("name", "reply", "key", "share"),
    [
        ("copied", "The bridge at Dunkeld was opened by spring and the town liked it all", "maximum_copied", 0.2),
        ("numbers_not_in_the_page", "Opened in 1809 it was a toll bridge for 71 years or so", "minimum_numbers", 0.5),
        ("names_not_in_the_page", "A bridge that Telford and his friend Stevenson drew here", "minimum_names", 0.5),
    ],
)
def test_a_value_at_its_limit_passes(tmp_path: Path, name: str, reply: str, key: str, share: float) -> None:
    free = {"minimum_length": 0.0, "maximum_copied": 1.0, "minimum_numbers": 0.0, "minimum_names": 0.0}
    assert judged(tmp_path, "rephrase", reply, **free | {key: share}).failure is None
    beyond = share - 0.01 if key == "maximum_copied" else share + 0.01
    sample = judged(tmp_path, "rephrase", reply, **free | {key: beyond})
    assert (sample.failure, sample.value, sample.threshold) == (name, share, beyond)


def pairs(*found: tuple[str, str]) -> str:
    """A reply."""
    return json.dumps([{"question": question, "answer": answer} for question, answer in found])


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (pairs(("Who drew the bridge?", "thomas telford")), ["Who drew the bridge?"]),
        (f"```json\n{pairs(('Who drew the bridge?', 'Thomas Telford'))}\n```", ["Who drew the bridge?"]),
        (pairs(("Who drew it?", "Robert Stevenson"), ("When was it opened?", "1809")), ["When was it opened?"]),
        (
            pairs(("What has seven arches, and what not?", "seven arches"), ("How many years?", "70")),
            ["How many years?"],
        ),
        (pairs(("Who drew the bridge", "Thomas Telford"), ("Who hated the toll?", "")), None),
        # Part of a word is not a word of the page.
        (pairs(("Which is odd?", "eople had")), None),
        (pairs(("What is it all about?", PAGE)), None),
    ],
)
def test_answers_stand_in_the_page(tmp_path: Path, reply: str, kept: list[str] | None) -> None:
    sample = judged(tmp_path, "question_answers", reply)
    assert (sample.failure is None) == (kept is not None)
    assert list(sample.prompts) == (kept or [])
    if kept is not None:
        assert sample.text.startswith(PAGE)


@pytest.mark.parametrize(
    "reply", ["no", "{}", '["x"]', '[{"question": "Who?"}]', '[{"question": 1, "answer": "2"}]', "[" * 100_000]
)
def test_what_is_not_the_wanted_json(tmp_path: Path, reply: str) -> None:
    assert judged(tmp_path, "question_answers", reply).failure == "not_the_wanted_json"


def programmed(folder: Path, *blocks: str) -> Sample:
    """What the check says of blocks of Python."""
    with_tests = prompt(folder, "code_with_tests")
    assert isinstance(with_tests, CodeWithTests)
    reply = "So.\n" + "\nAnd:\n".join(f"```python\n{block}```" for block in blocks)
    return check_code(
        "code_with_tests", with_tests, Document(text="", id="0"), UncheckedReply(reply, "Double x."), 2, 1024**3
    )  # fmt: skip


@pytest.mark.parametrize(
    ("blocks", "failure"),
    [
        ((SOLUTION, TESTS), None),
        (("import math\n" + SOLUTION, TESTS), None),
        (("class Two:\n    def __init__(self, x):\n        self.x = x\n\n\n" + SOLUTION, TESTS), None),
        ((SOLUTION,), "not_two_blocks"),
        ((SOLUTION, TESTS, TESTS), "not_two_blocks"),
        ((SOLUTION.replace("2", "3"), TESTS), "raised_AssertionError"),
        ((SOLUTION.replace("2", "y"), TESTS), "raised_NameError"),
        (("def double(x):\n    while True:\n        pass\n", TESTS), "exit_-9"),
        ((SOLUTION, "\n".join(TESTS.splitlines()[:2]) + "\n"), "too_few_assertions"),
        ((SOLUTION, "assert True\n" * 3), "tests_pass_without_the_solution"),
        ((SOLUTION, f"if double(1) is not None:\n{textwrap.indent(TESTS, '    ')}"),
         "tests_pass_without_the_solution"),
        (("def double(x:\n", TESTS), "does_not_parse"),
        (("double = (2).__mul__\n", TESTS), "reaches_into_the_interpreter"),
        (("double = lambda x: 2 * x\n", TESTS), "no_function"),
        (("import os\n" + SOLUTION, TESTS), "imports_what_it_may_not"),
        (("from . import os\n" + SOLUTION, TESTS), "imports_what_it_may_not"),
        ((SOLUTION, "import subprocess\n" + TESTS), "imports_what_it_may_not"),
        (("open('/etc/passwd')\n" + SOLUTION, TESTS), "uses_open"),
        ((SOLUTION, "exit()\n" + TESTS), "uses_exit"),
        ((SOLUTION, "raise SystemExit\n" + TESTS), "raised_SystemExit"),
    ],
)  # fmt: skip
def test_code_runs_and_its_tests_can_fail(tmp_path: Path, blocks: tuple[str, ...], failure: str | None) -> None:
    sample = programmed(tmp_path, *blocks)
    assert sample.failure == failure
    if failure is None:
        assert sample.text.startswith("Instruction: Double x.\n\nAnswer:\n")
        assert sample.text.endswith(TESTS)

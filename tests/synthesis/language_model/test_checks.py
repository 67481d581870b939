"""Every check, with a reply that just passes and one that just does not."""

import ast
import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
from datatrove.data import Document

from pipeline.synthesis.language_model import code_checks
from pipeline.synthesis.language_model.checks import check
from pipeline.synthesis.language_model.code_checks import check_code
from pipeline.synthesis.language_model.prompt_templates import CodeWithTests, PromptTemplate, load_template
from pipeline.synthesis.language_model.rollouts import UncheckedReply
from pipeline.synthesis.sample import Sample
from tests.synthesis.language_model.model import write_prompts

PAGE = (
    "The bridge at Dunkeld was opened in 1809 after four years of work. Thomas Telford drew it with seven arches, and "
    "the duke of Atholl paid most of it. For 70 years people had to pay a toll, which they hated, until it was ended."
)
SOLUTION = "def double(x):\n    return 2 * x\n"
TWO = "class Two:\n    size = 2\n"
TESTS = "assert double(1) == 2\nassert double(2) == 4\nassert double(5) == 10\n"


def prompt(folder: Path, name: str, **changes: Any) -> PromptTemplate:
    """A prompt with some settings changed."""
    return load_template(write_prompts(folder, (name,), **changes) / f"{name}.yaml")


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


def programmed(folder: Path, *blocks: str, **changes: Any) -> Sample:
    """What the check says of blocks of Python."""
    with_tests = prompt(folder, "code_with_tests", **changes)
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
        ((SOLUTION, "assert True\n" * 3), "asserts_something_else_than_a_value"),
        ((SOLUTION, f"if double(1) is not None:\n{textwrap.indent(TESTS, '    ')}"), "tests_are_not_assertions_alone"),
        ((SOLUTION + TWO, "assert Two.size == 2\n" * 3), "asserts_something_else_than_a_value"),
        ((SOLUTION + TWO, "assert Two().size == 2\n" * 3), "tests_pass_without_the_solution"),
        (("def double(x:\n", TESTS), "does_not_parse"),
        (("double = (2).__mul__\n", TESTS), "reaches_into_the_interpreter"),
        (("double = lambda x: 2 * x\n", TESTS), "no_function"),
        (("import os\n" + SOLUTION, TESTS), "imports_what_it_may_not"),
        (("from . import os\n" + SOLUTION, TESTS), "imports_what_it_may_not"),
        ((SOLUTION, "import subprocess\n" + TESTS), "imports_what_it_may_not"),
        (("open('/etc/passwd')\n" + SOLUTION, TESTS), "uses_open"),
        ((SOLUTION, "exit()\n" + TESTS), "uses_exit"),
        ((SOLUTION, "raise SystemExit\n" + TESTS), "tests_are_not_assertions_alone"),
        (("import sys\n" + SOLUTION, TESTS), "imports_what_it_may_not"),
        (("import statistics\n" + SOLUTION + "statistics.sys.exit()\n", TESTS), "reaches_into_the_interpreter"),
        (("import statistics as s\nother = s\n" + SOLUTION, TESTS), "reaches_into_the_interpreter"),
        (("from statistics import sys as math\n" + SOLUTION, TESTS), "reaches_into_the_interpreter"),
        (("import re\n" + SOLUTION + "re.enum.sys\n", TESTS), "reaches_into_the_interpreter"),
        ((SOLUTION + "__builtins__\n", TESTS), "reaches_into_the_interpreter"),
        ((SOLUTION + "(x for x in ()).gi_frame\n", TESTS), "reaches_into_the_interpreter"),
        (("class A:\n    if True:\n        import statistics\n" + SOLUTION, TESTS), "reaches_into_the_interpreter"),
        (("from dataclasses import _create_fn\n" + SOLUTION, TESTS), "reaches_into_the_interpreter"),
        (("import typing\n" + SOLUTION + "typing._eval_type\n", TESTS), "reaches_into_the_interpreter"),
        (("from functools import singledispatch\n" + SOLUTION, TESTS), "reaches_into_the_interpreter"),
        (("from typing import *\n" + SOLUTION + "get_type_hints(double)\n", TESTS), "reaches_into_the_interpreter"),
        (("from typing import *\nfrom math import *\n" + SOLUTION, TESTS), None),
        (("x = " + "1 + " * 1500 + "1\n" + SOLUTION, TESTS), "nested_too_deep"),
        # A name of a module that stands for something else.
        (("import string\ndef double(string):\n    return string + string\n", TESTS), None),
        (("import copy\ndef double(x):\n    copy = x\n    return sum([copy, copy])\n", TESTS), None),
        (("import datetime\nfrom datetime import datetime\nnow = datetime(2020, 1, 1)\n" + SOLUTION, TESTS), None),
        # And one that does not.
        *[
            (("import statistics\n" + code + SOLUTION, TESTS), "reaches_into_the_interpreter")
            for code in (
                "f = lambda statistics=statistics: statistics.sys\n",
                "def f(x=lambda statistics: 0):\n    return statistics.sys\n",
                "def f():\n    [0 for statistics in ()]\n    return statistics.sys\n",
                "def f():\n    (statistics): int\n    return statistics.sys\n",
                "def f():\n    global statistics\n    statistics = statistics.sys\n",
                "def f():\n    class A:\n        statistics = 1\n    return statistics.sys\n",
                "def f():\n    import math as statistics\nstatistics.sys\n",
                "if True:\n    from datetime import datetime as statistics\nx = statistics\n",
            )
        ],
        (("class A:\n    def f(self):\n        import math\n        return math.pi\n\n\n" + SOLUTION, TESTS), None),
        (("import json.decoder, collections.abc\nfrom json import decoder\n" + SOLUTION
          + "json.decoder.JSONDecodeError, decoder.JSONDecoder, collections.abc.Sized\n", TESTS), None),
    ],
)  # fmt: skip
def test_code_runs_and_its_tests_can_fail(tmp_path: Path, blocks: tuple[str, ...], failure: str | None) -> None:
    sample = programmed(tmp_path, *blocks)
    assert sample.failure == failure
    if failure is None:
        assert sample.text.startswith("Instruction: Double x.\n\nAnswer:\n")
        assert sample.text.endswith(TESTS)


@pytest.mark.parametrize(
    ("solution", "tests", "failure"),
    [
        ("def pair(x):\n    return x, [x / 2]\n", "assert pair(2) == (2, [1.0])\n", None),
        ("def pair(x):\n    return [x, [x]]\n", "assert pair(2) == (2, [2])\n", "raised_AssertionError"),
        ("def even(x):\n    return x % 2 == 0\n", "assert even(2)\nassert not even(3)\nassert even(4) is True\n", None),
        ("def one(x):\n    return x // x\n", "assert one(2) == True\n", "other_values"),
        ("def none(x):\n    return None\n", "assert none(2) is None\n", "tests_pass_without_the_solution"),
        ("class Pile:\n    def __init__(self, items):\n        self.items = items\n\n"
         "    def top(self):\n        return self.items[-1]\n", "assert Pile([1, 2]).top() == 2\n", None),
        ("def count(words):\n    return {word: len(word) for word in words}\n",
         "assert count(words=('ab', 'c')) == {'ab': 2, 'c': 1}, 'lengths'\n", None),
        ("def root(x):\n    return x**0.5\n", "assert round(root(2), 3) == 1.414\n", None),
        ("def code(x):\n    return x[::-1]\n", "assert code(code('ab')[0]) == 'b'\n", None),
        ("def large(x):\n    return x * 1e999\n", "assert large(2) == 1e999\n", "asserts_something_else_than_a_value"),
        ("def words(x):\n    return {x}\n", "assert words(2) == {2}\n", "asserts_something_else_than_a_value"),
        ("def double(x):\n    return 2 * x\n", "assert double(2) > 3\n", "asserts_something_else_than_a_value"),
        ("def double(x):\n    return 2 * x\n", "assert (double(2) == 4) is True\n",
         "asserts_something_else_than_a_value"),
        ("def double(x):\n    return 2 * x\n", "assert [4].count(double(2)) == 1\n",
         "asserts_something_else_than_a_value"),
    ],
)  # fmt: skip
def test_a_test_states_the_value_of_a_call(tmp_path: Path, solution: str, tests: str, failure: str | None) -> None:
    assert programmed(tmp_path, solution, tests + "# nothing\n", minimum_assertions=1).failure == failure


EQUAL_TO_ALL = """class Any:
    def __eq__(self, other):
        return True


def double(x):
    return Any()
"""
WRITES_THE_RESULT = """def double(x):
    import statistics

    system = statistics.sys.modules["os"]
    results = {{"<program>": {first}, "<call>": {second}}}
    for channel in range(3, 10):
        try:
            system.write(channel, results[statistics.sys._getframe(1).f_code.co_filename])
        except OSError:
            pass
    system._exit(0)
"""
"""Knows in which of its runs it is: in the first the tests call it, in the second the runner, which wants values."""
ENDED_WELL = b'[{"printed": "", "failure": ""}]'
RESULTS = (ENDED_WELL, b'{"values": true}', b'{"values": []}', b'{"values": [2]}', b"{}", b"[" * 10**5)


def test_nothing_that_the_code_says_of_itself_makes_it_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert programmed(tmp_path, EQUAL_TO_ALL, TESTS).failure == "other_values"
    looped = f"for x in (1, 2, 5):\n    assert double(x) == 2 * x\n{TESTS}"
    assert programmed(tmp_path, EQUAL_TO_ALL, looped).failure == "tests_are_not_assertions_alone"
    # Also where the first wall does not hold.
    forged = WRITES_THE_RESULT.format(first=ENDED_WELL, second=ENDED_WELL)
    assert programmed(tmp_path, forged, TESTS).failure == "reaches_into_the_interpreter"
    monkeypatch.setattr(code_checks, "parse_restricted", ast.parse)
    for result in RESULTS:
        forged = WRITES_THE_RESULT.format(first=ENDED_WELL, second=result)
        assert programmed(tmp_path, forged, TESTS).failure == "other_values"
    for result in RESULTS[1:]:
        forged = WRITES_THE_RESULT.format(first=result, second=result)
        assert programmed(tmp_path, forged, TESTS).failure == "no_result"

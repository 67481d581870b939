"""Any text gets a verdict, in time that grows linearly with it; of algebra, in a child that is ended if need be."""

import random
from collections.abc import Callable

import pytest

from pipeline.environments import verify, verify_all
from pipeline.environments.choices import chosen
from pipeline.environments.constraints import KINDS, count_sentences, meets
from pipeline.environments.extraction import boxed, final_texts, statements, unfenced
from pipeline.environments.numerals import final_numerals, plain
from pipeline.environments.workers import OUT_OF_TIME, stop_workers
from tests.clock import assert_bounded_time, assert_linear_time
from tests.environments.hostile import ALGEBRA, QUICK, hostile_text


@pytest.mark.parametrize("verifier", QUICK)
def test_any_text_gets_a_verdict_in_bounded_time(verifier: str) -> None:
    problem, draw = QUICK[verifier], random.Random(verifier)
    for _ in range(120):
        text = hostile_text(draw)

        def judge(text: str = text) -> None:
            verdict = verify(problem, text)
            assert 0.0 <= verdict.score <= 1.0
            assert verdict.reason

        assert_bounded_time(judge)


@pytest.mark.slow
def test_any_text_gets_a_verdict_where_algebra_decides() -> None:
    draw = random.Random(0)
    texts = [f"${hostile_text(draw)[:300]}$" for _ in range(25)] + ["$9^{9^{9^{9^{9}}}} + x$", "$\\sum_{n=1}^{10^9} n$"]
    verdicts = verify_all([ALGEBRA] * len(texts), texts)
    stop_workers()
    assert {each.score for each in verdicts} == {0.0}
    assert any(each.reason == OUT_OF_TIME for each in verdicts)


UNITS = (
    "\\boxed{", "}", "7", "1,234,", "1 ", "-3", ".", ".)", "?", "(", "[", "```\n", "**a", "answer is ", "not ", "$",
    "\\(", "so ", "<think>", "\\frac{1}", "\\text{", " ", "\n", "a", "*", "<<", "7 or ",
)  # fmt: skip
FUNCTIONS: dict[str, Callable[[str], object]] = {
    "boxed": boxed,
    "final_texts": lambda text: list(final_texts(text)),
    "statements": statements,
    "unfenced": unfenced,
    "final_numerals": final_numerals,
    "plain": plain,
    "chosen": lambda text: chosen(text, {"a", "red", "so"}),
    "count_sentences": count_sentences,
}


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_extraction_takes_linear_time(function: str) -> None:
    for unit in UNITS:
        assert_linear_time(FUNCTIONS[function], unit * (40_000 // len(unit)))


@pytest.mark.slow
def test_constraints_take_linear_time() -> None:
    values = {"a text": "a", "a list of texts": ["a", "b"], "a whole number": 2}
    for kind, (needed, _) in KINDS.items():
        arguments = {name: values.get(what, "at least") for name, what in needed.items()}
        for unit in UNITS:
            assert_linear_time(
                lambda text, kind=kind, arguments=arguments: meets(kind, text, arguments), unit * (40_000 // len(unit))
            )

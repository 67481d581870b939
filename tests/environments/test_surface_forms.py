"""Corpora that verifiers are accepted by: right answers as people and chat models put them, and wrong ones likewise.

Forms are templates over generated answers, so that each is tried with many values. The shares that must be accepted are
those of the issue tracker's acceptance: ordinary forms 95 %, numbers in GSM8K's forms 99 % with at most .1 % of wrong
numbers.
"""

import random
from collections.abc import Callable, Iterator

import pytest

from pipeline.environments import Problem, ProblemConfig, problems, verify

NUMBER_FORMS = (
    "{a}", "{a}.", "It is {a}.", "The answer is {a}.", "The answer is: {a}", "**{a}**", "The answer is **{a}**.",
    "Answer: {a}", "**Answer:** {a}", "Final answer: {a}", "#### {a}", "x = {a}", "\\boxed{{{a}}}", "$\\boxed{{{a}}}$",
    "\\[ \\boxed{{{a}}} \\]", "The result is ${a}$.", "We get \\( {a} \\).", "So the answer is {a}!", "= {a}",
    "Sure! The answer is {a}.", "`{a}`", "<think>Is it 12? No.</think>{a}", "<think>12 + 5</think>\nIt is {a}.",
    "{a} is the answer.", "Therefore, {a}.", "Answer: {a} (found in 3 steps)", "\\boxed{{{a}}} (check: 2 + 2 = 4)",
    "Step 1: I read it.\nStep 2: I work it out.\n\nThe answer is {a}.", "\\boxed{{x = {a}}}", "That makes {a}.",
    "Let me see: it must be {a}.", "The final answer is \\boxed{{{a}}}. I hope it helps.", "Answer:\n\n{a}", "{a}\n",
)  # fmt: skip
WORD_FORMS = (
    "{a}", "{a}.", "{a}!", "It is {a}.", "The answer is {a}.", "Answer: {a}", "**{a}**", "The answer is **{a}**.",
    "\\boxed{{{a}}}", "\\boxed{{\\text{{{a}}}}}", "It's {a}.", "It is {a}, not {b}.", "It is not {b} but {a}.",
    "Not {b}. It is {a}.", "One may think of {b}, but the answer is {a}.", "{a} is the answer.", "So it is {a}.",
    "It isn't {b}, it's {a}.", "<think>{b}? No, {a}.</think>\n{a}", "Sure! It is {a}.", "I think it is {a}.",
    "It could be {b}, so let me check. It is {a}.", "\"{a}\"", "`{a}`", "Final answer: {a}", "{a} (I am sure of it)",
    "The answer is {a} rather than {b}.", "#### {a}", "That would be {a}.", "Answer:\n{a}", "Therefore, {a}.",
)  # fmt: skip
OWN_FORMS: dict[str, tuple[str, ...]] = {
    "boolean": ("{task} is {a}.", "The expression {task} is {a}.", "The statement is {a}.", "{task} = {a}"),
    "chain": (
        "{a} is the one.",
        "{a} is ahead of {b}.",
        "Nobody is ahead of {a}.",
        "{a} is older than {b}, so {a} is it.",
    ),
    "day": ("{a} comes after {g}.", "The day after {g} is {a}.", "After {g} comes {a}.", "{g} is followed by {a}."),
    "span": ("If today is {g}, then it will be {a}.", "Counting from {g}, it is {a}.", "It will be {a} then."),
    "animal": ("A dog is a {a}.", "They are {a}s.", "It belongs to the {a}s.", "It is a {a}, because it is no {b}."),
    "code": ("{g} is {a}.", "{g} -> {a}", "The code of {g} is {a}.", "So {g} is {a}, of course."),
    "symbol": ("The symbol is {a}.", "Its symbol is {a}, from Latin.", "{a} is its symbol.", "It is written as {a}."),
    "date": ("The date is {a}.", "{a} is it.", "{a} is some days after {g}.", "Counting from {g} gives {a}."),
    "units": ("{a} km/h", "{a} newtons", "The speed is {a} km/h.", "F = 3 * 4 = {a} N", "It is {a} kg m/s^2."),
    "rule": ("{g} -> {a}", "The rule is 3x + 1, so {g} -> {a}.", "y = {a}", "{g} gives {a}."),
    "working": ("3 + 4 = {a}", "{a} = 3 + 4", "{a} is the sum of 3 and 4.", "3 * 4 = 12, and 12 + 5 = {a}."),
}


def accepted(cases: list[tuple[Problem, str]]) -> float:
    return sum(verify(problem, text).score == 1.0 for problem, text in cases) / len(cases)


def drawn(environment: str, difficulty: int, chosen: Callable[[Problem], bool] = lambda problem: True) -> list[Problem]:
    config = ProblemConfig(difficulty=difficulty, assistant="Ada")
    return [each for each in problems(environment, 60, 0, "train", config) if chosen(each)][:12]


def worded(asked: list[Problem], forms: tuple[str, ...], given: str = "") -> Iterator[tuple[Problem, str, str]]:
    """Each problem in each form with its answer, and with another candidate in its place."""
    for problem in asked:
        listed = problem.spec["candidates"]
        assert isinstance(listed, list)
        others = [str(each) for each in listed if each != problem.answer and str(each) not in given]
        for place, form in enumerate(forms):
            other = others[place % len(others)]
            task = problem.prompt.rpartition(":")[2].strip(" ?.") if given == "task" else ""
            context = next(
                (str(each) for each in listed if str(each) in problem.prompt and each != problem.answer), other
            )
            right = form.format(a=problem.answer, b=other, g=context, task=task)
            # What is denied or given in the wrong form is the right answer, if there is no third.
            wrong = form.format(a=other, b=problem.answer, g=context, task=task)
            yield problem, right, wrong


BOOLEAN = lambda problem: problem.answer in ("True", "False")  # noqa: E731
NUMERIC = lambda problem: bool(problem.spec.get("numeric"))  # noqa: E731

WORDED = {
    "logic, truth": (drawn("logical_reasoning", 1), (*WORD_FORMS, *OWN_FORMS["boolean"])),
    "logic, chains": (drawn("logical_reasoning", 3), (*WORD_FORMS, *OWN_FORMS["chain"])),
    "temporal, days": (drawn("temporal_reasoning", 1), (*WORD_FORMS, *OWN_FORMS["day"])),
    "temporal, months": (drawn("temporal_reasoning", 2), (*WORD_FORMS, *OWN_FORMS["span"])),
    "science, animals": (drawn("science", 1), (*WORD_FORMS, *OWN_FORMS["animal"])),
    "in context, codes": (drawn("in_context_learning", 2), WORD_FORMS),
}


@pytest.mark.parametrize("corpus", WORDED)
def test_words_in_ordinary_forms(corpus: str) -> None:
    asked, forms = WORDED[corpus]
    cases = list(worded(asked, forms))
    assert accepted([(problem, right) for problem, right, _ in cases]) >= 0.95
    assert accepted([(problem, wrong) for problem, _, wrong in cases]) <= 0.001


def numbers(asked: list[Problem], forms: tuple[str, ...]) -> Iterator[tuple[Problem, str, str]]:
    """Each problem in each form with its answer, and with a number near it."""
    for place, problem in enumerate(asked):
        for form in forms:
            wrong = f"{problem.answer}1" if "/" in problem.answer else str(int(problem.answer) + 1 + place % 9)
            yield problem, form.format(a=problem.answer, g="9"), form.format(a=wrong, g="9")


NUMBERS = {
    "math, sums": (drawn("math", 1), (*NUMBER_FORMS, *OWN_FORMS["working"])),
    "math, chains": (drawn("math", 2), (*NUMBER_FORMS, *OWN_FORMS["working"])),
    "math, fractions": (drawn("math", 3, lambda each: "/" in each.answer), (*NUMBER_FORMS, *OWN_FORMS["working"])),
    "science, quantities": (drawn("science", 3, NUMERIC), (*NUMBER_FORMS, *OWN_FORMS["units"])),
    "in context, rules": (drawn("in_context_learning", 3), (*NUMBER_FORMS, *OWN_FORMS["rule"])),
}


@pytest.mark.parametrize("corpus", NUMBERS)
def test_numbers_in_ordinary_forms(corpus: str) -> None:
    asked, forms = NUMBERS[corpus]
    cases = list(numbers(asked, forms))
    assert accepted([(problem, right) for problem, right, _ in cases]) >= 0.95
    assert accepted([(problem, wrong) for problem, _, wrong in cases]) <= 0.001


def test_symbols_and_dates_in_ordinary_forms() -> None:
    symbols = drawn("science", 2, lambda each: bool(each.spec.get("exact")))
    dates = drawn("temporal_reasoning", 3, lambda each: bool(each.spec.get("date")))
    general = tuple(form for form in WORD_FORMS if "{b}" not in form)
    cases = []
    for asked, forms, other in ((symbols, OWN_FORMS["symbol"], "Xe"), (dates, OWN_FORMS["date"], "2000-02-30")):
        for problem in asked:
            given = problem.prompt.partition(" after ")[2][:10]
            for form in (*general, *forms):
                cases.append((problem, *(form.format(a=each, g=given) for each in (problem.answer, other))))
    assert accepted([(problem, right) for problem, right, _ in cases]) >= 0.95
    assert accepted([(problem, wrong) for problem, _, wrong in cases]) == 0.0


POLYNOMIAL_FORMS = (
    "{a}", "${a}$", "\\boxed{{{a}}}", "The expanded form is {a}.", "{a} is the expanded form.", "The answer is {a}.",
    "{q} = {a}", "**{a}**", "Answer: {a} (by FOIL)", "Expanding, we get $${a}$$", "Expanding gives {a}.", "`{a}`",
    "We get:\n\n\\[ {q} = {a} \\]", "```\n{a}\n```", "<think>{q}</think>It is {a}.", "\\({a}\\)",
)  # fmt: skip


@pytest.mark.slow
def test_polynomials_in_ordinary_forms() -> None:
    cases = []
    for problem in drawn("math", 3, lambda each: "x" in each.answer)[:3]:
        question = problem.prompt[problem.prompt.index("(x") : problem.prompt.rindex(")") + 1]
        for place, form in enumerate(POLYNOMIAL_FORMS):
            answer = (problem.answer, problem.answer.replace("*", ""), problem.answer.replace("^2", "²"))[place % 3]
            cases.append((problem, *(form.format(a=each, q=question) for each in (answer, f"{answer} + 1"))))
    assert accepted([(problem, right) for problem, right, _ in cases]) >= 0.95
    assert accepted([(problem, wrong) for problem, _, wrong in cases]) == 0.0


def test_gsm8k_golds_in_fifteen_forms() -> None:
    """Final answers of GSM8K's size, a tenth with thousands, after working that holds other numbers."""
    draw = random.Random(0)
    forms = (
        "{g}", "#### {g}", "The answer is {g}.", "\\boxed{{{g}}}", "\\boxed{{{g}}} (check: 2 + 2 = 4)", "x = {g}",
        "Answer: {g} (found in 3 steps)", "So she has **{g}** of them.", "{w}\nTherefore, the final answer is ${g}.",
        "<think>Is it 17? The answer is 17.</think>\n{w}\n\nThe total is {c}.", "$\\boxed{{\\text{{{g} dollars}}}}$",
        "{c} units.", "**Answer:**\n\n{c}", "{w}\n#### {c}", "{w}\n\nThat is {c} in all.",
    )  # fmt: skip
    right, wrong = [], []
    for place in range(60):
        value = draw.randint(1_000, 2_000_000) if place % 10 == 0 else draw.randint(1, 999)
        gold = f"{value:,}" if place % 20 == 0 else str(value)
        problem = Problem("number", "?", gold, "", {})
        for form in forms:
            first = draw.randint(1, value)
            working = f"First there are {first} + {value - first} = {value}.\nHalf of {2 * value} is {value} too."
            off = value + draw.choice((-1, 1, 10, 7))
            right.append((problem, form.format(g=value, c=f"{value:,}", w=working)))
            wrong.append((problem, form.format(g=off, c=f"{off:,}", w=working)))
    assert accepted(right) >= 0.99
    assert accepted(wrong) <= 0.001


@pytest.mark.parametrize(
    ("word", "count", "spec", "text"),
    [
        ("sun", 3, {"ending": "!"}, "Sun sun sun!"),
        ("sun", 3, {"ending": "!"}, '"Sun, sun, sun!"'),
        ("sun", 3, {"ending": "!"}, "**sun sun sun!**"),
        ("sun", 3, {"ending": "!"}, "<think>three times</think>\nsun sun sun!"),
        ("sun", 2, {"capitals": True}, "SUN SUN"),
        ("sun", 2, {"line_each": True}, "- sun\n- sun"),
        ("sun", 2, {"line_each": True}, "1. sun\n2. sun"),
        ("sun", 2, {"line_each": True}, "sun\n\nsun\n"),
    ],
)
def test_instructions_followed_in_ordinary_forms(word: str, count: int, spec: dict[str, bool], text: str) -> None:
    problem = Problem("instruction_following", "?", "", "", {"word": word, "count": count, **spec})
    assert verify(problem, text).score == 1.0


MATH_VERIFY_KINDS = (
    # Right answers in the notations that Math-Verify's tests are about, as reference and reply.
    ("10/9", "\\frac{10}{9}", 1), ("-10/9", "It is $-\\frac{10}{9}$.", 1), ("1/3", "$\\frac13$", 1),
    ("1/3", "$\\left( \\dfrac{1}{3} \\right)$", 1), ("1.5", "\\boxed{1{,}5}", 1), ("$\\sqrt{3}$", "$\\sqrt3$", 1),
    ("28\\%", "28 percent", 1), ("28\\%", "$0.28$", 1), ("$28\\%$", "$\\boxed{28}$ pct", 1), ("1000", "1 000", 1),
    ("[0,1)", "$[0,1)$", 1), ("(0,9)", "$[0,9)$", 0), ("x >= 5", "Therefore $x \\geq 5$.", 1), ("x > 5", "$x < 5$", 0),
    ("x = 11", "$x = 5+6 = 11$", 1), ("11", "$x \\approx 11$", 1), ("2x+4y-3=0", "$y=-\\frac{1}{2}x+\\frac{3}{4}$", 1),
    ("(7,6)", "So the pair is $(7, 6)$.", 1), ("\\{1, 2, 3\\}", "\\boxed{1} and \\boxed{2} and \\boxed{3}", 1),
    ("\\frac{\\pi}{2}", "$\\boxed{\\frac{\\pi}{2}}$", 1), ("2 \\sin b \\cos a", "\\boxed{2 \\cos a \\sin b}", 1),
    ("1 \\pm \\sqrt{19}", "$x = \\boxed{1 \\pm \\sqrt{19}}.$", 1), ("90^\\circ", "$\\boxed{90^\\circ}$", 1),
    ("\\begin{pmatrix}1 & 0\\\\0 & 1\\end{pmatrix}", "$\\begin{bmatrix}1 & 0\\\\0 & 1\\end{bmatrix}$", 1),
    ("\\text{Even}", "$\\boxed{\\text{Even}}$", 1), ("3", "\\boxed{\\sqrt{9}}", 1), ("3", "\\boxed{1 + 2}", 0),
    ("x^2 - 1", "$(x-1)(x+1)$", 1), ("x^2 - 1", "$x^2 + 1$", 0), ("\\frac{1}{\\sqrt{2}}", "$\\frac{\\sqrt2}{2}$", 1),
)  # fmt: skip


@pytest.mark.slow
def test_mathematics_in_the_notations_of_math_verify() -> None:
    found = [verify(Problem("math", "?", gold, "", {}), text).score for gold, text, _ in MATH_VERIFY_KINDS]
    wrong = [case for case, score in zip(MATH_VERIFY_KINDS, found, strict=True) if score != case[2]]
    assert len(wrong) <= 0.05 * len(MATH_VERIFY_KINDS), wrong

"""How many prompts environments pose, and what replies earn that answer nothing: their ceilings are stated here."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from statistics import fmean

import pytest

from pipeline.environments import Problem, ProblemConfig, problems, verify
from pipeline.environments.chat import terse_reply
from pipeline.environments.chat_phrases import PHRASES
from pipeline.environments.languages import LANGUAGES, language_of
from pipeline.environments.registry import FURTHER_NAMES
from pipeline.environments.sql import databases
from pipeline.environments.sql_database import database, run_query

NAME = "Fivephase"


@cache
def drawn(environment: str, difficulty: int, count: int) -> list[Problem]:
    return problems(environment, count, 0, "train", ProblemConfig(difficulty=difficulty, assistant=NAME))


@pytest.mark.parametrize("difficulty", [2, 3])
@pytest.mark.parametrize(
    ("environment", "asked"),
    # What rl_rlhf, a third of rl_identity and a ninth of rl_multi_domain ask for at the published scales.
    [("general_chat", 17_920), ("identity", 1_728), ("calibration", 1_728), ("structured_output", 5_056),
     ("text_to_sql", 5_056), *((name, 1_000) for name in FURTHER_NAMES)],
)  # fmt: skip
def test_training_prompts_do_not_repeat(environment: str, asked: int, difficulty: int) -> None:
    found = drawn(environment, difficulty, asked)
    assert len({problem.prompt for problem in found}) == asked


def mean_score(environment: str, difficulty: int, reply: Callable[[Problem], str]) -> float:
    return fmean(verify(problem, reply(problem)).score for problem in drawn(environment, difficulty, 100))


def constant(text: str) -> Callable[[Problem], str]:
    return lambda problem: text


def copied(problem: Problem) -> str:
    return problem.prompt


def negated(problem: Problem) -> str:
    return f"It is not {problem.answer}."


def both(problem: Problem) -> str:
    return f"{problem.solution} I do not know."


def candidates(problem: Problem) -> str:
    listed = problem.spec.get("candidates")
    return ", ".join(map(str, listed if isinstance(listed, list) else range(200))) + "."


def every_topic(problem: Problem) -> str:
    return ", ".join(PHRASES[str(problem.spec.get("language", "en"))].topics) + "."


def documents(problem: Problem) -> str:
    return problem.before[0][1] + " [1]"


def unchanged(problem: Problem) -> str:
    return f"def {problem.spec['function']}(values):\n    return values"


ABSTAINS = constant("I do not know.")
CEILINGS: list[tuple[str, str, Callable[[Problem], str], float]] = [
    ("general_chat", "the prompt copied", copied, 0.0),
    ("general_chat", "the topic alone", lambda problem: f"{problem.answer}.", 0.0),
    ("general_chat", "every topic", every_topic, 0.0),
    ("general_chat", "abstaining", ABSTAINS, 0.0),
    ("general_chat", "a constant", constant("I like it. And you?"), 0.0),
    ("general_chat", "a constant topic", constant("The sea is deep and blue. What do you think?"), 0.12),
    # To say hello back is a reply.
    ("identity", "the prompt copied", copied, 0.05),
    ("identity", "the name denied", constant(f"I am not {NAME}."), 0.0),
    ("identity", "another's name", constant("I am ChatGPT."), 0.0),
    ("identity", "both names", constant(f"I am ChatGPT. I am {NAME}."), 0.0),
    ("identity", "the name, always", constant(f"I am {NAME}."), 0.6),
    ("identity", "a greeting, always", constant("Hello! How can I help?"), 0.6),
    ("identity", "abstaining", ABSTAINS, 0.25),
    ("calibration", "the prompt copied", copied, 0.0),
    ("calibration", "a constant", constant("It is green."), 0.12),
    ("calibration", "all candidates", candidates, 0.0),
    ("calibration", "negated", negated, 0.0),
    ("calibration", "always abstaining", ABSTAINS, 0.7),
    ("structured_output", "the prompt copied", copied, 0.0),
    ("structured_output", "an empty object", constant("{}"), 0.0),
    ("structured_output", "the schema", lambda problem: str(problem.spec["schema"]), 0.0),
    ("text_to_sql", "the prompt copied", copied, 0.0),
    ("text_to_sql", "a constant", constant("SELECT 1"), 0.0),
    ("text_to_sql", "abstaining", ABSTAINS, 0.0),
    ("tool_calling", "the prompt copied", copied, 0.0),
    ("tool_calling", "no tool, always", constant("None of the tools can do that."), 0.45),
    ("tool_calling", "asking for everything", constant("Which city, day, amount, song, list, whom, how many?"), 0.3),
    ("tool_calling", "the tools copied", documents, 0.0),
    ("grounding", "the question copied", copied, 0.0),
    ("grounding", "the documents copied", documents, 0.0),
    ("grounding", "negated", lambda problem: f"{negated(problem)} [1]", 0.0),
    ("grounding", "not stated, always", constant("The documents do not say."), 0.35),
    ("grounding", "both", both, 0.35),
    ("extraction", "the prompt copied", copied, 0.0),
    ("extraction", "an empty object", constant("{}"), 0.0),
    ("summarization", "the prompt copied", copied, 0.0),
    ("summarization", "the text copied", lambda problem: str(problem.spec["text"]), 0.0),
    ("summarization", "its beginning", lambda problem: ". ".join(str(problem.spec["text"]).split(". ")[:2]) + ".", 0.2),
    ("summarization", "negated", negated, 0.0),
]


@pytest.mark.parametrize("difficulty", [1, 2, 3])
@pytest.mark.parametrize(("environment", "said", "reply", "ceiling"), CEILINGS)
def test_what_answers_nothing_earns_little(
    environment: str, said: str, reply: Callable[[Problem], str], ceiling: float, difficulty: int
) -> None:
    if environment in FURTHER_NAMES or environment == "calibration" or difficulty == 1 or "always" not in said:
        assert mean_score(environment, difficulty, reply) <= ceiling


def test_knowing_is_worth_more_than_abstaining_and_that_more_than_guessing() -> None:
    for difficulty in (1, 2, 3):
        for problem in drawn("calibration", difficulty, 100):
            scores = [
                verify(problem, text).score for text in (problem.solution, "I do not know.", "It is 1000 magenta.")
            ]
            assert scores == ([1.0, 0.3, 0.0] if problem.answer else [1.0, 1.0, 0.0]), problem


THOUGHT = "<think>Am I ChatGPT? No, 7 [9] and {} do not fit, or is it blue? I do not know.</think>\n"


@pytest.mark.parametrize("environment", sorted({each[0] for each in CEILINGS} | {"extraction"}))
def test_what_was_thought_before_the_reply_does_not_count(environment: str) -> None:
    for difficulty in (1, 3):
        for problem in drawn(environment, difficulty, 100)[:12]:
            assert verify(problem, THOUGHT + problem.solution).score == 1.0
            assert verify(problem, THOUGHT).score == 0.0
            assert verify(problem, "<think>" + problem.solution).score == 0.0


def near_misses(query: str) -> list[str]:
    """Queries that mean nearly the same: another comparison with a number or an average, a limit beside it."""
    found = []
    for match in re.finditer(r"(>=|<=|>|<)(?= \d| \(SELECT AVG)", query):
        closed = match[0] + "=" if len(match[0]) == 1 else match[0][0]
        found.append(query[: match.start()] + closed + query[match.end() :])
    for match in re.finditer(r"\b\d+\b", query):
        found += [query[: match.start()] + str(int(match[0]) + step) + query[match.end() :] for step in (1, -1)]
    for one, other in (("MAX", "MIN"), ("AVG", "SUM"), ("SUM", "AVG"), (" AND ", " OR "), (" OR ", " AND "),
                       ("SELECT DISTINCT", "SELECT"), (" DESC", "")):  # fmt: skip
        if one in query and not (one == " AND " and "BETWEEN" in query):
            found.append(query.replace(one, other, 1))
    return found


def test_a_query_that_means_nearly_the_same_is_wrong() -> None:
    passed, tried = [], 0
    for difficulty in (1, 2, 3):
        for problem in drawn("text_to_sql", difficulty, 100):
            for query in near_misses(problem.answer):
                tried += 1
                if verify(problem, query).score == 1.0:
                    passed.append((problem.answer, query))
    assert tried > 300
    assert len(passed) <= 0.01 * tried, passed


def test_no_constant_rows_are_right_on_all_databases() -> None:
    for problem in [*drawn("text_to_sql", 1, 20), *drawn("text_to_sql", 2, 60), *drawn("text_to_sql", 3, 60)]:
        results = []
        for rows in databases(problem.spec):
            connection = database(str(problem.spec["table"]), problem.spec["columns"], rows)  # pyright: ignore
            results.append(str(run_query(connection, problem.answer)))
            connection.close()
        assert len(set(results)) == 3, problem
        assert "[]" not in results


def test_rows_are_ordered_only_where_the_question_says_so() -> None:
    for problem in drawn("text_to_sql", 3, 60):
        other = verify(problem, f"SELECT * FROM ({problem.answer}) ORDER BY 1 DESC LIMIT 1000").score
        assert other == 1.0 or "ORDER BY" in problem.answer, problem.answer


@pytest.mark.parametrize("language", LANGUAGES)
def test_chat_is_in_the_language_that_was_spoken(language: str) -> None:
    own = [each for each in drawn("general_chat", 3, 2_000) if each.spec["language"] == language]
    assert len(own) > 30
    for problem in own:
        assert language_of(problem.solution) == language
        assert verify(problem, problem.solution).score == 1.0
        assert verify(problem, terse_reply(problem)).score == 1.0
    other = "Dogs are kind and true." if language != "en" else "Hunde sind lieb und treu, und der Tee ist heiß."
    assert max(verify(each, f"{each.answer}. {other}").score for each in own) < 1.0


@pytest.mark.parametrize(
    ("form", "reply", "score"),
    [
        ("one", "Tea is hot and good.", 1.0),
        ("one", "Tea is hot. It is good.", 0.5),
        ("few", "Tea is hot. It is good, e.g. in winter.", 1.0),
        ("paragraph", "Tea is hot. It is good.", 0.5),
        ("question", "Tea is hot. Do you like it?", 1.0),
        ("question", "Do you like tea a lot? It is hot.", 0.5),
        ("no_question", "Is tea not hot and good?", 0.5),
    ],
)
def test_the_form_that_is_asked_for(form: str, reply: str, score: float) -> None:
    spec = {"topic": "tea", "language": "en", "form": form}
    assert verify(Problem("general_chat", "Tell me about tea.", "tea", "", spec), reply).score == score  # pyright: ignore

"""What single verifiers accept and refuse, and what hostile completions cost them."""

import json
import sqlite3
from dataclasses import replace

import pytest

from pipeline.environments import Problem, problems, verify
from pipeline.environments.sql import database, run_query
from tests.clock import assert_bounded_time
from tests.settings import EASY


def problem_with(environment: str, answer: str, **spec: object) -> Problem:
    return Problem(environment, "?", answer, answer, spec)  # pyright: ignore


@pytest.mark.parametrize(
    ("answer", "completion", "score"),
    [
        ("7", "3 + 4 = 7", 1),
        ("7", "The answer is 7.", 1),
        ("7", "7.0", 1),
        ("-2", "−2", 1),
        ("7", '{"answer": 7}', 1),
        ("7", '{"name": "Sue", "age": 7}', 0),
        ("7", "```json\n[3, 7]\n```", 0),
        ("7", "SELECT name FROM pets WHERE age > 7", 0),
        ("7", "7 8", 0),
        ("7", "17", 0),
        ("7", "x7", 0),
        ("7", "seven", 0),
        ("5/6", "The sum is 5/6", 1),
        ("5/6", "10/12", 1),
        ("5/6", "5/0", 0),
    ],
)
def test_numbers(answer: str, completion: str, score: float) -> None:
    assert verify(problem_with("math", answer), completion).score == score


def test_expressions_are_compared_by_their_value() -> None:
    problem = problem_with("math", "x^2 + 5*x + 6")
    assert verify(problem, "It is (x+2)(x+3) = x^2 + 5x + 6").score == 1.0
    assert verify(problem, r"\boxed{6 + 5x + x^2}").score == 1.0
    assert verify(problem, "x^2 + 5*x + 7").score == 0.0


@pytest.mark.parametrize(
    ("completion", "score"),
    [
        ("Ann.", 1),
        ("ann is older", 1),
        ("Tom", 0),
        ("Tom or Ann", 0),
        ("Annette", 0),
        ("", 0),
        ('{"name": "Ann", "age": 4}', 0),
        ("SELECT age FROM pets WHERE name = 'Ann'", 0),
    ],
)
def test_choices(completion: str, score: float) -> None:
    problem = problem_with("logical_reasoning", "Ann", candidates=["Ann", "Tom"])
    assert verify(problem, completion).score == score


@pytest.mark.parametrize(
    ("completion", "score"),
    [
        ("sun sun sun!", 1),
        ("Sun, sun, sun!", 1),
        ("sun sun sun", 2 / 3),
        ("sun moon sun!", 2 / 3),
        ("moon", 0),
    ],
)
def test_instructions_give_credit_for_each_constraint(completion: str, score: float) -> None:
    problem = problem_with("instruction_following", "sun sun sun!", word="sun", count=3, ending="!")
    assert verify(problem, completion).score == pytest.approx(score)


@pytest.mark.parametrize(
    ("completion", "score"),
    [
        ('{"age": 7, "name": "Tom"}', 1),
        ('```json\n{"name": "Tom", "age": 7}\n```', 1),
        ('{"name": "Tom", "age": 8}', 0.25),
        ('{"name": "Tom", "age": true}', 0),
        ('{"name": "Tom"}', 0),
        ('{"name": "Tom", "age": 7, "age": 7}', 0),
        ('{"name": "Tom", "age": NaN}', 0),
        ("{'name': 'Tom'}", 0),
        ('{"a":' * 5000, 0),
        ("1" * 5000, 0),
    ],
)
def test_json(completion: str, score: float) -> None:
    problem = next(each for each in problems("structured_output", 1, 0, "train", EASY))
    problem = replace(problem, answer='{"name": "Tom", "age": 7}')
    assert verify(problem, completion).score == score


def test_each_value_of_json_counts() -> None:
    drawn = problems("structured_output", 50, 0, "train", replace(EASY, difficulty=3))
    problem = next(each for each in drawn if "friends" in each.answer)
    value = json.loads(problem.answer)
    values = sum(len(each) for each in value["friends"]) + len(value) - 1
    value["friends"][0]["age"] += 1
    assert verify(problem, shown(problem, value)).score == pytest.approx(0.5 * (values - 1) / values)
    # A list of one more has values that are not asked for.
    value["friends"].append(value["friends"][0])
    fields = len(value["friends"][0])
    assert verify(problem, shown(problem, value)).score == pytest.approx(0.5 * (values - 1) / (values + fields))


def test_json_without_values_is_graded() -> None:
    drawn = problems("structured_output", 1, 0, "train", EASY)
    empty = replace(next(iter(drawn)), answer="{}", spec={"schema": {"type": ["object", "array"]}})
    assert [verify(empty, completion).score for completion in ("{}", "[]", '{"a": 1}')] == [1, 0, 0]


def shown(problem: Problem, value: object) -> str:
    """An object as the problem wants it."""
    text = json.dumps(value)
    return f"```json\n{text}\n```" if problem.spec["around"] == "in_fence" else text


@pytest.mark.parametrize(
    ("completion", "score"),
    [
        ("SELECT name FROM pets WHERE age > 3", 1),
        ("```sql\nselect name from pets where age >= 4;\n```", 1),
        ("SELECT name FROM pets", 0),
        ("SELECT DISTINCT 1 FROM pets WHERE 0", 0),
        ("SELECT nothing FROM pets", 0),
        ("names over 3", 0),
    ],
)
def test_queries_are_compared_by_their_rows(completion: str, score: float) -> None:
    rows = [[["Tom", 3], ["Tom", 4], ["Ann", 9], ["Ann", 9]], [["Bob", 1], ["Sue", 5]]]
    query = "SELECT name FROM pets WHERE age > 3"
    problem = problem_with("text_to_sql", query, table="pets", columns=["name", "age"], databases=rows)
    assert verify(problem, completion).score == score
    assert verify(problem, "SELECT DISTINCT name FROM pets WHERE age > 3").score == 0, "rows are a multiset"


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE bomb(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM bomb) SELECT max(n) FROM bomb",
        "SELECT count(*) FROM pets a, pets b, pets c, pets d, pets e, pets f, pets g, pets h, pets i",
        "SELECT a.name FROM pets a, pets b, pets c, pets d, pets e",
        "ATTACH DATABASE '/tmp/stolen.db' AS stolen",
        "DELETE FROM pets",
        "DROP TABLE pets",
        "INSERT INTO pets VALUES ('x', 1)",
        "PRAGMA query_only = OFF",
        "VACUUM INTO '/tmp/stolen.db'",
        "SELECT zeroblob(1000000000)",
        "SELECT randomblob(1000000000)",
        "SELECT printf('%1000000000d', 1)",
        "SELECT load_extension('/lib/x.so')",
        "SELECT readfile('/etc/passwd')",
        "SELECT 1; DELETE FROM pets",
        "SELECT " + "(" * 500 + "1" + ")" * 500,
        "SELECT name FROM pets WHERE name = '\x00'",
        "SELECT '\ud800'",
        "BEGIN EXCLUSIVE",
    ],
)
def test_hostile_queries_are_refused_in_bounded_time(query: str) -> None:
    connection = database("pets", ["name", "age"], [(f"n{place}", place) for place in range(20)])

    def refuse() -> None:
        assert isinstance(run_query(connection, query), str)

    # MAX_OPERATIONS of sqlite's machine take some 50 ms.
    assert_bounded_time(refuse, cpu_seconds=2)
    connection.set_authorizer(None)
    assert connection.execute("SELECT count(*) FROM pets").fetchone() == (20,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM pets")


@pytest.mark.parametrize(
    ("answer", "completion", "score"),
    [
        ("green", "It is green.", 1),
        ("green", "It is red.", 0),
        ("green", "I do not know.", 0.3),
        ("", "I don't know.", 1),
        ("", "It is red.", 0),
        ("", "I do not know, it is red.", 0),
    ],
)
def test_calibration_rewards_knowing_what_one_knows(answer: str, completion: str, score: float) -> None:
    problem = problem_with("calibration", answer, candidates=["green", "red"])
    assert verify(problem, completion).score == score


def test_saying_that_one_does_not_know_is_no_right_answer_but_a_form_of_one() -> None:
    for environment in ("math", "science", "text_to_sql"):
        verdict = verify(problems(environment, 1, 0, "train", EASY)[0], "I do not know.")
        assert (verdict.score, verdict.in_format) == (0.0, True)


def test_dates_and_days() -> None:
    day = problem_with("temporal_reasoning", "Friday", candidates=["Friday", "Monday"])
    assert verify(day, "Friday.").score == 1.0
    assert verify(day, "Friday or Monday").score == 0.0
    date = problems("temporal_reasoning", 40, 0, "train", replace(EASY, difficulty=3))[0]
    assert verify(date, date.solution).score == 1.0


@pytest.mark.parametrize(
    ("completion", "score"),
    [
        ("The sea is deep and blue.", 1),
        ("The moon is round.", 0),
        ("The sea is boring.", 0),
        ("the sea", 0),
        ("sea sea sea sea sea sea.", 0.25),
    ],
)
def test_chat_rules(completion: str, score: float) -> None:
    assert verify(problem_with("general_chat", "the sea", topic="the sea"), completion).score == score

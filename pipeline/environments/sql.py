"""`text_to_sql`: a question about a small table. The query is executed, and its rows are compared with the expected."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pipeline.environments.answers import unfenced
from pipeline.environments.extraction import reply
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed
from pipeline.environments.sql_database import MAX_QUERY_BYTES, Row, database, run_query
from pipeline.environments.sql_questions import Question, ask, table_columns
from pipeline.environments.sql_rows import make_rows

DATABASES = 3
"""Databases that a query must be right on."""
MAX_FILLS = 20
"""Databases that are made in search of ones on which the right query gives other rows."""

_FORMS = ("SQL: {}.", "Query: {}.", "Select {}.", "Find {}.", "List {}.", "Show {}.")


@lru_cache(maxsize=512)
def _made(question: Question) -> list[list[Row]]:
    """The rows of a question's databases, which follow from its words alone.

    Each has the neighbors of every limit, ties and copies; no two give the same rows, so that no constant is right on
    all. They are made where they are needed: millions of problems need none.
    """
    fill = random.Random(f"{question.table}/{question.text}")
    columns = table_columns(question)
    chosen: list[list[Row]] = []
    results: list[list[Row] | str] = []
    for _ in range(MAX_FILLS):
        rows = make_rows(fill, question)
        found = _run(question.table, columns, rows, question.query)[0]
        if found and found not in results:
            chosen.append(rows)
            results.append(found)
            if len(chosen) == DATABASES:
                break
    return chosen


def databases(spec: Mapping[str, Any]) -> list[list[Row]]:
    """The rows of each of a problem's databases: those that its spec lists, or those of its question."""
    if "databases" in spec:
        return [[tuple(row) for row in rows] for rows in spec["databases"]]
    return _made(Question.from_spec(spec["question"]))


def _run(table: str, columns: Sequence[str], rows: list[Row], *queries: str) -> list[list[Row] | str]:
    """What queries give on a table, each its rows or why it has none."""
    connection = database(table, columns, rows)
    try:
        return [run_query(connection, query) for query in queries]
    finally:
        connection.close()


def _generate(draw: random.Random, problem_config: ProblemConfig, new: bool = False) -> Problem:
    question = ask(draw, problem_config.difficulty, new)
    columns = table_columns(question)
    prompt = f"Table {question.table} ({', '.join(columns)}). " + draw.choice(_FORMS).format(question.text)
    spec: dict[str, JSON] = {"table": question.table, "columns": [*columns], "question": question.to_spec()}
    return Problem("text_to_sql", prompt, question.query, question.query, spec)


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    return _generate(draw, problem_config, new=True)


def _plain(rows: list[Row] | str) -> list[Row]:
    """Rows without the last digits of quotients, which depend on the order of additions."""
    if isinstance(rows, str):
        return []
    return [tuple(float(f"{each:.9g}") if isinstance(each, float) else each for each in row) for row in rows]


def _grade(problem: Problem, completion: str) -> Verdict:
    query, spec = unfenced(reply(completion)), problem.spec
    tables, columns = databases(spec), [*map(str, spec["columns"])]  # pyright: ignore
    if len(query) > MAX_QUERY_BYTES:
        return malformed("the query is too long")
    ordered, same = "ORDER BY" in problem.answer, True
    for rows in tables:
        found, expected = _run(str(spec["table"]), columns, rows, query, problem.answer)
        if isinstance(found, str):
            # SQLite resolves names after it has parsed: such a query is SQL, of another table.
            return Verdict(0.0, f"the query does not run: {found}", in_format=found.startswith("no such "))
        found, expected = _plain(found), _plain(expected)
        same = same and (found == expected if ordered else Counter(found) == Counter(expected))
    return RIGHT if same else Verdict(0.0, "other rows")


ENVIRONMENT = Environment("text_to_sql", _generate, _grade, dict.fromkeys((1, 2, 3), _new))

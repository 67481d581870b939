"""`text_to_sql`: a question about a small table. The query is executed, and its rows are compared with the expected."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from functools import lru_cache

from pipeline.environments.answers import unfenced
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed
from pipeline.environments.sql_database import MAX_QUERY_BYTES, Row, Value, database, run_query
from pipeline.environments.sql_questions import Question, ask, table_columns
from pipeline.environments.sql_rows import make_rows

EXECUTES_SCORE = 0.2
"""Score of a query that executes and gives other rows: a first step, and far from worth staying at."""
DATABASES = 3
"""Databases that a query must be right on."""
MAX_FILLS = 20
"""Databases that are made in search of ones on which the right query gives other rows."""

_FORMS = ("SQL: {}.", "Query: {}.", "Select {}.", "Find {}.", "List {}.", "Show {}.")


@lru_cache(maxsize=4_096)
def _databases(question: Question) -> str:
    """JSON of the databases of a question.

    They follow from its words alone. Each has the neighbors of every limit, ties and copies; no two give the same
    rows, so that no constant is right on all. There are fewer where that was not found.
    """
    fill = random.Random(f"{question.table}/{question.text}")
    columns = table_columns(question.table, question.difficulty)
    chosen: list[list[Row]] = []
    results: list[list[Row]] = []
    # The query is the environment's own and needs no bounds.
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE TABLE {question.table} ({', '.join(columns)})")
    for _ in range(MAX_FILLS):
        rows = make_rows(fill, question)
        connection.execute(f"DELETE FROM {question.table}")
        connection.executemany(f"INSERT INTO {question.table} VALUES ({', '.join('?' * len(columns))})", rows)
        found = connection.execute(question.query).fetchall()
        if found and found not in results:
            chosen.append(rows)
            results.append(found)
            if len(chosen) == DATABASES:
                break
    connection.close()
    return json.dumps(chosen)


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    question = ask(draw, problem_config.difficulty)
    while len(databases := json.loads(_databases(question))) < DATABASES:
        question = ask(draw, problem_config.difficulty)
    columns = table_columns(question.table, problem_config.difficulty)
    prompt = f"Table {question.table} ({', '.join(columns)}). " + draw.choice(_FORMS).format(question.text)
    listed: list[JSON] = [*columns]
    spec: dict[str, JSON] = {
        "table": question.table,
        "columns": listed,
        "databases": databases,
        "ordered": question.ordered,
    }
    return Problem("text_to_sql", prompt, question.query, question.query, spec)


def _plain(value: Value) -> Value:
    """A value in which the last digits of a quotient, which depend on the order of additions, are left out."""
    return float(f"{value:.9g}") if isinstance(value, float) else value


def _grade(problem: Problem, completion: str) -> Verdict:
    query, spec = unfenced(completion), problem.spec
    if len(query) > MAX_QUERY_BYTES:
        return malformed("the query is too long")
    columns, databases = spec["columns"], spec["databases"]
    assert isinstance(columns, list)
    assert isinstance(databases, list)
    ordered = spec.get("ordered", "ORDER BY" in problem.answer)
    same = True
    for rows in databases:
        assert isinstance(rows, list)
        contents = [tuple(row) for row in rows if isinstance(row, list)]
        connection = database(str(spec["table"]), list(map(str, columns)), contents)  # pyright: ignore
        try:
            found, expected = run_query(connection, query), run_query(connection, problem.answer)
        finally:
            connection.close()
        if isinstance(found, str):
            # SQLite resolves names after it has parsed: such a query is SQL, of another table.
            return Verdict(0.0, f"the query does not run: {found}", in_format=found.startswith("no such "))
        found, expected = ([tuple(map(_plain, row)) for row in each] for each in (found, expected))
        same = same and (found == expected if ordered else Counter(found) == Counter(expected))
    return RIGHT if same else Verdict(EXECUTES_SCORE, "other rows")


ENVIRONMENT = Environment("text_to_sql", _generate, _grade)

"""`text_to_sql`: a question about a small table. The query is executed, and its rows are compared with the expected."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Sequence

from pipeline.environments.answers import unfenced
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed

EXECUTES_SCORE = 0.2
"""Score of a query that executes and gives other rows: a first step, and far from worth staying at."""
MAX_QUERY_CHARACTERS = 2_000
MAX_ROWS = 1_000
MAX_OPERATIONS = 1_000_000
"""Steps of SQLite's virtual machine that a query may take: some 50 ms. Unlike a clock, the same on every machine."""
_OPERATIONS_PER_CHECK = 1_000

_ALLOWED_ACTIONS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
# Only functions whose result is no larger than what they read; zeroblob(1e9) is one call.
_ALLOWED_FUNCTIONS = {"count", "sum", "avg", "min", "max", "abs", "round", "lower", "upper", "length", "like"}

_NAMES = ("Tom", "Ann", "Bob", "Sue", "Max", "Eve", "Ben", "Kim")
_TABLES = {"pets": ("age", "weight"), "cars": ("price", "speed"), "books": ("pages", "price")}
_QUESTIONS = ("SQL: {}.", "Query: {}.", "Select {}.", "Find {}.", "List {}.", "Show {}.")
Row = tuple[str | int, ...]


def _authorize(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    if action not in _ALLOWED_ACTIONS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _ALLOWED_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def database(table: str, columns: Sequence[str], rows: Sequence[Row]) -> sqlite3.Connection:
    """A read-only database in memory with one table, whose first column is text and whose others are integers.

    No statement can write, attach a file or read one; only some functions are allowed, texts have at most 100,000
    bytes, and `run_query` stops a query after MAX_OPERATIONS. The caller closes the connection.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    kinds = ", ".join(f"{name} {'INTEGER' if place else 'TEXT'}" for place, name in enumerate(columns))
    connection.execute(f"CREATE TABLE {table} ({kinds})")
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)
    connection.execute("PRAGMA query_only = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100_000)
    connection.setlimit(sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 50)
    connection.setlimit(sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 10)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_authorizer(_authorize)
    return connection


def run_query(connection: sqlite3.Connection, query: str) -> list[Row] | str:
    """The rows of a query, or the reason as a text if it fails, takes too long or gives more than MAX_ROWS rows."""
    left = MAX_OPERATIONS // _OPERATIONS_PER_CHECK

    def count_down() -> bool:
        nonlocal left
        left -= 1
        return left <= 0

    connection.set_progress_handler(count_down, _OPERATIONS_PER_CHECK)
    try:
        cursor = connection.execute(query)
        if cursor.description is None:
            return "no query"
        rows = cursor.fetchmany(MAX_ROWS + 1)
    # sqlite3.Warning is how Python 3.11 reports "more than one statement"; ValueError covers null bytes and
    # lone surrogates, OverflowError integers beyond 64 bits.
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        return str(error)
    return "too many rows" if len(rows) > MAX_ROWS else rows


def _question(draw: random.Random, table: str, column: str, level: int) -> tuple[str, str]:
    limit, name = draw.randint(2, 5 if level == 1 else 8), draw.choice(_NAMES)
    easy = [
        (f"names with {column} over {limit}", f"SELECT name FROM {table} WHERE {column} > {limit}"),
        (f"every {column}", f"SELECT {column} FROM {table}"),
    ]
    harder = [
        (f"names with {column} under {limit}", f"SELECT name FROM {table} WHERE {column} < {limit}"),
        (f"{column} of {name}", f"SELECT {column} FROM {table} WHERE name = '{name}'"),
        (f"how many have {column} over {limit}", f"SELECT COUNT(*) FROM {table} WHERE {column} > {limit}"),
        (f"all names by {column}, lowest first", f"SELECT name FROM {table} ORDER BY {column}, name"),
        (f"names with the highest {column}",
         f"SELECT name FROM {table} WHERE {column} = (SELECT MAX({column}) FROM {table})"),
    ]  # fmt: skip
    hard = [
        (f"names with more than {limit} rows, and their average {column}",
         f"SELECT name, AVG({column}) FROM {table} GROUP BY name HAVING COUNT(*) > {limit}"),
        (f"names with {column} above the average {column}, in alphabetical order",
         f"SELECT name FROM {table} WHERE {column} > (SELECT AVG({column}) FROM {table}) ORDER BY name"),
    ]  # fmt: skip
    return draw.choice({1: easy, 2: easy + harder, 3: harder + hard}[level])


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    table = draw.choice(tuple(_TABLES))
    numbers = _TABLES[table][: 1 if problem_config.difficulty == 1 else None]
    question, query = _question(draw, table, draw.choice(numbers), problem_config.difficulty)
    columns: list[JSON] = ["name", *numbers]
    # Two databases, with the neighbors of every limit in them: a query right on one by accident fails on the
    # other. They follow from the question, so that its wording alone decides the problem.
    fill = random.Random(f"{table}/{question}")
    names = _NAMES * (4 if problem_config.difficulty == 3 else 1)
    databases: list[JSON] = [[[name, *(fill.randint(1, 9) for _ in numbers)] for name in names] for _ in range(2)]
    listed = ", ".join(map(str, columns))
    prompt = f"Table {table} ({listed}). " + draw.choice(_QUESTIONS).format(question)
    spec: dict[str, JSON] = {"table": table, "columns": columns, "databases": databases}
    return Problem("text_to_sql", prompt, query, query, spec)


def _grade(problem: Problem, completion: str) -> Verdict:
    query, spec = unfenced(completion), problem.spec
    if len(query) > MAX_QUERY_CHARACTERS:
        return malformed("the query is too long")
    columns, databases = spec["columns"], spec["databases"]
    assert isinstance(columns, list)
    assert isinstance(databases, list)
    ordered = "ORDER BY" in problem.answer
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
        same = same and (found == expected if ordered else Counter(found) == Counter(expected))
    return RIGHT if same else Verdict(EXECUTES_SCORE, "other rows")


ENVIRONMENT = Environment("text_to_sql", _generate, _grade)

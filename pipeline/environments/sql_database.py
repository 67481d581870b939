"""A small read-only SQLite database, on which any text may be executed: time, memory and files are bounded."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

MAX_QUERY_BYTES = 4_000
MAX_ROWS = 1_000
MAX_OPERATIONS = 100_000
"""Steps of SQLite's virtual machine that a query may take: some 5 ms. Unlike a clock, the same on every machine."""
MAX_HEAP_BYTES = 1 << 24
"""Memory of all of SQLite in this process while a query is prepared and run.

Nothing else bounds it. Common table expressions that name one another twice, and subqueries that use a column twice,
are copied into each other before the first step is taken: 484 characters became 1.6 GB."""
_OPERATIONS_PER_CHECK = 1_000

_ALLOWED_ACTIONS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
# Only functions whose result is no larger than what they read, the same on every call, and no table.
_ALLOWED_FUNCTIONS = {
    "count", "sum", "total", "avg", "min", "max", "abs", "round", "lower", "upper", "length", "like", "coalesce",
    "ifnull", "nullif", "iif", "substr", "trim", "row_number", "rank", "dense_rank",
}  # fmt: skip
_TABLE_FUNCTIONS = ("json_", "pragma_", "sqlite_")
"""Beginnings of the names of tables that are no tables of the database."""
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_QUERY_BYTES,
    sqlite3.SQLITE_LIMIT_COLUMN: 32,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 50,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 10,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 25_000,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 8,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 50,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
}
Value = str | int | float | bytes | None
Row = tuple[Value, ...]

_one_at_a_time = threading.Lock()
"""The heap's limit is the process's: beside a query that reaches it, another would fail as well."""


def _authorize(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> int:
    if action not in _ALLOWED_ACTIONS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _ALLOWED_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_READ and (first or "").lower().startswith(_TABLE_FUNCTIONS):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def database(table: str, columns: Sequence[str], rows: Sequence[Row]) -> sqlite3.Connection:
    """A read-only database in memory with one table, whose columns have the types of the first row's values.

    No statement can write, attach a file or read one, and nothing is put aside in files. Only some functions are
    allowed, and texts have at most 1,000 bytes; `run_query` bounds the rest. The caller closes the connection.

    Args:
        table: its name.
        columns: names of its columns.
        rows: one or more.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    kinds = ", ".join(
        f"{name} {'TEXT' if isinstance(value, str) else 'INTEGER'}"
        for name, value in zip(columns, rows[0], strict=True)
    )
    connection.execute(f"CREATE TABLE {table} ({kinds})")
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})", rows)
    # A sorter that is larger than its cache would go into a file, of any size.
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA hard_heap_limit = {MAX_HEAP_BYTES}")
    connection.execute("PRAGMA query_only = ON")
    for limit, most in _LIMITS.items():
        connection.setlimit(limit, most)
    connection.set_authorizer(_authorize)
    return connection


def run_query(connection: sqlite3.Connection, query: str) -> list[Row] | str:
    """The rows of a query, or the reason as a text if it fails, needs too much or gives more than MAX_ROWS rows."""
    left = MAX_OPERATIONS // _OPERATIONS_PER_CHECK

    def count_down() -> bool:
        nonlocal left
        left -= 1
        return left <= 0

    connection.set_progress_handler(count_down, _OPERATIONS_PER_CHECK)
    try:
        with _one_at_a_time:
            cursor = connection.execute(query)
            if cursor.description is None:
                return "no query"
            rows = cursor.fetchmany(MAX_ROWS + 1)
    # sqlite3.Warning is how Python 3.11 reports "more than one statement"; ValueError covers null bytes and
    # lone surrogates, OverflowError integers beyond 64 bits.
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        return str(error) or "it fails"
    except MemoryError:
        return f"needs more than {MAX_HEAP_BYTES:,} bytes"
    return "too many rows" if len(rows) > MAX_ROWS else rows

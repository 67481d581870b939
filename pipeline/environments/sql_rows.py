"""Rows of a table on which queries that mean nearly the same give different results."""

from __future__ import annotations

import random
from itertools import product

from pipeline.environments.sql_database import Row
from pipeline.environments.sql_questions import ALL_TABLES, MORE_NAMES, Question, table_columns

_PLAIN_ROWS = 8
"""Rows beside those that a question needs."""
_LARGEST_AT_FIRST = 9
"""Largest number in a table of difficulty 1."""


def make_rows(fill: random.Random, question: Question) -> list[Row]:
    """The rows of one table in random order.

    Args:
        fill: everything random comes from it.
        question: that will be asked of the table.
    """
    columns = table_columns(question)
    words = _words(question)
    choices = {column: words.get(column) or range(*_range(fill, question, column)) for column in columns}
    rows: list[dict[str, int | str]] = []

    def add(**given: int | str) -> None:
        # By the floating-point generator, four times as fast as `choice`: thousands of tables are made at once.
        drawn = {column: those[int(fill.random() * len(those))] for column, those in choices.items()}
        rows.append(drawn | given)

    for _ in range(_PLAIN_ROWS + fill.randrange(4)):
        add()
    for values in product(*(values for _, values in question.edges)):
        edge = dict(zip((column for column, _ in question.edges), values, strict=True))
        # Not as many in every table, so that their number differs.
        for _ in range(fill.randint(1, 3)):
            add(**edge)
        # A copy, so that what is asked of all rows differs from what is asked of different ones.
        rows.append(dict(rows[-1]))
    for name, size in zip(fill.sample(MORE_NAMES, len(question.group_sizes)), question.group_sizes, strict=True):
        for _ in range(size - sum(row["name"] == name for row in rows)):
            add(name=name)
    if question.group_sums is not None:
        _meet_sums(fill, rows, *question.group_sums)
    if question.balanced is not None:
        _balance(fill, rows, question.balanced)
    if question.split_words:
        _split_words(fill, rows, question.edges[0], words)
    if question.distinct is not None:
        numbers = fill.sample(range(1, ALL_TABLES[question.table].numbers[question.distinct] + len(rows)), len(rows))
        for row, number in zip(rows, numbers, strict=True):
            row[question.distinct] = number
    fill.shuffle(rows)
    return [tuple(row[column] for column in columns) for row in rows]


def _words(question: Question) -> dict[str, tuple[str, ...]]:
    """The columns of words, each with its values."""
    if question.difficulty == 1:
        return {"name": MORE_NAMES}
    table = ALL_TABLES[question.table]
    return {"name": MORE_NAMES, table.words: table.values}


def _range(fill: random.Random, question: Question, column: str) -> tuple[int, int]:
    """Smallest number of a column and the one after the largest, others in each database: the ends are asked for."""
    if question.difficulty == 1:
        return 1, _LARGEST_AT_FIRST + 1
    largest = ALL_TABLES[question.table].numbers[column]
    return fill.randint(1, 1 + largest // 3), fill.randint(largest - largest // 3, largest) + 1


def _split_words(
    fill: random.Random,
    rows: list[dict[str, int | str]],
    edge: tuple[str, tuple[int | str, ...]],
    words: dict[str, tuple[str, ...]],
) -> None:
    """Gives each value on an edge a word of its own, so that the words tell on which side of it a query looks."""
    (column, values), names = edge, list(words)[-1]
    *own, rest = fill.sample(words[names], len(values) + 1)
    for row in rows:
        row[names] = dict(zip(values, own, strict=True)).get(row[column], rest)


def _balance(fill: random.Random, rows: list[dict[str, int | str]], column: str) -> None:
    """Gives a column rows at equal distances from a number, and two that have it: their average."""
    middle = fill.randint(5, 9) * 10
    distances = [fill.randint(1, middle - 2) for _ in range(len(rows) // 2 - 2)]
    distances.append(max(distances))
    values = [middle + sign * distance for distance in distances for sign in (1, -1)]
    for row, value in zip(rows, values + [middle] * (len(rows) - len(values)), strict=True):
        row[column] = value


def _meet_sums(fill: random.Random, rows: list[dict[str, int | str]], words: str, numbers: str, limit: int) -> None:
    """Makes the sums of groups the limit, one more and one less, by the number of each group's last row."""
    groups = sorted({str(row[words]) for row in rows})
    fill.shuffle(groups)
    for group, total in zip(groups, (limit, limit + 1, limit - 1), strict=False):
        own = [row for row in rows if row[words] == group]
        rest = total
        for row in own[:-1]:
            row[numbers] = fill.randint(0, rest // 2)
            rest -= int(row[numbers])
        own[-1][numbers] = rest

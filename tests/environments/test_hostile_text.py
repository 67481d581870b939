"""Verifiers give any text a verdict within a second, without an exception, and leave nothing behind."""

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.environments import problems, verify
from pipeline.environments.registry import FURTHER_NAMES
from pipeline.environments.sql_database import database, run_query
from tests.clock import assert_bounded_time
from tests.settings import EASY

# Code is executed: its texts are in tests/environments/test_code.py.
ENVIRONMENTS = ("general_chat", "identity", "calibration", "structured_output", "text_to_sql",
                *(name for name in FURTHER_NAMES if name != "code"))  # fmt: skip


def doubling(levels: int, width: int) -> str:
    """Table expressions each of which is the one before several times over."""
    parts = ["WITH a0 AS (SELECT 1 x FROM pets)"]
    parts += [f"a{level} AS (SELECT 1 x FROM {','.join([f'a{level - 1}'] * width)})" for level in range(1, levels)]
    return ",".join(parts) + f" SELECT 1 FROM a{levels - 1}"


def flattened(levels: int, width: int) -> str:
    """Subqueries each of which uses the column of the one before several times over."""
    query = "SELECT age a FROM pets"
    for _ in range(levels):
        query = f"SELECT {'+'.join(['a'] * width)} a FROM ({query})"
    return query


LONG_TEXT = "||".join(["name"] * 40)
BOMBS = (
    *(doubling(levels, width) for levels, width in ((20, 2), (30, 2), (8, 12), (4, 60))),
    *(flattened(levels, width) for levels, width in ((14, 2), (7, 8), (5, 30))),
    "SELECT * FROM pets a, pets b, pets c, pets d, pets e ORDER BY 1, 2, 3, 4, 5",
    f"SELECT DISTINCT {LONG_TEXT.replace('name', 'a.name')}, b.age, c.age, d.age FROM pets a, pets b, pets c, pets d",
    f"SELECT {LONG_TEXT.replace('name', 'a.name')} x FROM pets a, pets b, pets c UNION SELECT 1 ORDER BY x",
    "WITH RECURSIVE bomb(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM bomb) SELECT max(n) FROM bomb",
    "SELECT count(*) FROM pets a, pets b, pets c, pets d, pets e, pets f GROUP BY a.age + b.age * c.age",
    "SELECT name FROM pets WHERE name LIKE '" + "%a" * 20 + "'",
    "SELECT " + ", ".join(["sum(age) OVER (PARTITION BY name ORDER BY age)"] * 30) + " FROM pets",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM json_each('[1]')",
    "SELECT group_concat(name) FROM pets",
    "SELECT current_timestamp",
)


@pytest.mark.parametrize("query", BOMBS)
def test_a_query_takes_neither_time_nor_memory_without_bound(query: str) -> None:
    connection = database("pets", ["name", "age"], [(f"n{place}" * 8, place) for place in range(30)])

    def refuse() -> None:
        found = run_query(connection, query)
        assert isinstance(found, str) or len(found) <= 30

    assert_bounded_time(refuse)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts what the process writes")
def test_queries_write_no_files_and_memory_does_not_grow() -> None:
    script = """
import json, resource, sys
from pipeline.environments.sql_database import database, run_query
def written():
    return int(open("/proc/self/io").read().split("wchar: ")[1].split()[0])
def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = written(), memory()
for query in json.load(sys.stdin):
    connection = database("pets", ["name", "age"], [(f"n{place}" * 8, place) for place in range(30)])
    run_query(connection, query)
    connection.close()
print(written() - before[0], memory() - before[1])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(BOMBS), capture_output=True, text=True, check=True
    )
    written, memory = map(int, done.stdout.split())
    assert written == 0
    assert memory < 1 << 26


WORDS = (
    "SELECT FROM WHERE WITH AS ( ) , * + || a b pets age name 1 'x' UNION ORDER BY GROUP HAVING COUNT(*) JOIN ON IN "
    "NOT EXISTS LIMIT -- /* ; \" ` [ OVER CAST(1 AS BLOB) x'ff' 9e999 99999999999999999"
)
SQL = st.lists(st.sampled_from(re.findall(r"\S+", WORDS)), max_size=60).map(" ".join)
FRAGMENTS = st.sampled_from(
    ("<tool_call>", "</tool_call>", '{"name": "get_weather", "arguments": {}}', '{"name": 1}', "[1]", "[٣]", "[999]",
     "```json\n", "```", "{", "}", "[", '"', "\\", "null", "1e999", "9" * 400, "٣٤", "\ud800", "\x00", "\u2028",
     "I am", "not", "Fivephase", "ChatGPT", "The documents do not say.", "?", ".", "…", "Ǆ", "İ", "𝟙𝟚")
)  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=100), st.lists(st.one_of(FRAGMENTS, st.text(max_size=8)), max_size=12).map("".join), SQL
)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@settings(max_examples=120, deadline=None)
@given(text=TEXTS, place=st.integers(0, 19), difficulty=st.integers(1, 3))
def test_any_text_gets_a_verdict(environment: str, text: str, place: int, difficulty: int) -> None:
    problem = problems(environment, 20, 0, "train", replace(EASY, difficulty=difficulty))[place]
    verdict = verify(problem, text)
    assert 0.0 <= verdict.score <= 1.0
    assert verdict.reason
    assert verdict == verify(problem, text)


LONG = (
    "a " * 32_000, "".join(map(chr, range(0x400, 0x8400))), "tea " * 16_000, ". " * 32_000, '{"a":' * 13_000,
    "[" * 60_000, "[1]" * 20_000, "9" * 65_000, "1,000 " * 10_000, "<tool_call>" * 5_000,
    "<tool_call>{}</tool_call>" * 2_600,
    "```json\n{}\n```\n" * 4_000, "Fivephase, " * 5_900, "I am not Fivephase. " * 3_200, "Ab Cd. " * 9_000,
    "?" * 65_000,
    " ".join(map(str, range(11_000))), "\u2028" * 65_000, "é" * 65_000, "\ud800" * 65_000, "x" * 1_000_000,
    "SELECT " + ",".join(["1"] * 30_000), "'" * 65_000, "-- " * 20_000, '{"name": "x", "arguments": {}}' * 2_000,
    " ".join(random.Random(0).choices(("the", "sea", "moon", "and", "12", "Ada", "?"), k=12_000)),
)  # fmt: skip


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_long_text_takes_a_second_at_most(environment: str) -> None:
    for difficulty in (1, 3):
        problem = problems(environment, 1, 0, "train", replace(EASY, difficulty=difficulty))[0]
        for text in LONG:
            assert_bounded_time(lambda text=text, problem=problem: verify(problem, text))
            assert verify(problem, text).score < 1.0

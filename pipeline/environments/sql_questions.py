"""Questions about a table with the queries that answer them, and what the rows must have to tell near misses apart."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.environments.easy_words import NEW_NOUNS, NOUNS, known_or_invented, plurals
from pipeline.environments.problem import JSON

NAMES = ("Tom", "Ann", "Bob", "Sue", "Max", "Eve", "Ben", "Kim")
MORE_NAMES = (*NAMES, "Ida", "Leo", "Mia", "Noah", "Olga", "Paul", "Rosa", "Sven", "Tara", "Uwe", "Vera", "Yann")
_COLUMNS = (
    "age", "price", "pages", "rooms", "speed", "size", "area", "length", "seats", "weight", "stars", "depth", "width",
    "legs", "cost", "year", "hours", "volume", "height", "wings", "minutes", "goals", "points", "power",
)  # fmt: skip
"""Columns of difficulty 1, of numbers from 1 to 9; any table has any."""
_NEW_COLUMNS = ("metres", "seconds", "rings", "cabins", "doors", "miles", "watts", "plays")
"""Those of new instances alone."""


@dataclass(frozen=True)
class Table:
    """Columns beside the name: two or more of numbers, each with its largest value, and one of words."""

    numbers: dict[str, int]
    words: str
    values: tuple[str, ...]


TABLES = {
    "pets": Table({"age": 20, "weight": 60}, "kind", ("cat", "dog", "fish", "parrot")),
    "cars": Table({"price": 90, "speed": 250, "power": 400}, "color", ("red", "blue", "black", "white")),
    "books": Table({"pages": 900, "price": 80}, "genre", ("crime", "travel", "poetry", "history")),
    "players": Table({"goals": 60, "games": 90, "age": 45}, "team", ("Lions", "Bears", "Hawks", "Wolves")),
    "cities": Table({"population": 900, "altitude": 800}, "country", ("Spain", "Peru", "Japan", "Kenya")),
    "films": Table({"minutes": 240, "rating": 100}, "language", ("Czech", "Korean", "French", "Arabic")),
    "staff": Table({"salary": 120, "age": 70, "years": 40}, "office", ("Rome", "Oslo", "Delhi", "Lima")),
    "students": Table({"grade": 20, "credits": 180}, "subject", ("law", "music", "physics", "art")),
    "flights": Table({"seats": 400, "distance": 900}, "airline", ("Alpha", "Boreal", "Comet", "Delphi")),
    "recipes": Table({"calories": 900, "minutes": 180, "servings": 60}, "course", ("soup", "salad", "cake", "stew")),
    "houses": Table({"rooms": 40, "price": 900, "area": 400}, "street", ("Elm", "Oak", "Pine", "Birch")),
    "sales": Table({"amount": 500, "discount": 50}, "region", ("north", "south", "east", "west")),
}
NEW_TABLES = {
    "ships": Table({"length": 400, "crew": 90, "cabins": 250}, "flag", ("Malta", "Panama", "Greece", "Chile")),
    "trees": Table({"height": 90, "rings": 300}, "park", ("Ashford", "Belmont", "Cedars", "Dunes")),
    "songs": Table({"seconds": 600, "plays": 900}, "mood", ("calm", "happy", "angry", "solemn")),
    "wells": Table({"depth": 300, "flow": 80, "cost": 700}, "owner", ("abbey", "mill", "school", "village")),
}
"""Tables of new instances alone."""
ALL_TABLES = TABLES | NEW_TABLES


@dataclass(frozen=True)
class Question:
    """A question with its query."""

    difficulty: int
    table: str
    text: str
    query: str
    edges: tuple[tuple[str, tuple[int | str, ...]], ...] = ()
    """Columns with the values on both sides of what the query asks of them; all combinations become rows."""
    distinct: str | None = None
    """A column without ties, as the question does not say how they are ordered."""
    balanced: str | None = None
    """A column with rows that equal its average, and ties at both ends."""
    split_words: bool = False
    """Give each value on the first edge a word of its own in the column of words."""
    group_sizes: tuple[int, ...] = ()
    """Rows that some names have, so that a limit on their number has names on both sides."""
    column: str = ""
    """At difficulty 1, the table's one column of numbers."""
    group_sums: tuple[str, str, int] | None = None
    """Columns of groups and of numbers, and the limit near which the groups' sums are."""

    def to_spec(self) -> dict[str, JSON]:
        """The question as JSON, as a problem's `spec` has it."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Question:
        """The question of a problem, as `to_spec` wrote it.

        Raises:
            TypeError, ValueError: for anything else.
        """
        edges = tuple((str(column), tuple(values)) for column, values in spec["edges"])
        sums = spec["group_sums"] and tuple(spec["group_sums"])
        return cls(**{**spec, "edges": edges, "group_sizes": tuple(spec["group_sizes"]), "group_sums": sums})


def table_columns(question: Question) -> list[str]:
    """The columns of a question's table in their order, `name` first."""
    if question.difficulty == 1:
        return ["name", question.column]
    return ["name", ALL_TABLES[question.table].words, *ALL_TABLES[question.table].numbers]


def _around(limit: int) -> tuple[int, ...]:
    return (limit - 1, limit, limit + 1)


def ask(draw: random.Random, difficulty: int, new: bool = False) -> Question:
    """A question of a difficulty from 1 to 3; everything random comes from the generator that is passed in.

    Args:
        draw: the generator.
        difficulty: of the question.
        new: ask about a table of new instances.
    """
    if difficulty == 1:
        nouns, columns = (NEW_NOUNS, _NEW_COLUMNS) if new else (NOUNS, _COLUMNS)
        table, column = (known_or_invented(draw, words, new, plural=True) for words in (plurals(nouns), columns))
        limit = draw.randint(2, 7)
        if draw.random() < 0.5:
            return Question(1, table, f"every {column}", f"SELECT {column} FROM {table}", column=column)
        query, edge = f"SELECT name FROM {table} WHERE {column} > {limit}", (column, _around(limit))
        return Question(1, table, f"names with {column} over {limit}", query, (edge,), column=column)
    name = draw.choice(tuple(NEW_TABLES if new else TABLES))
    easy, harder, hard = _questions(draw, difficulty, name)
    return draw.choice(easy + harder if difficulty == 2 else harder + hard)


def _questions(draw: random.Random, difficulty: int, table: str) -> tuple[list[Question], ...]:
    """One question of each kind about a table: easy, harder and hard ones."""
    words, (first, second) = ALL_TABLES[table].words, draw.sample(tuple(ALL_TABLES[table].numbers), 2)
    most = ALL_TABLES[table].numbers[first]
    limit, other = draw.randint(2, most - 2), draw.randint(2, ALL_TABLES[table].numbers[second] - 2)
    low, high = sorted(draw.sample(range(2, most), 2))
    few, name, word = draw.randint(1, 4), draw.choice(MORE_NAMES), draw.choice(ALL_TABLES[table].values)
    another = draw.choice([each for each in ALL_TABLES[table].values if each != word])
    said, meant = draw.choice(
        (
            (f"over {limit}", f"> {limit}"),
            (f"under {limit}", f"< {limit}"),
            (f"of at least {limit}", f">= {limit}"),
            (f"of at most {limit}", f"<= {limit}"),
        )
    )
    end, aggregate = draw.choice((("highest", "MAX"), ("lowest", "MIN")))
    order, direction = draw.choice((("lowest", ""), ("highest", " DESC")))
    total, function = draw.choice((("average", "AVG"), ("total", "SUM"), ("largest", "MAX"), ("smallest", "MIN")))
    at_limit, at_other = (first, _around(limit)), (second, _around(other))
    of_word, of_name = (words, (word, another)), ("name", (name, _other_name(name)))

    def about(text: str, query: str, *edges: tuple[str, tuple[int | str, ...]], **needs: Any) -> Question:
        return Question(difficulty, table, text, query.replace("FROM", f"FROM {table}"), edges, **needs)

    easy = [
        about(f"names with {first} {said}", f"SELECT name FROM WHERE {first} {meant}", at_limit),
        about(f"every {first} and {second}", f"SELECT {first}, {second} FROM"),
        about(f"names whose {words} is {word}", f"SELECT name FROM WHERE {words} = '{word}'", of_word),
        about(f"the {total} {first} of all", f"SELECT {function}({first}) FROM"),
    ]
    harder = [
        about(f"{first} of {name}", f"SELECT {first} FROM WHERE name = '{name}'", of_name),
        about(f"how many have {first} {said}", f"SELECT COUNT(*) FROM WHERE {first} {meant}", at_limit),
        about(
            f"names with {first} from {low} to {high}, both included",
            f"SELECT name FROM WHERE {first} BETWEEN {low} AND {high}",
            (first, (*_around(low), *_around(high))),
        ),
        about(
            f"all names by {first}, {order} first",
            f"SELECT name FROM ORDER BY {first}{direction}",
            distinct=first,
        ),
        about(
            f"names with the {end} {first}",
            f"SELECT name FROM WHERE {first} = (SELECT {aggregate}({first}) FROM)",
            balanced=first,
        ),
        about(
            f"the {total} {first} where {words} is {word}",
            f"SELECT {function}({first}) FROM WHERE {words} = '{word}'",
            of_word,
        ),
        about(
            f"each {words} once, of those with {first} {said}",
            f"SELECT DISTINCT {words} FROM WHERE {first} {meant}",
            at_limit,
            split_words=True,
        ),
        about(
            f"names whose {words} is {word} and whose {first} is {said.removeprefix('of ')}",
            f"SELECT name FROM WHERE {words} = '{word}' AND {first} {meant}",
            of_word,
            at_limit,
        ),
    ]
    hard = [
        about(f"names with more than {few} rows, and their average {first}",
              f"SELECT name, AVG({first}) FROM GROUP BY name HAVING COUNT(*) > {few}",
              group_sizes=(few, few + 1, few + 2)),
        about(f"names with {first} above the average {first}, in alphabetical order",
              f"SELECT name FROM WHERE {first} > (SELECT AVG({first}) FROM) ORDER BY name",
              balanced=first),
        about(f"each {words} with the number of its rows", f"SELECT {words}, COUNT(*) FROM GROUP BY {words}"),
        about(f"each {words} with its {total} {first}", f"SELECT {words}, {function}({first}) FROM GROUP BY {words}"),
        about(f"each {words} whose total {first} is over {most + limit}",
              f"SELECT {words} FROM GROUP BY {words} HAVING SUM({first}) > {most + limit}",
              group_sums=(words, first, most + limit)),
        about(f"names with {first} {said} or {second} under {other}",
              f"SELECT name FROM WHERE {first} {meant} OR {second} < {other}", at_limit, at_other),
        about(f"the {few + 1} names with the {order} {first}, {order} first",
              f"SELECT name FROM ORDER BY {first}{direction} LIMIT {few + 1}", distinct=first),
        about(f"names whose {words} is not {word} and whose {second} is at most {other}",
              f"SELECT name FROM WHERE {words} <> '{word}' AND {second} <= {other}", of_word, at_other),
        about(f"how many different names have {first} {said}",
              f"SELECT COUNT(DISTINCT name) FROM WHERE {first} {meant}", at_limit),
        about(f"the average {first} of those with {second} over {other}",
              f"SELECT AVG({first}) FROM WHERE {second} > {other}", at_other),
        about(f"name and {first} of those above the average {first} of their {words}",
              f"SELECT name, {first} FROM AS t WHERE {first} > (SELECT AVG({first}) FROM WHERE {words} = t.{words})"),
    ]  # fmt: skip
    return easy, harder, hard


def _other_name(name: str) -> str:
    return MORE_NAMES[MORE_NAMES.index(name) - 1]

"""`tool_calling`: a request with tools on offer. Right is the one call that serves it, a question where an argument is
missing, and saying so where no tool fits.

Difficulty 1 offers one tool, 2 three and 3 six; from 2 on a request may lack an argument, and at 3 it may ask for two
calls.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator

from pipeline.environments.answers import abstains, words
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed
from pipeline.environments.structured import parse_json
from pipeline.environments.system_turns import tool_call, tools_turn

FITS_SCORE, TOOL_SCORE = 0.5, 0.25
"""Scores of the right tool with other arguments that fit its schema, and with arguments that do not."""
MAX_CALLS = 8
NO_TOOL = "None of the tools can do that."
_CITIES = ("Rome", "Oslo", "Lima", "Cairo", "Tokyo", "Vienna", "Dublin", "Athens", "Madrid", "Prague", "Quito", "Riga")
_PEOPLE = ("Ann", "Bob", "Eve", "Kim", "Leo", "Mia", "Noah", "Olga", "Paul", "Rosa", "Sven", "Tara")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SONGS = ("Blue River", "Night Train", "Golden Hour", "Paper Boat", "Silent Snow", "Red Lantern", "Open Road")
_CURRENCIES = ("euros", "dollars", "yen", "pounds", "francs", "crowns")
_OPENINGS = ("", "Please help: ", "One request. ", "Hi! ", "Quickly: ", "For later: ", "Could you do this? ")


@dataclass(frozen=True)
class _Tool:
    """A tool, and how it is asked for."""

    name: str
    description: str
    parameters: dict[str, tuple[str, ...] | range]
    """By parameter its possible values, words or integers."""
    request: str
    """With each parameter in braces."""
    lacking: tuple[str, str, str]
    """A parameter, the request without it, and the question for it."""

    def draw(self, draw: random.Random) -> dict[str, JSON]:
        """Arguments of a call."""
        return {name: draw.choice(values) for name, values in self.parameters.items()}

    def schema(self) -> dict[str, JSON]:
        """Its parameters as JSON schema: all required, no others."""
        kinds = {name: "integer" if isinstance(values, range) else "string" for name, values in self.parameters.items()}
        return {
            "type": "object",
            "properties": {name: {"type": kind} for name, kind in kinds.items()},
            "required": [*kinds],
            "additionalProperties": False,
        }

    def offer(self) -> dict[str, JSON]:
        """As a list of tools has it."""
        function: dict[str, JSON] = {
            "name": self.name,
            "description": self.description,
            "parameters": self.schema(),
        }
        return {"type": "function", "function": function}


_TOOLS = (
    _Tool("get_weather", "The weather of a city on a day.", {"city": _CITIES, "day": _DAYS},
          "What is the weather in {city} on {day}?",
          ("city", "What is the weather on {day}?", "In which city?")),
    _Tool("send_message", "Sends a short message to a person.",
          {"to": _PEOPLE, "text": ("I am late", "see you soon", "happy birthday", "the key is under the mat",
                                   "dinner is ready", "call me back")},
          "Send this message to {to}: {text}",
          ("to", "Send this message: {text}", "To whom should I send it?")),
    _Tool("set_timer", "Starts a timer.", {"minutes": range(1, 91)}, "Wake me in {minutes} minutes.",
          ("minutes", "Set a timer for me.", "For how many minutes?")),
    _Tool("book_table", "Books a table in a restaurant.", {"city": _CITIES, "day": _DAYS, "guests": range(2, 13)},
          "Book a table for {guests} in {city} on {day}.",
          ("guests", "Book a table in {city} on {day}.", "For how many guests?")),
    _Tool("convert_currency", "Converts an amount of money.",
          {"amount": range(1, 1000), "source": _CURRENCIES[:3], "target": _CURRENCIES[3:]},
          "How many {target} are {amount} {source}?",
          ("amount", "Convert my {source} to {target}.", "Which amount?")),
    _Tool("play_song", "Plays a song.", {"title": _SONGS, "volume": range(1, 11)}, "Play {title} at volume {volume}.",
          ("title", "Play a song at volume {volume}.", "Which song?")),
    _Tool("find_train", "Finds a train between two cities.", {"start": _CITIES[:6], "end": _CITIES[6:], "day": _DAYS},
          "Find a train from {start} to {end} on {day}.",
          ("day", "Find a train from {start} to {end}.", "On which day?")),
    _Tool("add_note", "Adds an item to a list.",
          {"list": ("shopping", "work", "garden", "travel"), "item": ("milk", "a hammer", "tickets", "seeds", "stamps",
                                                                      "paper", "soap", "a rope")},
          "Put {item} on my {list} list.",
          ("list", "Put {item} on a list.", "On which list?")),
)  # fmt: skip


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    difficulty = problem_config.difficulty
    offered = draw.sample(_TOOLS, {1: 1, 2: 3, 3: 6}[difficulty])
    wanted = draw.choice(offered)
    kind = draw.choice({1: ("call", "call", "none"), 2: ("call", "call", "none", "ask"),
                        3: ("call", "call", "two", "none", "ask")}[difficulty])  # fmt: skip
    if kind == "none":
        wanted = draw.choice([tool for tool in _TOOLS if tool not in offered])
    arguments = wanted.draw(draw)
    calls: list[JSON] = [{"name": wanted.name, "arguments": arguments}] if kind in ("call", "two") else []
    request, answer, asks = wanted.request.format(**arguments), NO_TOOL, ""
    if kind == "ask":
        asks, without, answer = wanted.lacking
        request = without.format(**arguments)
    if kind == "two":
        second = draw.choice([tool for tool in offered if tool is not wanted])
        more = second.draw(draw)
        calls.append({"name": second.name, "arguments": more})
        request += " And also: " + second.request.format(**more)
    prompt = draw.choice(_OPENINGS) + request
    schemas: dict[str, JSON] = {tool.name: tool.schema() for tool in offered}
    spec: dict[str, JSON] = {"calls": calls, "asks": asks, "schemas": schemas}
    solution = "\n".join(tool_call(**each) for each in calls) or answer  # pyright: ignore
    before = tools_turn(tool.offer() for tool in offered)
    return Problem("tool_calling", prompt, answer if not calls else solution, solution, spec, before)


_REFUSES = ("none of the tools", "no tool", "not listed", "cannot", "can t", "unable", "no suitable", "not available",
            "not possible", "don t have", "do not have")  # fmt: skip
_MOST_WORDS = 40


def _grade(problem: Problem, completion: str) -> Verdict:
    spec, said = problem.spec, words(completion)
    expected, schemas = spec["calls"], spec["schemas"]
    assert isinstance(expected, list)
    assert isinstance(schemas, dict)
    if not said:
        return malformed("no words")
    rest, *parts = completion.split("<tool_call>")
    if len(parts) > MAX_CALLS:
        return malformed("too many calls")
    found: list[JSON] = []
    for part in parts:
        text, end, after = part.partition("</tool_call>")
        if not end:
            return malformed("a call does not end")
        rest += f" {after}"
        try:
            found.append(parse_json(text))
        except ValueError:
            return malformed("a call is not JSON")
    said = words(rest)
    text = " ".join(said)
    refuses, asks = any(phrase in text for phrase in _REFUSES) or abstains(rest), completion.rstrip().endswith("?")
    if expected:
        if not found:
            return Verdict(0.0, "calls no tool")
        return Verdict(0.0, "calls, and asks or refuses") if refuses or asks else _compare(expected, found, schemas)
    if found:
        return Verdict(0.0, "calls a tool without need")
    if len(said) > _MOST_WORDS or set(said) <= set(words(problem.prompt)):
        return Verdict(0.0, "says the prompt again, or too much")
    if refuses == asks:
        return Verdict(0.0, "neither asks nor says that no tool fits, or both")
    if not spec["asks"]:
        return RIGHT if any(phrase in text for phrase in _REFUSES) else Verdict(0.0, "asks where no tool fits")
    named = asks and not _ASKED[str(spec["asks"])].isdisjoint(said)
    return RIGHT if named else Verdict(0.0, "does not ask for what is missing")


_ASKED = {
    "city": {"city", "where", "place", "town"}, "to": {"whom", "who", "recipient"}, "minutes": {"minutes", "long"},
    "guests": {"guests", "people", "persons", "many"}, "amount": {"amount", "much", "many"},
    "title": {"song", "title", "track"}, "day": {"day", "when", "date"}, "list": {"list"},
}  # fmt: skip
"""By parameter, words one of which a question for it has."""


def _compare(expected: list[JSON], found: list[JSON], schemas: dict[str, Any]) -> Verdict:
    """The verdict on calls by their number, tools and arguments, whatever their order."""
    if any(not isinstance(call, dict) or call.keys() != {"name", "arguments"} for call in found):
        return malformed("a call has not just a name and arguments")
    calls: list[dict[str, Any]] = [*found]  # pyright: ignore
    tools = [str(call["name"]) for call in calls]
    if sorted(tools) != sorted(str(call["name"]) for call in expected if isinstance(call, dict)):
        return Verdict(0.0, "other tools")
    for call in calls:
        if not Draft202012Validator(schemas[str(call["name"])]).is_valid(call["arguments"]):
            return Verdict(TOOL_SCORE, "arguments that do not fit the tool's schema")
    return RIGHT if all(call in calls for call in expected) else Verdict(FITS_SCORE, "other arguments")


ENVIRONMENT = Environment("tool_calling", _generate, _grade)
